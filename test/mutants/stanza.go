// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"strings"
)

// A stanza names a mutant in a file of the tree, and says something about it:
//
//	kmod/table.c: record_max_update
//	- smp_store_release(&table->record_max, max);
//	+ WRITE_ONCE(table->record_max, max);
//	What is said, on one or more lines.
type stanza struct {
	key  string // as mutant.key
	text string
	line int
}

// readStanzas reads a file of stanzas. Blank lines are between them, and lines that
// begin with # are comments.
func readStanzas(path string) ([]stanza, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := parseStanzas(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return all, nil
}

func parseStanzas(text string) ([]stanza, error) {
	var all []stanza
	var s *stanza
	end := func() error {
		if s == nil {
			return nil
		}
		if !strings.Contains(s.key, "\n") || s.text == "" {
			return fmt.Errorf("%d: a stanza has a file and a function, the change, and a text", s.line)
		}
		all = append(all, *s)
		s = nil
		return nil
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			if err := end(); err != nil {
				return nil, err
			}
		case s == nil:
			s = &stanza{key: line, line: i + 1}
		case s.text == "" && (strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ ")):
			s.key += "\n" + line
		default:
			s.text = strings.TrimSpace(s.text + " " + line)
		}
	}
	return all, end()
}

// find returns the mutants of the stanza. It is an error if there are none.
func (s stanza) find(all []*mutant) ([]*mutant, error) {
	var found []*mutant
	for _, m := range all {
		if m.key() == s.key {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("line %d: no mutant makes this change any more:\n%s", s.line, s.key)
	}
	return found, nil
}
