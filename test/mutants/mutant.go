// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// An edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// A mutant is one wrong change of one file.
type mutant struct {
	id       string
	pattern  string
	file     string // relative to the project's directory
	function string
	src      string
	edits    []edit   // in order
	lines    []string // the change as a diff without context: "- old", "+ new"
}

// newMutant returns the mutant, or nil if the edits change nothing.
func newMutant(pattern, file, function, src string, edits []edit) *mutant {
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	m := &mutant{pattern: pattern, file: file, function: function, src: src, edits: edits}
	m.lines = diff(lines(src), lines(m.text()))
	if len(m.lines) == 0 {
		return nil
	}
	return m
}

func (m *mutant) isGo() bool { return strings.HasSuffix(m.file, ".go") }

// text is the changed file.
func (m *mutant) text() string {
	var b strings.Builder
	done := 0
	for _, e := range m.edits {
		b.WriteString(m.src[done:e.start])
		b.WriteString(e.text)
		done = e.end
	}
	return b.String() + m.src[done:]
}

func (m *mutant) line() int { return strings.Count(m.src[:m.edits[0].start], "\n") + 1 }

// key says which change it is, without a line number: a change elsewhere in the
// file does not alter it. Two changes of one function may have the same key.
func (m *mutant) key() string {
	return m.file + ": " + m.function + "\n" + strings.Join(m.lines, "\n")
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s  %s:%d %s\n    %s", m.id, m.file, m.line(), m.function, strings.Join(m.lines, "\n    "))
}

// identify gives each mutant its id: the pattern and a digest of the key. Those
// with the same key are told apart by their order in the file. Mutants that make
// the same file are one.
func identify(all []*mutant) []*mutant {
	texts := map[string]bool{}
	keys := map[string]int{}
	var kept []*mutant
	for _, m := range all {
		if text := m.file + "\x00" + m.text(); texts[text] {
			continue
		} else {
			texts[text] = true
		}
		keys[m.key()]++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", m.key(), keys[m.key()]))
		m.id = fmt.Sprintf("%s-%x", m.pattern, sum[:4])
		kept = append(kept, m)
	}
	return kept
}

func lines(text string) []string { return strings.SplitAfter(text, "\n") }

// diff lists the lines that differ, without the white space around them. A line
// that has become empty is not listed.
func diff(old, new []string) []string {
	for len(old) > 0 && len(new) > 0 && old[0] == new[0] {
		old, new = old[1:], new[1:]
	}
	for len(old) > 0 && len(new) > 0 && old[len(old)-1] == new[len(new)-1] {
		old, new = old[:len(old)-1], new[:len(new)-1]
	}
	// Only the order differs: both are shown whole.
	if slices.Equal(slices.Sorted(slices.Values(old)), slices.Sorted(slices.Values(new))) {
		return append(signed("- ", old), signed("+ ", new)...)
	}
	// common[i][j] is how many lines old[i:] and new[j:] have in common.
	common := make([][]int, len(old)+1)
	for i := len(old); i >= 0; i-- {
		common[i] = make([]int, len(new)+1)
		for j := len(new) - 1; j >= 0 && i < len(old); j-- {
			if old[i] == new[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(old) || j < len(new) {
		switch {
		case i < len(old) && j < len(new) && old[i] == new[j]:
			i, j = i+1, j+1
		case j == len(new) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			out = append(out, signed("- ", old[i:i+1])...)
			i++
		default:
			out = append(out, signed("+ ", new[j:j+1])...)
			j++
		}
	}
	return out
}

func signed(sign string, lines []string) []string {
	var out []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, sign+line)
		}
	}
	return out
}
