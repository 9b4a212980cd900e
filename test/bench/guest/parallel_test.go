// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"testing"
	"time"

	"bulkdump/test/bench/figure"
)

// The two readers of a race read the whole table together, each entry once,
// with the same options as the single reader.
func TestRaces(t *testing.T) {
	const n = 1001
	var names []string
	for _, r := range races(n) {
		names = append(names, r.name)
		read := 0
		for _, c := range r.two {
			from, to := uint32(0), uint32(n-1)
			if c.options.IDFrom != nil {
				from = *c.options.IDFrom
			}
			if c.options.IDTo != nil {
				to = *c.options.IDTo
			}
			read += int(to) - int(from) + 1
			if c.options.Encoding != r.one.options.Encoding || *c.options.Fields != *r.one.options.Fields {
				t.Errorf("%s: %+v against %+v", r.name, c.options, r.one.options)
			}
		}
		if read != n || r.one.options.IDFrom != nil || r.one.options.IDTo != nil {
			t.Errorf("%s: %d entries, want %d", r.name, read, n)
		}
	}
	if !slices.Equal(names, figure.Races()) {
		t.Errorf("%q, but the host knows of %q", names, figure.Races())
	}
}

func TestFastest(t *testing.T) {
	if a, b, c := fastest(0, 3), fastest(3, 2), fastest(2, 3); a != 3 || b != 2 || c != time.Duration(2) {
		t.Error(a, b, c)
	}
}
