// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// red reports whether the column's run was not a PASS.
func (c column) red() bool { return !c.ran || c.Code != 0 }

// cell finds a test's result; one that is not there is missing.
func (c column) cell(test string) summaryTest {
	for _, t := range c.Tests {
		if t.Name == test {
			return t
		}
	}
	return summaryTest{Name: test, Result: resultMissing}
}

// matrixTable is a row for each test, a column for each kernel, and totals. It
// counts the cells: a missing one has failed, and so has a column that is red
// although none of its cells is: then the kernel's log was not clean, or so.
func matrixTable(columns []column) (table string, passed, failed int) {
	var tests []string
	for _, c := range columns {
		for _, t := range c.Tests {
			if !slices.Contains(tests, t.Name) {
				tests = append(tests, t.Name)
			}
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, of func(c column) string) {
		fmt.Fprint(w, name)
		for _, c := range columns {
			fmt.Fprint(w, "\t", of(c))
		}
		fmt.Fprintln(w)
	}
	row("test", func(c column) string { return c.kernel })
	redCells := map[string]int{}
	for _, test := range tests {
		row(test, func(c column) string {
			t := c.cell(test)
			switch t.Result {
			case resultPass:
				passed++
				return fmt.Sprintf("passed %.2f", t.Seconds)
			case resultSkip:
				return "skipped"
			case resultFail:
				failed++
				redCells[c.kernel]++
				return fmt.Sprintf("FAILED %.2f", t.Seconds)
			}
			failed++
			redCells[c.kernel]++
			return "MISSING"
		})
	}
	for _, c := range columns {
		if c.red() && redCells[c.kernel] == 0 {
			failed++
		}
	}
	row("passed", func(c column) string { return fmt.Sprint(c.Passed) })
	row("failed", func(c column) string { return fmt.Sprint(redCells[c.kernel]) })
	row("skipped", func(c column) string { return fmt.Sprint(c.Skipped) })
	row("seconds", func(c column) string {
		sum := 0.0
		for _, t := range c.Tests {
			sum += t.Seconds
		}
		return fmt.Sprintf("%.1f", sum)
	})
	row("boot", func(c column) string { return fmt.Sprintf("%.1f s", c.Boot) })
	row("log", func(c column) string {
		if c.Log == "clean" {
			return c.Log
		}
		return "DIRTY"
	})
	row("verdict", func(c column) string {
		if c.red() {
			return fmt.Sprintf("FAIL %d", c.Code)
		}
		return "PASS"
	})
	w.Flush()
	for _, c := range columns {
		if c.red() {
			fmt.Fprintf(&b, "%s: %s\n", c.kernel, c.Verdict)
		}
	}
	return b.String(), passed, failed
}
