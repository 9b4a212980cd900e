// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
)

func TestCheckCounting(t *testing.T) {
	counting := builtTree(t, map[string]string{".config": builtConfig() + "CONFIG_GCOV_KERNEL=y\n"})
	for name, want := range map[string]string{
		"debug":           "",
		counting:          "",
		"6.1":             "6.1 lacks CONFIG_GCOV_KERNEL=y, as all of Debian's do; debug has it",
		"kcsan":           "kcsan lacks CONFIG_GCOV_KERNEL=y",
		builtTree(t, nil): "lacks CONFIG_GCOV_KERNEL=y",
		builtTree(t, map[string]string{".config": builtConfig() + "CONFIG_GCOV_KERNEL=y\nCONFIG_CC_IS_CLANG=y\n"}): "built by clang",
	} {
		err := CheckCounting(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// counted compiles a program of two files as kbuild would a module, runs it, and
// returns the notes about it and its counters.
func counted(t *testing.T) (*Notes, map[string][]byte) {
	t.Helper()
	sources := []source{
		{"a.c", "#include \"sub/b.h\"\nint main(int argc, char **argv)\n{\n\tif (argc > 5)\n\t\treturn b(argc);\n\treturn b(1) - 1;\n}\n"},
		{"sub/b.h", "int c(void);\nstatic inline int b(int n)\n{\n\tif (n > 1)\n\t\treturn c();\n\treturn n;\n}\n"},
		{"sub/c.c", "#include <stdlib.h>\nint c(void)\n{\n\treturn abs(rand());\n}\n"},
	}
	work, out := t.TempDir(), t.TempDir()
	if err := keepNotes(out, work, work, sources); err == nil || !strings.Contains(err.Error(), "GCOV_PROFILE := n") {
		t.Errorf("nothing counts: %v", err)
	}
	for _, s := range sources {
		file := filepath.Join(work, s.name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(s.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"gcc --coverage -c a.c -o a.o", "gcc --coverage -c sub/c.c -o sub/c.o", "gcc --coverage a.o sub/c.o -o a", "./a", "rm sub/c.gcda",
	} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = work
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, text)
		}
	}
	if err := keepNotes(out, work, work, sources); err != nil {
		t.Fatal(err)
	}
	n, err := OpenNotes([]string{filepath.Join(out, "a.ko")})
	if err != nil {
		t.Fatal(err)
	}
	if n.Objects != work {
		t.Errorf("its objects are in %s, want %s", n.Objects, work)
	}
	data, err := os.ReadFile(filepath.Join(work, "a.gcda"))
	if err != nil {
		t.Fatal(err)
	}
	return n, map[string][]byte{"a.gcda": data}
}

func TestLines(t *testing.T) {
	n, counters := counted(t)
	k := &Kernel{Arch: arch.Host, tree: true} // so that the compiler is the host's
	files, err := n.Lines(t.Context(), k, counters)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[int]uint64{
		"a.c":     {2: 1, 4: 1, 5: 0, 6: 1},
		"sub/b.h": {2: 1, 4: 1, 5: 0, 6: 1},
		"sub/c.c": {2: 0, 4: 0}, // it has no counters
	}
	if len(files) != len(want) {
		t.Errorf("files: %q", files.Paths())
	}
	for name, lines := range want {
		if files[name] == nil || !reflect.DeepEqual(files[name].Lines, lines) {
			t.Errorf("%s: got %+v, want %v", name, files[name], lines)
		}
	}
}

func TestLinesRefuses(t *testing.T) {
	n, counters := counted(t)
	k := &Kernel{Arch: arch.Host, tree: true}
	other := append([]byte{}, counters["a.gcda"]...)
	other[8]++ // the stamp of the compilation
	for name, tt := range map[string]struct {
		counters map[string][]byte
		want     string
	}{
		"of another compilation": {map[string][]byte{"a.gcda": other}, "stamp mismatch"},
		"of another compiler":    {map[string][]byte{"a.gcda": append([]byte("adcg****"), counters["a.gcda"][8:]...)}, "prefer version"},
		"none in the file":       {map[string][]byte{"a.gcda": {}}, "not a gcov data file"},
		"of another object":      {map[string][]byte{"b.gcda": counters["a.gcda"]}, "was not built here"},
		"outside":                {map[string][]byte{"../a.gcda": counters["a.gcda"]}, "was not built here"},
	} {
		if files, err := n.Lines(t.Context(), k, tt.counters); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("counters %s: %v, %v; want %q", name, files, err, tt.want)
		}
	}
}
