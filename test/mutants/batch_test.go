// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func batchOf(t *testing.T, files ...string) *batch {
	t.Helper()
	b := &batch{r: &runner{top: "../.."}, dir: t.TempDir()}
	all, err := candidates("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, m := range all {
			if m.file == file {
				unit := "mutant" + string(rune('0'+len(b.mutants)))
				b.mutants = append(b.mutants, &batched{m: m, unit: unit, tests: "^TestX$", limit: 30})
				break
			}
		}
	}
	if len(b.mutants) != len(files) {
		t.Fatalf("%d mutants of %q", len(b.mutants), files)
	}
	return b
}

// Each mutant is a module that has the changed file instead of the other.
func TestBatchOfSources(t *testing.T) {
	b := batchOf(t, "kmod/dump.c", "kmod/compare/proc.c", "kmod/minimal/bulkdump_minimal.c", "kmod/minimal/nested/bulkdump_nested.c")
	kmod := filepath.Join(t.TempDir(), "kmod")
	if err := b.sources(kmod); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"mutant0_dump.c", "compare/mutant1_proc.c", "minimal/mutant2.c", "minimal/nested/mutant3.c"} {
		text, err := os.ReadFile(filepath.Join(kmod, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != b.mutants[i].m.text() {
			t.Errorf("%s is not the mutant", name)
		}
	}
	for name, want := range map[string]string{
		"Kbuild":                "obj-m += mutant0.o\nmutant0-y := $(patsubst dump.o,mutant0_dump.o,$(bulkdump-y))\n",
		"minimal/Kbuild":        "obj-m += mutant2.o\n",
		"minimal/nested/Kbuild": "obj-m += mutant3.o\n",
	} {
		text, err := os.ReadFile(filepath.Join(kmod, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	text, err := os.ReadFile(filepath.Join(kmod, "dump.c"))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != b.mutants[0].m.src {
		t.Error("dump.c itself is changed")
	}
}

func TestBatchDropsWhatDoesNotCompile(t *testing.T) {
	b := batchOf(t, "kmod/dump.c", "kmod/names.c", "kmod/table.c")
	said := `/build/1/mutant10_dump.c:3:4: error: no
/build/1/mutant1_names.c:50:8: error: 'x' undeclared
/build/1/mutant0_dump.c:50:8: warning: 'x' is unused
ERROR: modpost: "x" [/build/1/mutant2.ko] undefined!
`
	if !b.drop(said) {
		t.Fatal("none is dropped")
	}
	if left := b.left(); len(left) != 1 || left[0].unit != "mutant0" {
		t.Errorf("%d are left", len(left))
	}
	if by := b.mutants[1].res.By; by != "'x' undeclared" {
		t.Errorf("by %q", by)
	}
	if b.drop("make: *** No rule\n") {
		t.Error("something is dropped for no fault of its own")
	}
}

func TestBatchTakesWhatTheGuestSays(t *testing.T) {
	out := writeVerdict(t)
	b := batchOf(t, "kmod/dump.c", "kmod/names.c", "kmod/table.c", "kmod/fill.c", "kmod/since.c", "kmod/reply.c")
	for _, said := range []string{`vm: booting
mutants: begin mutant0
mutants: end mutant0 0 0
mutants: begin mutant1
mutants: end mutant1 1 0 TestA TestA/b
mutants: begin mutant2
mutants: end mutant2 loading 0
mutants: begin mutant3
mutants: end mutant3 0 unload
`, `mutants: begin mutant3
mutants: end mutant3 0 unload
`, `mutants: begin mutant4
vm: FAIL
`} {
		if err := b.take(said, out); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []result{
		{State: survived}, {State: killed, By: "TestA TestA/b"}, {State: killed, By: "the module does not load"},
		{State: killed, By: "the module cannot be unloaded"}, {State: killed, By: "log: panic: x"},
	} {
		if got := b.mutants[i].res; got == nil || got.State != want.State || got.By != want.By {
			t.Errorf("mutant%d: %v, and not %v", i, got, want)
		}
	}
	if left := b.left(); len(left) != 1 || left[0].unit != "mutant5" {
		t.Errorf("%d are left", len(left))
	}
	for _, wrong := range []string{"mutants: begin mutant9\n", "mutants: end mutant5 0 0\n"} {
		if err := b.take(wrong, out); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// A guest that was ended for no fault of the mutant kills none.
func TestBatchWithoutVerdict(t *testing.T) {
	out := t.TempDir()
	b := batchOf(t, "kmod/dump.c")
	if err := b.take("mutants: begin mutant0\n", out); err == nil || b.mutants[0].res != nil {
		t.Errorf("%v, %v", b.mutants[0].res, err)
	}
}

// What an earlier mutant left in the kernel must not count against a later one.
func TestBatchBlamesOnlyTheFirst(t *testing.T) {
	for _, said := range []string{
		"mutants: begin mutant0\nmutants: end mutant0 1 0 TestA\nmutants: begin mutant1\n",
		"mutants: begin mutant0\nmutants: end mutant0 1 0 TestA\nmutants: begin mutant1\nmutants: end mutant1 0 log\n",
		"mutants: begin mutant0\nmutants: end mutant0 1 0 TestA\nmutants: begin mutant1\nmutants: end mutant1 2 tests panic: test timed out\n",
		"mutants: begin mutant0\nmutants: end mutant0 1 0 TestA\nmutants: begin mutant1\nmutants: end mutant1 137 tests\n",
	} {
		b := batchOf(t, "kmod/dump.c", "kmod/names.c")
		if err := b.take(said, writeVerdict(t)); err != nil {
			t.Fatal(err)
		}
		if left := b.left(); len(left) != 1 || left[0].unit != "mutant1" {
			t.Errorf("%q: %d are left", said, len(left))
		}
	}
}

// writeVerdict returns the directory of a guest that panicked.
func writeVerdict(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	summary := `{"code": 124, "verdict": "vm: FAIL: kernel panic: x", "log": "panic: x"}`
	if err := os.WriteFile(filepath.Join(out, "summary.json"), []byte(summary), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}
