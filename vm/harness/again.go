// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/harness/internal/host"
)

// withoutTop removes the flag that vm/run puts in front of the arguments.
func withoutTop(args []string) []string {
	if len(args) >= 2 && args[0] == "--top" {
		return args[2:]
	}
	return args
}

// flagWords are the user's arguments before the command, the regular expression
// or the kernels.
func (o *options) flagWords(args []string) []string {
	words := args[:len(args)-len(o.Args)]
	if n := len(words); n > 0 && words[n-1] == "--" {
		words = words[:n-1]
	}
	if n := len(words); o.Test && n > 0 && words[n-1] == o.TestRegex {
		words = words[:n-1]
	}
	return words
}

// again is the line that repeats a run. Of the tests, it repeats those that regex
// chooses.
func (o *options) again(args []string, regex string) string {
	words := append([]string{o.runPath()}, o.flagWords(args)...)
	if o.Test && regex != "" {
		words = append(words, regex)
	}
	if len(o.Args) > 0 {
		words = append(append(words, "--"), o.Args...)
	}
	for i, w := range words {
		words[i] = host.Quote(w)
	}
	return strings.Join(words, " ")
}

// runPath is the path of vm/run, as short as it works from this directory.
func (o *options) runPath() string {
	if dir, err := os.Getwd(); err == nil && dir == o.Top {
		return "vm/run"
	}
	return filepath.Join(o.Top, "vm/run")
}
