// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/internal/coverage"
)

// CoveragePage is the name of the page next to the tracefile.
const CoveragePage = "coverage.html"

// AddCoverage adds counts to those that earlier runs left in dir, and returns a
// table of all. The paths of lines are relative to base, the directory of the
// modules, and source returns what was compiled. Counts of a source that has
// changed since are dropped.
func AddCoverage(dir, base string, lines coverage.Files, source func(name string) ([]byte, error), note host.Notef) (table string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	tracefile := filepath.Join(dir, coverage.Name)
	files, err := coverage.Read(tracefile)
	if err != nil {
		return "", err
	}
	sources := map[string]string{}
	for path, file := range files {
		text, err := os.ReadFile(path)
		if err != nil || coverage.Version(text) != file.Version {
			note("%s has changed since: its earlier counts are dropped", path)
			delete(files, path)
			continue
		}
		sources[path] = string(text)
	}
	added := coverage.Files{}
	for name, file := range lines {
		text, err := source(name)
		if err != nil {
			return "", err
		}
		path := filepath.Join(base, name)
		added[path], sources[path] = file, string(text)
	}
	for _, path := range files.Add(added) {
		note("%s has changed since: its earlier counts are dropped", path)
	}
	if err := replaceFile(tracefile, files.Write); err != nil {
		return "", err
	}
	if err := replaceFile(filepath.Join(dir, CoveragePage), func(w io.Writer) error { return writePage(w, base, files, sources) }); err != nil {
		return "", err
	}
	return coverageTable(files, base), nil
}

// ReadCoverage returns the table of what is in dir.
func ReadCoverage(dir, base string) (string, error) {
	files, err := coverage.Read(filepath.Join(dir, coverage.Name))
	return coverageTable(files, base), err
}

// lockDir keeps other runs from adding to the same directory at the same time.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// replaceFile writes a file that is whole, or the one that was there before.
func replaceFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = write(f)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// coverageTable has a row for each file, and the total.
func coverageTable(files coverage.Files, base string) string {
	var b strings.Builder
	width := len("total")
	for path := range files {
		width = max(width, len(shortPath(base, path)))
	}
	row := func(name string, lines, executed int) {
		fmt.Fprintf(&b, "%-*s  %5d  %8d  %5s\n", width, name, lines, executed, percent(lines, executed))
	}
	fmt.Fprintf(&b, "%-*s  lines  executed      %%\n", width, "file")
	for _, path := range files.Paths() {
		lines, executed := files[path].Total()
		row(shortPath(base, path), lines, executed)
	}
	lines, executed := files.Total()
	row("total", lines, executed)
	return b.String()
}

// percent rounds down: 100.0 is all.
func percent(lines, executed int) string {
	if lines == 0 {
		return "-"
	}
	tenths := executed * 1000 / lines
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}

func shortPath(base, path string) string {
	if rel, err := filepath.Rel(base, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

//go:embed coverage.html
var pageText string

var page = template.Must(template.New(CoveragePage).Parse(pageText))

// pageFile is a file of the page.
type pageFile struct {
	Name, Percent   string
	Lines, Executed int
	Source          []pageLine
}

// pageLine is a line of a source. Count is empty if it has no code.
type pageLine struct {
	Number      int
	Count, Text string
	Class       string
}

func writePage(w io.Writer, base string, files coverage.Files, sources map[string]string) error {
	var rows []pageFile
	for _, path := range files.Paths() {
		rows = append(rows, newPageFile(shortPath(base, path), files[path], sources[path]))
	}
	total := pageFile{Name: "total"}
	total.Lines, total.Executed = files.Total()
	total.Percent = percent(total.Lines, total.Executed)
	return page.Execute(w, struct {
		Rows  []pageFile
		Files []pageFile
	}{slices.Concat(rows, []pageFile{total}), rows})
}

func newPageFile(name string, file *coverage.File, source string) pageFile {
	p := pageFile{Name: name}
	p.Lines, p.Executed = file.Total()
	p.Percent = percent(p.Lines, p.Executed)
	number := 0
	for text := range strings.Lines(source) {
		number++
		line := pageLine{Number: number, Text: strings.TrimRight(text, "\n")}
		if count, ok := file.Lines[number]; ok {
			line.Count, line.Class = fmt.Sprint(count), "run"
			if count == 0 {
				line.Class = "never"
			}
		}
		p.Source = append(p.Source, line)
	}
	return p
}
