// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/vm/internal/coverage"
)

const source = `struct x { int y; };

static int first(int a)
{
	if (a)
		return -1;
	if (a > 1)
		return -1;
out:
	return 0;
}

static inline void *
second(void)
{
	return NULL;
}
`

const reasons = `# A comment.
No test can do that:
it needs two moons.
	a.c first: return -1;

Nobody calls it.
	a.c second: second(void)
	a.c second: return NULL;
`

// counts has line 6, of two with the same text, not executed, and second().
func counts() map[int]uint64 { return map[int]uint64{3: 1, 5: 2, 6: 0, 8: 1, 10: 1, 14: 0, 16: 0} }

// result writes all that run reads, and runs it.
func result(t *testing.T, reasons string, lines map[int]uint64, version string) (string, bool, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.c")
	f, err := os.Create(filepath.Join(dir, coverage.Name))
	if err != nil {
		t.Fatal(err)
	}
	files := coverage.Files{}
	if lines != nil {
		files[file] = &coverage.File{Version: version, Lines: lines}
	}
	if err := files.Write(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for name, text := range map[string]string{"a.c": source, "reasons": reasons} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	ok, err := run(&b, dir, dir, filepath.Join(dir, "reasons"))
	return b.String(), ok, err
}

func TestRun(t *testing.T) {
	version := coverage.Version([]byte(source))
	out, ok, err := result(t, reasons, counts(), version)
	want := `No test can do that:
it needs two moons.
	a.c:6 first: return -1;
Nobody calls it.
	a.c:14 second: second(void)
	a.c:16 second: return NULL;
4 of 7 lines are executed; of the others, 3 have a reason, and 0 have none
`
	if err != nil || !ok || out != want {
		t.Errorf("%t, %v: got %s", ok, err, out)
	}

	for name, tt := range map[string]struct {
		line  int
		count uint64
		want  string
	}{
		"a line without a reason":          {10, 0, "no reason:\n\ta.c:10 first: return 0;\n"},
		"a second line with the same text": {8, 0, "no reason:\n\ta.c:8 first: return -1;\n"},
		"a reason of a line that runs":     {16, 1, "gone, but in %:\n\ta.c second: return NULL;\n"},
	} {
		lines := counts()
		lines[tt.line] = tt.count
		out, ok, err := result(t, reasons, lines, version)
		before, after, _ := strings.Cut(tt.want, "%")
		if err != nil || ok || !strings.Contains(out, before) || !strings.Contains(out, after) {
			t.Errorf("%s: %t, %v: got %s", name, ok, err, out)
		}
	}
	out, ok, err = result(t, reasons+"\ta.c gone: return 1;\n", counts(), version)
	if err != nil || ok || !strings.Contains(out, "\ta.c gone: return 1;\n") {
		t.Errorf("a line that is gone: %t, %v: got %s", ok, err, out)
	}
}

func TestRunRefuses(t *testing.T) {
	version := coverage.Version([]byte(source))
	for name, tt := range map[string]struct {
		reasons string
		lines   map[int]uint64
		version string
		want    string
	}{
		"no counts":            {reasons, nil, version, "has no counts"},
		"another source":       {reasons, counts(), "1", "has changed since"},
		"a line that is not":   {reasons, map[int]uint64{99: 0}, version, "has no line 99"},
		"an entry on top":      {"\ta.c f: x\n", counts(), version, "no reason is above it"},
		"no function":          {"x\n\ta.c: x\n", counts(), version, "it is not FILE FUNCTION: TEXT"},
		"no text":              {"x\n\ta.c f\n", counts(), version, "it is not FILE FUNCTION: TEXT"},
		"a reason of no lines": {reasons + "x\n", counts(), version, "is the reason of no line"},
	} {
		if out, ok, err := result(t, tt.reasons, tt.lines, tt.version); ok || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %t, %v; want %q\n%s", name, ok, err, tt.want, out)
		}
	}
}
