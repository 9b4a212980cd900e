// SPDX-License-Identifier: BSD-3-Clause

// Command uncovered lists the lines that no test executes, each with the reason
// that a file gives for it. It reads what vm/run --coverage left in a directory.
// It fails if a line has no reason, or a reason no such line.
//
//	go run ./vm/uncovered -base DIR-OF-THE-MODULES -reasons FILE DIR
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/internal/coverage"
)

func main() {
	base := flag.String("base", ".", "the directory of the modules: names of files are relative to it")
	reasonsFile := flag.String("reasons", "", "the file with the reasons")
	flag.Parse()
	if flag.NArg() != 1 || *reasonsFile == "" {
		fmt.Fprintln(os.Stderr, "usage: uncovered -base DIR -reasons FILE DIR")
		os.Exit(2)
	}
	ok, err := run(os.Stdout, flag.Arg(0), *base, *reasonsFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "uncovered:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// run reports whether the lines that were not executed are those of the file with
// the reasons.
func run(w io.Writer, dir, base, reasonsFile string) (bool, error) {
	files, err := coverage.Read(filepath.Join(dir, coverage.Name))
	if err != nil {
		return false, err
	}
	if len(files) == 0 {
		return false, fmt.Errorf("%s has no counts: vm/run --coverage makes them", dir)
	}
	text, err := os.ReadFile(reasonsFile)
	if err != nil {
		return false, err
	}
	reasons, err := parseReasons(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", reasonsFile, err)
	}
	lines, err := uncovered(files, base)
	if err != nil {
		return false, err
	}
	explained, unexplained, stale := match(lines, reasons)
	for i, r := range reasons {
		if len(explained[i]) == 0 {
			continue
		}
		fmt.Fprintln(w, r.text)
		for _, l := range explained[i] {
			fmt.Fprintf(w, "\t%v\n", l)
		}
	}
	if len(unexplained) > 0 {
		fmt.Fprintf(w, "NOT EXECUTED, and %s has no reason:\n", reasonsFile)
		for _, l := range unexplained {
			fmt.Fprintf(w, "\t%v\n", l)
		}
	}
	if len(stale) > 0 {
		fmt.Fprintf(w, "EXECUTED now, or gone, but in %s:\n", reasonsFile)
		for _, k := range stale {
			fmt.Fprintf(w, "\t%v\n", k)
		}
	}
	all, executed := files.Total()
	fmt.Fprintf(w, "%d of %d lines are executed; of the others, %d have a reason, and %d have none\n",
		executed, all, all-executed-len(unexplained), len(unexplained))
	return len(unexplained)+len(stale) == 0, nil
}

// line is a line that was not executed.
type line struct {
	key
	number int
}

func (l line) String() string {
	return fmt.Sprintf("%s:%d %s: %s", l.file, l.number, l.function, l.text)
}

// uncovered returns the lines that were not executed, in the order of the files.
func uncovered(files coverage.Files, base string) ([]line, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, path := range files.Paths() {
		file := files[path]
		name, err := filepath.Rel(base, path)
		if err != nil || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s is not in %s", path, base)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if coverage.Version(text) != file.Version {
			return nil, errors.New(path + " has changed since its lines were counted")
		}
		source := strings.Split(string(text), "\n")
		for _, number := range file.Numbers() {
			switch {
			case file.Lines[number] > 0:
			case number < 1 || number > len(source):
				return nil, fmt.Errorf("%s has no line %d", path, number)
			default:
				lines = append(lines, line{key{name, functionAt(source, number), strings.TrimSpace(source[number-1])}, number})
			}
		}
	}
	return lines, nil
}
