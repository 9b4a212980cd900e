// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestVerdicts(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"code": 1, "verdict": "vm: FAIL: x", "log": "clean", "tests": [{"name": "TestA", "result": "PASS"}, {"name": "TestB", "result": "FAIL"}, {"name": "TestC", "result": "missing"}]}`, "TestB"},
		{`{"code": 122, "verdict": "vm: FAIL: x", "log": "KASAN: y", "tests": [{"name": "TestA", "result": "PASS"}]}`, "log: KASAN: y"},
		{`{"code": 123, "verdict": "vm: FAIL: timeout", "log": "incomplete"}`, "timeout"},
		// Not the mutant's fault.
		{`{"code": 121, "verdict": "vm: FAIL: no QEMU"}`, ""},
		{`{"code": 143, "verdict": "vm: FAIL: ended by signal"}`, ""},
		{`{"code": 124, "verdict": "vm: FAIL: boot failure: the guest never spoke; QEMU"}`, ""},
	} {
		var v verdict
		if err := json.Unmarshal([]byte(test.text), &v); err != nil {
			t.Fatal(err)
		}
		got, err := v.by()
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: %q, %v", test.text, got, err)
		}
	}
}

func TestGoVerdicts(t *testing.T) {
	for _, test := range []struct{ out, want string }{
		{"--- FAIL: TestA (0.00s)\n    x_test.go:1: no\nFAIL\n", "TestA"},
		{"panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestB (2m0s)\n\ngoroutine 1", "TestB (panic: test timed out after 2m0s)"},
		{"fatal error: all goroutines are asleep\n", "fatal error: all goroutines are asleep"},
	} {
		if got := goKilledBy(test.out); got != test.want {
			t.Errorf("%q: %q", test.out, got)
		}
	}
}

func TestRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	r, _, err := openRecord(dir, "1")
	if err != nil {
		t.Fatal(err)
	}
	for id, res := range map[string]result{"k": {State: killed, Stage: "near"}, "s": {State: survived, Stage: "near"}} {
		if err := r.keep(id, res); err != nil {
			t.Fatal(err)
		}
	}
	r, stale, err := openRecord(dir, "1")
	if err != nil || stale {
		t.Fatal(stale, err)
	}
	for _, test := range []struct {
		id, lastStage string
		known         bool
	}{{"k", "near", true}, {"k", "debug", true}, {"s", "near", true}, {"s", "debug", false}, {"x", "near", false}} {
		if _, known := r.known(test.id, test.lastStage); known != test.known {
			t.Errorf("%v: known is %v", test, known)
		}
	}
	// Of other sources, nothing is known.
	if r, stale, err = openRecord(dir, "2"); err != nil || !stale || len(r.Results) > 0 {
		t.Errorf("%v, stale %v, %v", r, stale, err)
	}
}

const branchesC = `
static int g(int a)
{
	if (a)
		return 1;
	if (a > 2) {
		b();
		if (a)
			c();
	}
	return 0;
}
`

func TestProbes(t *testing.T) {
	var names []string
	var edits []edit
	all := probes("x.c", branchesC, 7)
	for _, p := range all {
		names = append(names, p.name)
		edits = append(edits, p.edits...)
	}
	want := []string{"x.c: g", "x.c: g: if (a)", "x.c: g: if (a > 2)", "x.c: g: if (a) #2"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	text := (&mutant{src: branchesC, edits: edits}).text()
	for _, part := range []string{"{ mutants_hit(7);\n\tif ((a) && mutants_hit(8))\n", "if ((a > 2) && mutants_hit(9)) {", "if ((a) && mutants_hit(10))\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
}

// A change is near to the tests of the innermost branch that it is in, and a test that
// is known to go elsewhere is unlike it.
func TestNear(t *testing.T) {
	c := &coverage{reached: map[string][]int{}}
	all := probes("x.c", branchesC, 0)
	for _, line := range []string{"mutants: TestA 1.00 2.50 0 0-1\n", "mutants: TestB 1.00 1.50 0 0,2-3\n", "mutants: TestC 1 2 1 0\n", "x\n"} {
		if err := c.take(line, all); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "coverage.txt")
	if err := c.write(path); err != nil {
		t.Fatal(err)
	}
	c, err := readCoverage(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ line, want, unlike string }{
		{"- c();", "^(TestB)$", "^(TestA)$"},
		{"- return 1;", "^(TestA)$", "^(TestB)$"},
		{"- if (a > 2) {", "^(TestB|TestA)$", ""},
		{"- b();", "^(TestB)$", "^(TestA)$"},
	} {
		for _, m := range mutateC("x.c", branchesC) {
			if m.lines[0] == test.line {
				if got, _ := c.near(m, 10); got != test.want {
					t.Errorf("%q: %q", m.lines, got)
				}
				unlike := c.unlike(m)
				var names []string
				for _, name := range []string{"TestA", "TestB", "TestNew"} {
					if unlike(name) {
						names = append(names, name)
					}
				}
				if got := only(names); got != test.unlike {
					t.Errorf("%q: unlike it are %q", m.lines, got)
				}
			}
		}
	}
}

// A copy of the modules has the sources, and nothing else.
func TestCopy(t *testing.T) {
	to := t.TempDir()
	if err := copyModules("../../kmod", to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Kbuild", "dump.c", "minimal/nested/bulkdump_nested.c", "uapi/linux/bulkdump.h", "compare/proc.c"} {
		if _, err := os.Stat(filepath.Join(to, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "broken")); err == nil {
		t.Error("kmod/broken is there, too")
	}
}

// Tests that say nothing any more are ended; those that go on are not.
func TestUntilSilent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stdout")
	write := func(text string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	synctest.Test(t, func(t *testing.T) {
		const silence = time.Minute
		ctx, stop := untilSilent(t.Context(), file, silence, time.Second)
		defer stop()
		time.Sleep(2 * silence) // a guest that boots says nothing
		write("\x16=== RUN   TestA\n\x16--- PASS: TestA (0.00s)\n\x16=== NAME  \n\x16=== RUN   TestB\n")
		for range 20 {
			write("    b_test.go:1: it goes on\n\x16=== RUN   TestB/sub\n")
			time.Sleep(silence - 5*time.Second)
		}
		if ctx.Err() != nil {
			t.Fatal("tests that go on were ended")
		}
		time.Sleep(10 * time.Second)
		if !errors.Is(context.Cause(ctx), errSilent) || lastTest(file) != "TestB/sub" {
			t.Errorf("%v, %s", context.Cause(ctx), lastTest(file))
		}
	})
	write("\x16=== RUN   TestC\n")
	if got := lastTest(file); got != "TestC" {
		t.Error(got)
	}
	if got := lastTest(file + "2"); got != "no test" {
		t.Error(got)
	}
}
