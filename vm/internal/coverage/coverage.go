// SPDX-License-Identifier: BSD-3-Clause

// Package coverage holds which lines of source files were executed, and how
// often, adds up several runs, and keeps them in the format of lcov's tracefiles,
// which is described in geninfo(1).
package coverage

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
)

// Files are source files by path.
type Files map[string]*File

// File is a source file.
type File struct {
	Version string         // of the source: see Version
	Lines   map[int]uint64 // how often each line with code was executed, by number
}

// Version names the content of a source file. Counts of another content are not
// about the same lines.
func Version(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:8])
}

// File returns the file of that path, and makes it first if need be.
func (f Files) File(path, version string) *File {
	if f[path] == nil {
		f[path] = &File{version, map[int]uint64{}}
	}
	return f[path]
}

// Add adds the counts of other to those of f. Where both have a file of different
// versions, that of f is replaced, and its path is returned.
func (f Files) Add(other Files) (replaced []string) {
	for _, path := range other.Paths() {
		file := other[path]
		if mine := f[path]; mine != nil && mine.Version != file.Version {
			replaced = append(replaced, path)
			delete(f, path)
		}
		mine := f.File(path, file.Version)
		for number, count := range file.Lines {
			mine.Count(number, count)
		}
	}
	return replaced
}

// Count adds to the count of a line.
func (f *File) Count(number int, count uint64) { f.Lines[number] = sum(f.Lines[number], count) }

// sum stops at the largest number: a line that was executed is never one that was
// not.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// Paths returns the paths in order.
func (f Files) Paths() []string {
	var paths []string
	for path := range f {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// Numbers returns the numbers of the lines with code, in order.
func (f *File) Numbers() []int {
	var numbers []int
	for number := range f.Lines {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers
}

// Total returns how many lines have code, and how many of them were executed.
func (f *File) Total() (lines, executed int) {
	for _, count := range f.Lines {
		if count > 0 {
			executed++
		}
	}
	return len(f.Lines), executed
}

// Total returns the sums of all files.
func (f Files) Total() (lines, executed int) {
	for _, file := range f {
		l, e := file.Total()
		lines, executed = lines+l, executed+e
	}
	return lines, executed
}
