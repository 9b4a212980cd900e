// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"fmt"
	"regexp"
	"strings"
)

// reportTaint are the taints that a report in the log brings with it: a bad page
// (KASAN, too), an oops, a warning, a soft lockup. They say nothing that the log does
// not.
const reportTaint = 1<<5 | 1<<7 | 1<<9 | 1<<14

// endTrace ends what cutHere began.
const endTrace = "---[ end trace "

// An expectation is the line of a report that is no fault if it comes, and one if it
// does not.
type expectation struct {
	line *regexp.Regexp
	came bool
}

// withoutExpected leaves out the reports that are expected. Of these, lines of another
// kind stay. A panic is never expected: the guest died.
func (o *Outcome) withoutExpected(found []finding) (rest []finding) {
	isExpected := make([]bool, len(found))
	reports := map[int]bool{}
	for i, f := range found {
		for e := range o.expected {
			if !f.isFatal() && f.line != cutHere && f.name != "call trace" && o.expected[e].line.MatchString(f.line) {
				o.expected[e].came, isExpected[i], reports[f.report] = true, true, true
			}
		}
	}
	for i, f := range found {
		belongs := reports[f.report] && (f.name == "WARNING" || f.name == "call trace")
		if !isExpected[i] && !belongs {
			rest = append(rest, f)
		}
	}
	return rest
}

// Expect says that the log has a report with a line that matches.
func (o *Outcome) Expect(line *regexp.Regexp) {
	o.expected = append(o.expected, expectation{line: line})
}

// missing are the reports that were expected and did not come.
func (o *Outcome) missing() []string {
	o.findings()
	var missing []string
	for _, e := range o.expected {
		if !e.came {
			missing = append(missing, fmt.Sprintf("kernel log: nothing like %q, which was expected", e.line))
		}
	}
	return missing
}

// reports numbers the reports of a log. One that begins with cutHere has all lines up
// to its endTrace; another one has a line and the call traces after it.
type reports struct {
	number int
	open   bool
}

// sees takes the next line.
func (r *reports) sees(text string) {
	if text == cutHere || r.open && strings.HasPrefix(text, endTrace) {
		r.number++
		r.open = text == cutHere
	}
}

// of is the number of the report that a finding belongs to.
func (r *reports) of(name string) int {
	if !r.open && name != "call trace" {
		r.number++
	}
	return r.number
}

// allowedTaint are the taints that no run fails for: those of the modules, out of tree
// and not signed, and of an expected report.
func (o *Outcome) allowedTaint() uint64 {
	if len(o.expected) > 0 {
		return modulesTaint | reportTaint
	}
	return modulesTaint
}
