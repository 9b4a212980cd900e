// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
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

// again is the line that repeats a run, or those of its tests that regex
// chooses.
func (o *options) again(args []string, regex string) string {
	words := append([]string{o.runPath()}, o.flagWords(args)...)
	if o.test && regex != "" {
		words = append(words, regex)
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
