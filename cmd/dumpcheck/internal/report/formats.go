// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"bulkdump/cmd/internal/term"
	"bulkdump/vm/testresult"
)

// JSON writes the run as one document, at its end.
type JSON struct{ W io.Writer }

func (JSON) Begin(*Run) error              { return nil }
func (JSON) Checked(*Target, *Check) error { return nil }
func (JSON) Done(*Target) error            { return nil }

// End writes it.
func (j JSON) End(r *Run) error { return term.WriteJSON(j.W, r, "  ") }

// JSONL writes a line for each check, when it was made.
type JSONL struct{ W io.Writer }

// A CheckLine is such a line.
type CheckLine struct {
	Target string `json:"target"`
	Check
}

func (JSONL) Begin(*Run) error { return nil }

// Checked writes the line.
func (j JSONL) Checked(t *Target, c *Check) error {
	return term.WriteJSON(j.W, CheckLine{t.Name, *c}, "")
}

// Done writes the lines of the checks that were not made.
func (j JSONL) Done(t *Target) error {
	for _, c := range t.Checks {
		if c.made {
			continue
		}
		if err := j.Checked(t, &c); err != nil {
			return err
		}
	}
	return nil
}

func (JSONL) End(*Run) error { return nil }

// KTAP writes each target as a test, its checks being the subtests.
type KTAP struct {
	W io.Writer
	n int
}

// Begin writes the plan.
func (k *KTAP) Begin(r *Run) error {
	_, err := io.WriteString(k.W, testresult.KTAPHead(len(r.Targets)))
	return err
}

// Checked writes nothing: a target is written as a whole.
func (k *KTAP) Checked(*Target, *Check) error { return nil }

// Done writes the target.
func (k *KTAP) Done(t *Target) error {
	k.n++
	_, err := io.WriteString(k.W, testresult.KTAPTest(k.n, t.test()))
	return err
}

// End says what a reader of the plan cannot know.
func (k *KTAP) End(r *Run) error {
	text := fmt.Sprintf("# dumpcheck %s on %s: %s\n", term.Visible(r.Dumpcheck), term.Visible(r.Kernel), new(Text).summary(r.Summary))
	if r.Incomplete != "" {
		text += "# not everything was checked: " + term.Visible(r.Incomplete) + "\n"
	}
	_, err := io.WriteString(k.W, text)
	return err
}

// JUnit writes a suite for each target at the run's end, its checks being the
// tests.
type JUnit struct{ W io.Writer }

func (JUnit) Begin(*Run) error              { return nil }
func (JUnit) Checked(*Target, *Check) error { return nil }
func (JUnit) Done(*Target) error            { return nil }

// End writes it.
func (j JUnit) End(r *Run) error {
	var tests []testresult.Test
	for _, t := range r.Targets {
		tests = append(tests, t.test())
	}
	text, err := testresult.JUnitSuites(tests)
	if err != nil {
		return err
	}
	_, err = io.WriteString(j.W, text)
	return err
}

// results are what a check's verdict is for a test. A note is no failure, and
// neither is what was expected.
var results = map[Verdict]testresult.Result{
	OK: testresult.Pass, Note: testresult.Pass, Weak: testresult.Fail, Broken: testresult.Fail,
	Ignored: testresult.Skip, NotApplicable: testresult.Skip, NotChecked: testresult.Skip,
}

// test is the target as a test with subtests.
func (t *Target) test() testresult.Test {
	all := testresult.Test{Name: t.Name, Result: results[t.Verdict], Reason: string(t.Verdict)}
	for _, c := range t.Checks {
		sub := testresult.Test{Name: c.ID, Result: results[c.Verdict], Reason: c.Reason, Output: c.text(), Seconds: c.Took}
		switch c.Verdict {
		case Ignored:
			sub.Reason = "ignored: " + c.Findings[0].Text
		case NotChecked:
			sub.Reason = strings.TrimSuffix("not checked: "+c.Reason, ": ")
		}
		all.Tests = append(all.Tests, sub)
		all.Seconds += c.Took
	}
	return all
}

// text is what a check found, as lines.
func (c Check) text() string {
	if c.Verdict == Ignored {
		return ""
	}
	var b strings.Builder
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "%s: %s: %s\n", c.ID, f.Severity, term.Visible(f.Text))
		for _, l := range f.Message {
			mark := " "
			if l.Fault {
				mark = ">"
			}
			line := fmt.Sprintf("%s %5d  %s%s  %s", mark, l.At, strings.Repeat("  ", l.Depth), l.Name, l.Text)
			if l.Wrong != "" {
				line += "  <- " + l.Wrong
			}
			b.WriteString(line + "\n")
		}
	}
	var broken []int
	for _, f := range c.Findings {
		if !slices.Contains(broken, f.Rule) {
			broken = append(broken, f.Rule)
		}
	}
	for _, r := range RulesOf(broken) {
		fmt.Fprintf(&b, "rule %d, %s: %s\n", r.Number, r.Title, r.Page)
	}
	return b.String()
}
