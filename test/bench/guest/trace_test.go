// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"strings"
	"testing"
)

// In this trace, thread 92 is a shell that executes the contender, which makes
// its two marks. Thread 93 sleeps meanwhile.
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
	// 3000 + 1000 + 4000 + 1000 + 1000, less 400 for each of the five.
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
