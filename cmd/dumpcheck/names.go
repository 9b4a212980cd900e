// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"

	"bulkdump/cmd/dumpcheck/target"
)

// nearest are the names that are most like an unknown one, for the error: none, if
// all are far away.
func nearest(name string, names []string) []string {
	best := max(2, len(name)/3)
	var near []string
	for _, n := range names {
		d := target.Distance(name, n)
		if len(name) > 2 && (strings.HasPrefix(n, name) || strings.HasPrefix(name, n)) {
			d = min(d, 1)
		}
		switch {
		case d < best:
			best, near = d, []string{n}
		case d == best:
			near = append(near, n)
		}
	}
	return near[:min(len(near), 3)]
}

// checkNames fails for a name that is none of those known.
func checkNames(flag string, given, known []string) error {
	for i, name := range given {
		name = strings.TrimSpace(name)
		given[i] = name
		if slices.Contains(known, name) {
			continue
		}
		if near := nearest(name, known); len(near) > 0 {
			return usagef("%s: there is no check %q: did you mean %s?", flag, name, strings.Join(near, " or "))
		}
		return usagef("%s: there is no check %q: see dumpcheck --explain", flag, name)
	}
	return nil
}
