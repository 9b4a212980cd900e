// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func columnOf(kernel string, code int, tests ...summaryTest) Column {
	c := Column{Name: kernel, ran: true, summary: summary{Boot: 6.5, Log: "clean", Code: code, Verdict: "vm: FAIL: why", Tests: tests}}
	for _, t := range tests {
		switch t.Result {
		case resultPass:
			c.Passed++
		case resultSkip:
			c.Skipped++
		}
	}
	return c
}

func TestMatrixTable(t *testing.T) {
	a, skip := summaryTest{"TestA", resultPass, 0.25}, summaryTest{"TestLong", resultSkip, 0}
	b := summaryTest{"TestLong", resultFail, 1.5}
	dirty := columnOf("7.3", ExitDirty, a, summaryTest{"TestLong", resultPass, 1})
	dirty.Log = "WARNING: x"
	for _, tt := range []struct {
		name           string
		columns        []Column
		want           string
		passed, failed int
	}{
		{"green", []Column{columnOf("6.1", 0, a, skip), columnOf("debug", 0, a, skip)}, `
test      6.1          debug
TestA     passed 0.25  passed 0.25
TestLong  skipped      skipped
passed    1            1
failed    0            0
skipped   1            1
seconds   0.2          0.2
boot      6.5 s        6.5 s
log       clean        clean
verdict   PASS         PASS
`, 2, 0},
		{"a failed test, a dirty log", []Column{columnOf("6.1", 1, a, b), dirty}, `
test      6.1          7.3
TestA     passed 0.25  passed 0.25
TestLong  FAILED 1.50  passed 1.00
passed    1            2
failed    1            0
skipped   0            0
seconds   1.8          1.2
boot      6.5 s        6.5 s
log       clean        DIRTY
verdict   FAIL 1       FAIL 122
6.1: vm: FAIL: why
7.3: vm: FAIL: why
`, 3, 2},
		{"missing cells, a column that never ran", []Column{columnOf("6.1", 1, a, summaryTest{"TestLong", resultMissing, 0}),
			{Name: "6.12", summary: summary{Code: ExitHarness, Verdict: "vm: FAIL: no disk"}}}, `
test      6.1          6.12
TestA     passed 0.25  MISSING
TestLong  MISSING      MISSING
passed    1            0
failed    1            2
skipped   0            0
seconds   0.2          0.0
boot      6.5 s        0.0 s
log       clean        DIRTY
verdict   FAIL 1       FAIL 121
6.1: vm: FAIL: why
6.12: vm: FAIL: no disk
`, 1, 3},
		{"nothing ran at all", []Column{{Name: "6.1"}}, `
test     6.1
passed   0
failed   0
skipped  0
seconds  0.0
boot     0.0 s
log      DIRTY
verdict  FAIL 0
6.1: 
`, 0, 1},
	} {
		got, passed, failed := Table(tt.columns)
		if got != tt.want[1:] || passed != tt.passed || failed != tt.failed {
			t.Errorf("%s: %d passed, %d failed:\n%s", tt.name, passed, failed, got)
		}
	}
}

// A failed test is shown however many pass after it, and within it.
func TestShowColumn(t *testing.T) {
	dir := t.TempDir()
	text := "vm: booting\nFAIL TestA 1.00s\n        a_test.go:1: why\n    --- FAIL: TestA/x (0.10s)\n" +
		strings.Repeat("    --- PASS: TestA/y (0.10s)\n", 200) + "    a_test.go:3: and\n" + strings.Repeat("PASS TestB 0.10s\n", 100) + "vm: FAIL: TestA\n"
	if err := os.WriteFile(filepath.Join(dir, "run.log"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	ShowColumn(&out, Column{Name: "6.1"}, dir)
	if got, want := out.String(), `vm: 6.1 is red; the end of what it said of that:
    6.1: vm: booting
    6.1: FAIL TestA 1.00s
    6.1:         a_test.go:1: why
    6.1:     --- FAIL: TestA/x (0.10s)
    6.1:     a_test.go:3: and
    6.1: vm: FAIL: TestA
`; got != want {
		t.Errorf("got:\n%s", got)
	}
}

// What a run did not leave, or left half, is not believed.
func TestReadColumn(t *testing.T) {
	dir := t.TempDir()
	if c := ReadColumn("6.1", dir); !c.Red() || !strings.Contains(c.Verdict, "no summary: it said nothing") {
		t.Errorf("of nothing: %+v", c)
	}
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("run.log", "one\nlast\n")
	put("summary.json", `{"code":0,"passed":`)
	if c := ReadColumn("6.1", dir); !c.Red() || !strings.HasSuffix(c.Verdict, ": last") || c.Code == 0 {
		t.Errorf("of half a summary: %+v", c)
	}
	o := goodOutcome()
	o.Suite, _ = runSuite(t, []string{"TestA", "TestD"}, passA)
	if err := Write(dir, o); err != nil {
		t.Fatal(err)
	}
	c := ReadColumn("6.1", dir)
	if !c.ran || c.Code != 1 || c.Passed != 1 || c.Failed != 1 || c.Boot != 6.5 || c.Log != "clean" ||
		!slices.Equal(c.Tests, []summaryTest{{"TestA", resultPass, 0.25}, {"TestD", resultMissing, 0}}) {
		t.Errorf("got %+v", c)
	}
}
