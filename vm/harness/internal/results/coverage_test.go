// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bulkdump/vm/internal/coverage"
)

// add adds one count of a.c, whose source is text, and of a header below it.
func add(t *testing.T, dir, base, text string, count uint64) (table string, notes []string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(base, "a.c"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := coverage.Files{}
	lines.File("a.c", coverage.Version([]byte(text))).Count(1, count)
	lines.File("a.c", "").Count(2, 0)
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	table, err := AddCoverage(dir, base, lines, func(string) ([]byte, error) { return []byte(text), nil }, note)
	if err != nil {
		t.Fatal(err)
	}
	return table, notes
}

func TestAddCoverage(t *testing.T) {
	dir, base := filepath.Join(t.TempDir(), "new"), t.TempDir()
	table, notes := add(t, dir, base, "f(<b>);\ng();\n\n", 0)
	const want = "file   lines  executed      %\na.c        2         0    0.0\ntotal      2         0    0.0\n"
	if table != want || len(notes) > 0 {
		t.Errorf("got %s%q", table, notes)
	}
	add(t, dir, base, "f(<b>);\ng();\n\n", 3)
	table, _ = add(t, dir, base, "f(<b>);\ng();\n\n", 4)
	if !strings.Contains(table, "total      2         1   50.0\n") {
		t.Errorf("counts of three runs: %s", table)
	}
	if again, err := ReadCoverage(dir, base); err != nil || again != table {
		t.Errorf("read again: %v %s", err, again)
	}
	info, _ := os.ReadFile(filepath.Join(dir, coverage.Name))
	if !strings.Contains(string(info), "SF:"+filepath.Join(base, "a.c")+"\n") || !strings.Contains(string(info), "DA:1,7\nDA:2,0\n") {
		t.Errorf("tracefile: %s", info)
	}
	text, _ := os.ReadFile(filepath.Join(dir, CoveragePage))
	for _, want := range []string{
		`<tr class="run" id="a.c:1"><td>1<td>7<td>f(&lt;b&gt;);</td></tr>`,
		`<tr class="never" id="a.c:2"><td>2<td>0<td>g();</td></tr>`,
		`<tr id="a.c:3"><td>3<td><td></td></tr>`,
		`<td>2<td>1<td>50.0<td><a href="#a.c">a.c</a>`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %s:\n%s", want, text)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 2 {
		t.Errorf("it left %q", files)
	}
}

func TestCoverageOfChangedSource(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	add(t, dir, base, "f();\ng();\n", 3)
	table, notes := add(t, dir, base, "h();\ng();\n", 0)
	if !strings.Contains(table, "total      2         0    0.0\n") || len(notes) != 1 || !strings.Contains(notes[0], "a.c has changed") {
		t.Errorf("got %s%q", table, notes)
	}

	// The same if this run has no counts of the source.
	if err := os.WriteFile(filepath.Join(base, "a.c"), []byte("i();\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	notes = nil
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	table, err := AddCoverage(dir, base, coverage.Files{}, nil, note)
	if err != nil || strings.Contains(table, "a.c") || len(notes) != 1 || !strings.Contains(notes[0], "a.c has changed") {
		t.Errorf("%v: got %s%q", err, table, notes)
	}
}

func TestCoverageIsNotGuessed(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, coverage.Name), []byte("SF:/a\nDA:1,1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if table, err := AddCoverage(dir, base, coverage.Files{}, nil, nil); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("on top of half a file: %v\n%s", err, table)
	}
}

// Runs that add to the same directory at the same time lose nothing.
func TestCoverageAtOnce(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "a.c"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			lines := coverage.Files{"a.c": {Version: coverage.Version(nil), Lines: map[int]uint64{1: 1}}}
			if _, err := AddCoverage(dir, base, lines, func(string) ([]byte, error) { return nil, nil }, t.Logf); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files, err := coverage.Read(filepath.Join(dir, coverage.Name))
	if err != nil || files[filepath.Join(base, "a.c")].Lines[1] != 8 {
		t.Errorf("%v, %+v", err, files)
	}
}

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		lines, executed int
		want            string
	}{{0, 0, "-"}, {3, 0, "0.0"}, {3, 2, "66.6"}, {2000, 1999, "99.9"}, {7, 7, "100.0"}} {
		if got := percent(tt.lines, tt.executed); got != tt.want {
			t.Errorf("%d of %d: %s, want %s", tt.executed, tt.lines, got, tt.want)
		}
	}
}
