// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJunit(t *testing.T) {
	odd := strings.ReplaceAll(failB, "got 1", `\u001b[1m<&\"]]>`)
	s, _ := runSuite(t, []string{"TestA", "TestB", "TestC", "TestD"}, passA+odd+skipC)
	text, err := junit(s)
	if err != nil {
		t.Fatal(err)
	}
	var js junitSuite
	if err := xml.Unmarshal([]byte(text), &js); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if js.Name != "bulkdump/test" || js.Tests != 4 || js.Failures != 2 || js.Skipped != 1 || len(js.Cases) != 4 {
		t.Fatalf("got %+v", js)
	}
	a, b, c, d := js.Cases[0], js.Cases[1], js.Cases[2], js.Cases[3]
	if a.Name != "TestA" || a.Class != "bulkdump/test" || a.Time != "0.250" || a.Failure != nil || a.Skipped != nil {
		t.Errorf("a pass is %+v", a)
	}
	if b.Failure == nil || !strings.Contains(*b.Failure, `<&"]]>, want 2`) {
		t.Errorf("a failure is %+v", b)
	}
	if c.Failure != nil || c.Skipped == nil || !strings.Contains(*c.Skipped, "not on this kernel") {
		t.Errorf("a skip is %+v", c)
	}
	if d.Failure == nil || !strings.Contains(*d.Failure, "missing") {
		t.Errorf("a missing test is %+v", d)
	}
}

// What an earlier run left must not be taken for this one's.
func TestResultsOfAnEarlierRunAreGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	if err := Clear(dir); err != nil {
		t.Fatal(err)
	}
	o := goodOutcome()
	o.Suite, _ = runSuite(t, []string{"TestA"}, passA)
	if err := Write(dir, o); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"verdict.txt": "vm: PASS (kernel 6.1.0, tcg, boot 6.5 s, 1 tests run, 0 failed, 0 skipped, log clean)\n",
		"kernel.log":  "[    0.000000] Linux version 6.1.0\n[    1.000000] Run /init as init process\n",
		"test.json":   passA,
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	mine := filepath.Join(dir, "notes")
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Clear(dir); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 1 || left[0] != mine {
		t.Errorf("left: %q", left)
	}
}
