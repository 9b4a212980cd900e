// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"testing"

	"bulkdump/test/bench/figure"
)

// A contender that misses a record or decodes one wrongly is an error.
func TestCompareFindsWhatIsWrong(t *testing.T) {
	var e expected
	e[everything] = sink{records: 10, sum: 7, checksum: 5}
	e[middleHalf] = sink{records: 5, sum: 3, checksum: 2}
	all, half, cat := contender{}, contender{share: middleHalf}, contender{opaque: true}
	good := result{Records: 10, Sum: 7, Checksum: 5}
	for _, c := range []struct {
		name  string
		of    contender
		check bool
		r     result
		wrong bool
	}{
		{"all is right", all, true, good, false},
		{"one that is measured has no checksum", all, false, result{Records: 10, Sum: 7}, false},
		{"a record is missing", all, true, result{Records: 9, Sum: 7, Checksum: 5}, true},
		{"a field differs", all, false, result{Records: 10, Sum: 8}, true},
		{"the checksum differs", all, true, result{Records: 10, Sum: 7, Checksum: 4}, true},
		{"all of them for a half", half, true, good, true},
		{"the half", half, true, result{Records: 5, Sum: 3, Checksum: 2}, false},
		{"cat knows no fields", cat, false, result{Records: 10}, false},
		{"what cat reads is checked", cat, true, result{Records: 10, Checksum: 5}, true},
	} {
		if err := e.compare(c.of, c.check, c.r); (err != nil) != c.wrong {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each contender has exactly one way to run and a name of its own. Each request
// can be encoded.
func TestContenders(t *testing.T) {
	names := map[string]bool{}
	for _, c := range contenders(1000) {
		if names[c.name] || (c.read == nil) == (c.program == "") {
			t.Errorf("contender %q", c.name)
		}
		names[c.name] = true
		if _, err := c.options.Request(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if from, to := middle(1000); from != 250 || to != 749 {
		t.Errorf("the middle half of 1000 is %d to %d", from, to)
	}
}

// In other settings than the first, few are measured.
func TestMeasures(t *testing.T) {
	var all []string
	for _, c := range contenders(100000) {
		all = append(all, c.name, figure.CopyOf+c.name)
	}
	for i, in := range figure.Settings {
		for _, name := range in.Of {
			if !slices.Contains(all, name) {
				t.Errorf("there is no %q%s", name, in.Name)
			}
		}
		b := bench{in: in, wanted: func(name string) bool { return name != "unwanted"+in.Name }}
		if !b.measures(figure.Ours) || b.measures("libmnl") != (i == 0) || b.measures("unwanted") {
			t.Errorf("what is measured%s", in.Name)
		}
		b.wanted = func(name string) bool { return name != figure.Ours+in.Name }
		if b.measures(figure.Ours) {
			t.Errorf("what is not wanted is measured%s", in.Name)
		}
		if f := b.figure(contender{name: figure.Ours}, 10, result{}); f.Contender != figure.Ours+in.Name {
			t.Errorf("%q%s", f.Contender, in.Name)
		}
	}
}

// Contenders that other threads disturb run several times, on small tables.
func TestRuns(t *testing.T) {
	for _, c := range contenders(1000) {
		want := 5
		if c.square {
			want = 1
		}
		if got := runs(c, 1000); got != want {
			t.Errorf("%s: %d runs, not %d", c.name, got, want)
		}
		if got := runs(c, 1_000_000); got != 1 {
			t.Errorf("%s: %d runs on a large table", c.name, got)
		}
	}
}
