// SPDX-License-Identifier: BSD-3-Clause

package coverage

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Name is the name of the tracefile in a directory.
const Name = "coverage.info"

// Write writes the files as a tracefile.
func (f Files) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "TN:")
	for _, path := range f.Paths() {
		file := f[path]
		fmt.Fprintf(b, "SF:%s\nVER:%s\n", path, file.Version)
		for _, number := range file.Numbers() {
			fmt.Fprintf(b, "DA:%d,%d\n", number, file.Lines[number])
		}
		lines, executed := file.Total()
		fmt.Fprintf(b, "LF:%d\nLH:%d\nend_of_record\n", lines, executed)
	}
	return b.Flush()
}

// Read reads a tracefile that Write wrote. If there is none, there are no files.
func Read(name string) (Files, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Files{}, nil
	} else if err != nil {
		return nil, err
	}
	files, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return files, nil
}

func parse(text string) (Files, error) {
	files := Files{}
	path, version := "", ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		kind, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		var err error
		switch kind {
		case "SF":
			path, version = value, ""
		case "VER":
			version = value
		case "DA":
			if path == "" {
				err = errors.New("it is of no file")
			} else {
				err = files.File(path, version).take(value)
			}
		case "end_of_record":
			path = ""
		case "TN", "LF", "LH":
		default:
			err = errors.New("no such line is written here")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", number, strings.TrimSuffix(line, "\n"), err)
		}
	}
	if path != "" {
		return nil, errors.New("it is cut off: its last line is not end_of_record")
	}
	return files, nil
}

// take reads NUMBER,COUNT.
func (f *File) take(value string) error {
	first, rest, _ := strings.Cut(value, ",")
	number, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	count, err := strconv.ParseUint(rest, 10, 64)
	if err == nil {
		f.Count(number, count)
	}
	return err
}
