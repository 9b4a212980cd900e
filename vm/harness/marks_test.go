// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMarkFile(t *testing.T) {
	const src = `package x

func TestA(t *testing.T) {
	t.Log()
}
func TestB(*testing.T) {}
func TestC(_ *testing.T) {}
func TestMain(m *testing.M) {}
func (r R) TestD(t *testing.T) {}
func FuzzE(odd *testing.F) { odd.Fuzz(nil) }
func helper(t *testing.T) {}
`
	pkg, got, err := markFile(src)
	want := strings.NewReplacer("TestA(t *testing.T) {", "TestA(t *testing.T) { vmMarkTest(t);",
		"FuzzE(odd *testing.F) {", "FuzzE(odd *testing.F) { vmMarkTest(odd);").Replace(src)
	if err != nil || pkg != "x" || got != want {
		t.Errorf("%q, %v:\n%s", pkg, err, got)
	}
	if _, _, err := markFile("package"); err == nil {
		t.Error("no Go, and that is no error")
	}
}

// The copies compile, in both packages of a directory, and a failure is still
// told with the file and line of the original.
func TestMarkedTestsCompile(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":     "module x\n",
		"a_test.go":  "package x\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {\n\tt.Error(\"no\")\n}\n",
		"b_test.go":  "package x_test\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) {}\n",
		"b2_test.go": "package x_test\n",
	}
	var tests []string
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, file)
		}
	}
	over := filepath.Join(t.TempDir(), "overlay")
	overlay, err := markTests(tests, over)
	if err != nil {
		t.Fatal(err)
	}
	var read struct{ Replace map[string]string }
	text, _ := os.ReadFile(overlay)
	if err := json.Unmarshal(text, &read); err != nil || len(read.Replace) != 5 {
		t.Errorf("%d files are replaced (%v), want 3 and a helper for each package", len(read.Replace), err)
	}
	bin := filepath.Join(dir, "x.test")
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", bin, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	symbols, err := os.ReadFile(bin)
	if err != nil || !strings.Contains(string(symbols), "bulkdump-vm: test ") {
		t.Errorf("the marks are not in the binary: %v", err)
	}
	out, _ := exec.Command(bin, "-test.run=TestA").CombinedOutput()
	if !strings.Contains(string(out), "a_test.go:6: no") {
		t.Errorf("it says %s", out)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "a_test.go")); string(got) != files["a_test.go"] {
		t.Error("the original was changed")
	}
}

func TestTestsDuring(t *testing.T) {
	lines := []string{
		"[    6.000000] WARNING: before",                     // 0
		"[    6.100000] bulkdump-vm: test TestA starts",      // 1
		"[    6.200000] WARNING: in A",                       // 2
		"[    6.300000] bulkdump-vm: test TestA ends",        // 3
		"[    6.400000] WARNING: between",                    // 4
		"[    6.500000] bulkdump-vm: test TestB starts",      // 5
		"[    6.500000] bulkdump-vm: test TestC starts",      // 6
		"[    6.600000] WARNING: in B or C",                  // 7
		"[    6.700000] bulkdump-vm: test TestB ends",        // 8
		"[    6.800000] bulkdump-vm: test TestD starts late", // 9: no mark
		"[    6.900000] WARNING: in C",                       // 10
	}
	for at, want := range map[int]string{0: "", 2: " (during TestA)", 4: " (after TestA)",
		7: " (during TestB or TestC)", 10: " (during TestC)"} {
		var f finding
		f.tests, f.after = testsDuring(lines, at)
		if got := f.where(); got != want {
			t.Errorf("line %d: got %q, want %q", at, got, want)
		}
	}
}

// A passed test in whose time the kernel warned has failed, everywhere; what
// came outside of tests is no test's fault.
func TestBlame(t *testing.T) {
	o := goodOutcome()
	o.suite, _ = runSuite(t, []string{"TestA", "TestC"}, passA+skipC+end)
	o.kmsg = append(o.kmsg, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] "+cutHere, "[    7.100000] WARNING: CPU: 0 PID: 9 at x.c:1", "[    7.100000] Call Trace:",
		"[    7.200000] bulkdump-vm: test TestA ends", "[    7.300000] bulkdump-vm: test TestC starts",
		"[    7.400000] bulkdump-vm: test TestC ends", "[    8.000000] BUG: leak")
	o.blame()
	if got := o.suite.summary(); got != "0 passed, 1 failed, 1 skipped" {
		t.Error(got)
	}
	code, line := o.verdict()
	if code != exitDirty || !strings.Contains(line, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1 (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	text := o.suite.tests[0].output.String()
	if !strings.HasSuffix(text, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1\n") || strings.Contains(text, "Call Trace") ||
		strings.Contains(text, cutHere) || strings.Contains(text, "leak") {
		t.Errorf("TestA's output: %q", text)
	}
	if got := []string{o.suite.tests[0].result, o.suite.tests[1].result}; !slices.Equal(got, []string{resultFail, resultSkip}) {
		t.Errorf("results %q", got)
	}
	o.suite = nil
	o.blame()
}

// A dying kernel's last words are on the console alone; so is the mark.
func TestBlameForAPanic(t *testing.T) {
	o := goodOutcome()
	o.suite, _ = runSuite(t, []string{"TestA"}, strings.SplitAfter(passA, "\n")[1])
	o.done, o.exit = false, nil
	o.console = append(o.console, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] Kernel panic - not syncing: Fatal exception")
	o.blame()
	code, line := o.verdict()
	if code != exitCrash || !strings.Contains(line, "Fatal exception (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	if text := o.suite.tests[0].output.String(); !strings.Contains(text, "kernel log: Kernel panic") {
		t.Errorf("TestA's output: %q", text)
	}
}
