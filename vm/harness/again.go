// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// withoutTop takes what vm/run adds from the front of the arguments.
func withoutTop(args []string) []string {
	if len(args) >= 2 && args[0] == "--top" {
		return args[2:]
	}
	return args
}

// flagWords are the user's words before the command, the regular expression
// or the kernels.
func (o *options) flagWords(args []string) []string {
	words := args[:len(args)-len(o.args)]
	if n := len(words); n > 0 && words[n-1] == "--" {
		words = words[:n-1]
	}
	if n := len(words); o.test && n > 0 && words[n-1] == o.testRegex {
		words = words[:n-1]
	}
	return words
}

// again is the line that repeats a run; where tests failed, those alone.
func (o *options) again(args []string, s *suite) string {
	words := append([]string{o.runPath()}, o.flagWords(args)...)
	if o.test {
		if regex := s.failedRegex(o.testRegex); regex != "" {
			words = append(words, regex)
		}
	}
	if len(o.args) > 0 {
		words = append(append(words, "--"), o.args...)
	}
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// runPath is vm/run as it can be called from here.
func (o *options) runPath() string {
	if dir, err := os.Getwd(); err == nil && dir == o.top {
		return "vm/run"
	}
	return filepath.Join(o.top, "vm/run")
}

// failedRegex chooses the tests that failed, where that says less than what
// was asked for: those that never ran say nothing beside one that did.
func (s *suite) failedRegex(asked string) string {
	if s == nil || strings.Contains(asked, "/") {
		return asked
	}
	var names []string
	for _, t := range s.tests {
		if t.result == resultFail && !t.missing {
			names = append(names, regexp.QuoteMeta(t.name))
		}
	}
	if len(names) == 0 || len(names) > 10 || len(names) == len(s.tests) && asked != "" {
		return asked
	}
	return "^(" + strings.Join(names, "|") + ")$"
}
