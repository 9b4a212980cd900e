// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
)

// nearest are the names that are most like an unknown one, for the error: none, if
// all are far away.
func nearest(name string, names []string) []string {
	best := max(2, len(name)/3)
	var near []string
	for _, n := range names {
		d := distance(name, n)
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

// distance is how many letters differ (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+cost)
		}
	}
	return row[len(b)]
}

// checkNames fails for a name that is none of those known.
func checkNames(flag string, given, known []string) error {
	for _, name := range given {
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
