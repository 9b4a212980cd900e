// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"strings"
	"testing"

	"bulkdump/client"
)

// A thread 92, which was a shell until it executed the contender, makes its two
// marks, and its calls between them beside those of a thread 93 that sleeps.
const traced = `# tracer: nop
#
# entries-in-buffer/entries-written: 26/26   #P:1
#
           <...>-92      [000] .....              30: sys_exit: NR 1 = 3
           <...>-92      [000] .....              40: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
           <...>-92      [000] .....              41: sys_exit: NR 110 = 90
           <...>-92      [000] .....              50: sys_enter: NR 59 (7ffc, 7ffc, 7ffc, 0, 0, 0)
           <...>-92      [000] .....              90: sys_exit: NR 59 = 0
           <...>-92      [000] .....             100: sys_enter: NR 0 (3, c000, 40, 0, 0, 0)
           <...>-92      [000] .....             900: sys_exit: NR 0 = 64
     bench-guest-92      [000] .....            1000: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
     bench-guest-92      [000] .....            1500: sys_exit: NR 110 = 91
           <...>-93      [000] .....            1600: sys_enter: NR 202 (c000, 80, 0, 0, 0, 0)
           <...>-92      [000] .....            2000: sys_enter: NR 46 (4, 7ffc, 0, 0, 0, 0)
           <...>-92      [000] .....            5000: sys_exit: NR 46 = 36
           <...>-92      [000] .....            6000: sys_enter: NR 47 (4, 7ffc, 42, 0, 0, 0)
           <...>-92      [000] .....            7000: sys_exit: NR 47 = 3712
           <...>-92      [000] .....            8000: sys_enter: NR 47 (4, 7ffc, 40, 0, 0, 0)
           <...>-92      [000] .....           12000: sys_exit: NR 47 = 3712
           <...>-93      [000] .....           13000: sys_exit: NR 202 = 0
           <...>-92      [000] .....           14000: sys_enter: NR 45 (4, 7ffc, 10000, 2, 0, 0)
           <...>-92      [000] .....           15000: sys_exit: NR 45 = 20
           <...>-92      [000] .....           16000: sys_enter: NR 45 (4, 7ffc, 10000, 0, 0, 0)
           <...>-92      [000] .....           17000: sys_exit: NR 45 = -11
           <...>-92      [000] .....           18000: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
           <...>-92      [000] .....           18400: sys_exit: NR 110 = 91
           <...>-92      [000] .....           19000: sys_enter: NR 0 (3, c000, 40, 0, 0, 0)
           <...>-92      [000] .....           19900: sys_exit: NR 0 = 64
`

func TestParseTrace(t *testing.T) {
	got, err := parseTrace(strings.NewReader(traced))
	// 3000 + 1000 + 4000 + 1000 + 1000, and each of the five 400 less.
	if want := (calls{n: 6, reads: 4, bytes: 3712, instructions: 8000}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestParseTraceRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"lost events":      strings.Replace(traced, "26/26", "26/27", 1),
		"one mark":         strings.Replace(traced, "18400: sys_exit: NR 110", "18400: sys_exit: NR 39", 1),
		"no time":          strings.Replace(traced, " 2000: sys_enter", " later: sys_enter", 1),
		"no number":        strings.Replace(traced, "sys_enter: NR 46", "sys_enter: NR x", 1),
		"no arguments":     strings.Replace(traced, "(4, 7ffc, 42, 0, 0, 0)", "()", 1),
		"no result":        strings.Replace(traced, "NR 47 = 3712", "NR 47 = many", 1),
		"calls of no time": strings.NewReplacer(" 5000:", " 2000:", " 7000:", " 6000:", " 12000:", " 8000:", " 15000:", " 14000:").Replace(traced),
		"nothing":          "",
		"no task":          strings.Replace(traced, " [000] .....            2000", " .....            2000", 1),
	} {
		if got, err := parseTrace(strings.NewReader(text)); !errors.Is(err, errTrace) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

const procText = `id flags value generation payload name
0 0x2a 12 1 0 entry-0-002a
4294967295 0x0 18446744073709551615 2 0 b
`

func TestParseProc(t *testing.T) {
	s := sink{check: true}
	if err := parseProc(strings.NewReader(procText), &s); err != nil {
		t.Fatal(err)
	}
	var want sink
	want.check = true
	want.add(&client.Record{ID: 0, Flags: 0x2a, Value: 12, Generation: 1, Name: []byte("entry-0-002a")})
	want.add(&client.Record{ID: 4294967295, Value: 1<<64 - 1, Generation: 2, Name: []byte("b")})
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	for _, bad := range []string{"", "header\n1 2 3\n", "header\n1 0x2 3 4 0 a\\040b\n", "header\nx 0x2 3 4 0 a\n"} {
		if err := parseProc(strings.NewReader(bad), &s); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

// A contender that misses a record, or decodes one wrongly, is an error.
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

// Each contender has one way to run, and a name of its own; each request can be
// encoded.
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
