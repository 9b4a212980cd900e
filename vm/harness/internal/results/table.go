// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"bulkdump/vm/harness/internal/host"
)

// resultMissing is the result of a cell whose test has none.
const resultMissing = "missing"

// Column is the run on one kernel.
type Column struct {
	Name string // the kernel's, for --kernel
	summary
	ran bool // it left a summary
}

// Red reports whether the column's run was not a PASS.
func (c Column) Red() bool { return !c.ran || c.Code != 0 }

func (c Column) cell(test string) summaryTest {
	if i := slices.IndexFunc(c.Tests, func(t summaryTest) bool { return t.Name == test }); i >= 0 {
		return c.Tests[i]
	}
	return summaryTest{Name: test, Result: resultMissing}
}

// Table has a row for each test, a column for each kernel, and totals. It counts
// the cells. A missing cell has failed. A column that is red although no cell is
// (its log was not clean, say) counts as one failure.
func Table(columns []Column) (table string, passed, failed int) {
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
	row := func(name string, of func(c Column) string) {
		fmt.Fprint(w, name)
		for _, c := range columns {
			fmt.Fprint(w, "\t", of(c))
		}
		fmt.Fprintln(w)
	}
	row("test", func(c Column) string { return c.Name })
	redCells := map[string]int{}
	for _, test := range tests {
		row(test, func(c Column) string {
			t := c.cell(test)
			switch t.Result {
			case resultPass:
				passed++
				return fmt.Sprintf("passed %.2f", t.Seconds)
			case resultSkip:
				return "skipped"
			case resultFail:
				failed++
				redCells[c.Name]++
				return fmt.Sprintf("FAILED %.2f", t.Seconds)
			}
			failed++
			redCells[c.Name]++
			return "MISSING"
		})
	}
	for _, c := range columns {
		if c.Red() && redCells[c.Name] == 0 {
			failed++
		}
	}
	row("passed", func(c Column) string { return fmt.Sprint(c.Passed) })
	row("failed", func(c Column) string { return fmt.Sprint(redCells[c.Name]) })
	row("skipped", func(c Column) string { return fmt.Sprint(c.Skipped) })
	row("seconds", func(c Column) string {
		sum := 0.0
		for _, t := range c.Tests {
			sum += t.Seconds
		}
		return fmt.Sprintf("%.1f", sum)
	})
	row("boot", func(c Column) string { return fmt.Sprintf("%.1f s", c.Boot) })
	row("log", func(c Column) string {
		if c.Log == "clean" {
			return c.Log
		}
		return "DIRTY"
	})
	row("verdict", func(c Column) string {
		if c.Red() {
			return fmt.Sprintf("FAIL %d", c.Code)
		}
		return "PASS"
	})
	w.Flush()
	for _, c := range columns {
		if c.Red() {
			fmt.Fprintf(&b, "%s: %s\n", c.Name, c.Verdict)
		}
	}
	return b.String(), passed, failed
}

// ReadColumn reads the files that a run left. A run without a summary has failed.
func ReadColumn(name, dir string) Column {
	c := Column{Name: name}
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err == nil {
		err = json.Unmarshal(text, &c.summary)
	}
	if c.ran = err == nil; !c.ran {
		last := "it said nothing"
		if lines := runLog(dir); len(lines) > 0 {
			last = lines[len(lines)-1]
		}
		c.summary = summary{Code: ExitHarness, Verdict: "vm: FAIL: the run left no summary: " + last}
	}
	return c
}

func runLog(dir string) []string {
	text, _ := os.ReadFile(filepath.Join(dir, "run.log"))
	return host.Lines(string(text))
}

// ShowColumn prints the end of the output of a red column, without the tests and
// subtests that passed: the output of a failed one may be far above the end. It is long,
// because what a subtest says comes before its result, and so does what the others say.
func ShowColumn(w io.Writer, c Column, dir string) {
	const most = 150
	lines := slices.DeleteFunc(runLog(dir), func(l string) bool {
		text := strings.TrimLeft(l, " ")
		return strings.HasPrefix(l, resultPass+" ") || strings.HasPrefix(text, "--- PASS: ") || strings.HasPrefix(text, "--- SKIP: ")
	})
	fmt.Fprintf(w, "vm: %s is red; the end of what it said of that:\n", c.Name)
	for _, line := range lines[max(0, len(lines)-most):] {
		fmt.Fprintf(w, "    %s: %s\n", c.Name, line)
	}
}
