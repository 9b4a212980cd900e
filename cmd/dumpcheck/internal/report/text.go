// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"bulkdump/cmd/internal/term"
)

// A Reporter prints a run while it is made. Begin is called when the targets are
// known, Checked after each check, Done after each target's last check, End at the
// run's end.
type Reporter interface {
	Begin(*Run) error
	Checked(*Target, *Check) error
	Done(*Target) error
	End(*Run) error
}

// Text is a report for people.
type Text struct {
	W       io.Writer
	Width   int // of the terminal; 0: it is none, and lines are as long as they are
	Colors  bool
	Verbose bool // with all that is known
	Rows    bool // a row for each target first, and details only of those that are broken

	name  int  // width of the targets' names
	below bool // there is a target above
}

// How much is shown unless it is verbose.
const (
	mostFindings = 3 // of a check
	mostLines    = 8 // of a message
)

// Begin writes the head of the rows.
func (t *Text) Begin(r *Run) error {
	if !t.Rows {
		return nil
	}
	t.name = len("DUMP")
	for _, target := range r.Targets {
		t.name = max(t.name, utf8.RuneCountInString(term.Visible(target.Name)))
	}
	_, err := fmt.Fprintf(t.W, "%-*s  %8s  %-14s  %s\n", t.name, "DUMP", "RECORDS", "VERDICT", "CHECKS")
	return err
}

// Checked writes nothing: a target is written as a whole.
func (t *Text) Checked(*Target, *Check) error { return nil }

// Done writes the target, or its row.
func (t *Text) Done(target *Target) error {
	if !t.Rows {
		return t.target(target)
	}
	records := "-"
	if target.Records != nil {
		records = strconv.Itoa(*target.Records)
	}
	name := term.Visible(target.Name)
	pad := strings.Repeat(" ", t.name-utf8.RuneCountInString(name))
	head := fmt.Sprintf("%s%s  %8s  ", name, pad, records)
	what := strings.Join(target.Found(), " ")
	if what == "" {
		what = target.reason()
	}
	room := utf8.RuneCountInString(head) + 16
	if what = term.Visible(what); t.Width > 0 && !t.Verbose && room < t.Width {
		what = (&Text{Width: t.Width - room}).cut(what, "")
	}
	_, err := fmt.Fprintln(t.W, strings.TrimRight(head+t.verdict(target.Verdict, 14)+"  "+what, " "))
	return err
}

// End writes the details that the rows lack, and the sums.
func (t *Text) End(r *Run) error {
	if t.Rows {
		for _, target := range r.Targets {
			if !t.Verbose && target.Verdict != Broken {
				continue
			}
			t.below = true // the rows
			if err := t.target(target); err != nil {
				return err
			}
		}
	}
	var b bytes.Buffer
	if len(r.Targets) > 1 {
		own := 0
		for _, target := range r.Targets {
			if target.Own {
				own++
			}
		}
		made := ""
		if own > 0 {
			made = fmt.Sprintf(", %d of them made in a network namespace of its own", own)
		}
		fmt.Fprintf(&b, "\n%d dumps%s: %s\n", len(r.Targets), made, t.summary(r.Summary))
	}
	if r.Incomplete != "" {
		t.wrap(&b, "", 0, "not everything was checked: "+term.Visible(r.Incomplete))
	}
	_, err := t.W.Write(b.Bytes())
	return err
}

var verdictColors = map[Verdict]term.Color{
	Broken: term.Red, Weak: term.Yellow, Note: term.Cyan, OK: term.Green, Ignored: term.Dim, NotApplicable: term.Dim, NotChecked: term.Dim,
}

func (t *Text) color(c term.Color, text string) string {
	if !t.Colors {
		return text
	}
	return c.Paint(text)
}

func (t *Text) verdict(v Verdict, width int) string {
	return t.color(verdictColors[v], string(v)) + strings.Repeat(" ", max(width-len(v), 0))
}

// target writes one target, the worst first: that is what is to be repaired first.
func (t *Text) target(target *Target) error {
	var b bytes.Buffer
	if t.below {
		fmt.Fprintln(&b)
	}
	t.below = true
	head := t.color(term.Bold, term.Visible(target.Name))
	if target.Records != nil {
		head += ": " + count(*target.Records, "record")
		if target.Pages != nil {
			head += " in " + count(*target.Pages, "page")
		}
		if target.Own {
			head += ", made in a network namespace of its own"
		}
	}
	if target.Key != "" {
		head += "; key: " + term.Visible(target.Key)
		if target.KeyGuessed {
			head += ", found by trying"
		}
	}
	fmt.Fprintln(&b, head)
	id := 0
	for _, c := range target.Checks {
		id = max(id, len(c.ID))
	}
	for _, c := range target.Ordered(Broken, Weak, Note, Ignored) {
		t.check(&b, c, id)
	}
	if t.Verbose {
		for _, c := range target.Ordered(OK, NotApplicable, NotChecked) {
			text := term.Visible(c.Title)
			switch {
			case c.Verdict != OK:
				text = term.Visible(c.Reason)
			case c.Info != "":
				text += " (" + term.Visible(c.Info) + ")"
			}
			if c.Verdict == OK && c.Took >= 0.1 {
				text += fmt.Sprintf(" (%.1f s)", c.Took)
			}
			t.wrap(&b, fmt.Sprintf("  %s  %-*s  ", t.verdict(c.Verdict, 14), id, c.ID), 20+id, text)
		}
	} else {
		t.fold(&b, OK, "passed", target)
		t.fold(&b, NotApplicable, string(NotApplicable), target)
		t.fold(&b, NotChecked, string(NotChecked), target)
	}
	fmt.Fprintln(&b, t.summary(target.Summary))
	_, err := t.W.Write(b.Bytes())
	return err
}

// fold writes the checks of a verdict on one line, with the reasons.
func (t *Text) fold(b *bytes.Buffer, v Verdict, name string, target *Target) {
	checks := target.Ordered(v)
	if len(checks) == 0 {
		return
	}
	// What the user can do about comes first: a terminal cuts the line.
	slices.SortStableFunc(checks, func(a, b Check) int {
		first := func(c Check) bool { return strings.Contains(c.Reason, ": give ") }
		switch {
		case first(a) == first(b):
			return 0
		case first(a):
			return -1
		}
		return 1
	})
	var parts []string
	for i, c := range checks {
		part := c.ID
		// Of several that have the same reason, the last one tells it.
		if c.Reason != "" && (i+1 == len(checks) || checks[i+1].Reason != c.Reason) {
			part += ": " + term.Visible(c.Reason) + ";"
		} else {
			part += ","
		}
		parts = append(parts, part)
	}
	text := strings.TrimRight(strings.Join(parts, " "), ",;")
	if v == OK {
		// The ids are all that there is: they may take a second line.
		t.wrap(b, "  "+t.color(term.Green, name)+strings.Repeat(" ", max(16-len(name), 0)), 18, text)
		return
	}
	line := fmt.Sprintf("  %-14s  %s", name, text)
	fmt.Fprintln(b, t.color(term.Dim, t.cut(line, ", -v: all")))
}

// check writes a check that found something.
func (t *Text) check(b *bytes.Buffer, c Check, id int) {
	indent := 14 + id
	verdict := t.verdict(c.Verdict, 8)
	if c.Reason != "" {
		defer t.wrap(b, strings.Repeat(" ", indent), indent, "and it did not look to the end: "+term.Visible(c.Reason))
	}
	var shown Hex
	for i, f := range c.Findings {
		if i == mostFindings && !t.Verbose {
			fmt.Fprintf(b, "%*s… %d more, -v: all\n", indent, "", len(c.Findings)-i)
			break
		}
		name := c.ID
		if i > 0 {
			name, verdict = "", strings.Repeat(" ", 8)
			if before := c.Findings[i-1]; f.Severity != before.Severity {
				verdict = t.verdict(Verdict(f.Severity.String()), 8)
			}
		}
		t.wrap(b, fmt.Sprintf("  %s  %-*s  ", verdict, id, name), indent, term.Visible(f.Text))
		if c.Verdict != Ignored && (i == 0 || c.Findings[i-1].Rule != f.Rule) {
			for _, r := range RulesOf([]int{f.Rule}) {
				t.wrap(b, strings.Repeat(" ", indent), indent, fmt.Sprintf("rule %d, %s (--explain %[1]d)", r.Number, r.Title))
			}
		}
		if len(f.Message) == 0 || bytes.Equal(f.Bytes, shown) || !t.Verbose && c.Verdict != Broken && c.Verdict != Weak {
			continue
		}
		shown = f.Bytes
		t.message(b, f.Message)
	}
}

// message writes a message decoded, or what is round its fault.
func (t *Text) message(b *bytes.Buffer, lines []Line) {
	from, to := 0, len(lines)
	if !t.Verbose && len(lines) > mostLines {
		if fault := slices.IndexFunc(lines, func(l Line) bool { return l.Fault }); fault >= mostLines {
			from = min(fault-mostLines/2, len(lines)-mostLines)
		}
		to = from + mostLines
	}
	name := 0
	for _, l := range lines[from:to] {
		name = max(name, 2*l.Depth+utf8.RuneCountInString(l.Name))
	}
	name = min(name, 28)
	if from > 0 {
		fmt.Fprintf(b, "    … %s before, -v: all\n", count(from, "line"))
	}
	for _, l := range lines[from:to] {
		mark := " "
		if l.Fault {
			mark = ">"
		}
		text := fmt.Sprintf("    %s %5d  %-*s  %s", mark, l.At, name, strings.Repeat("  ", l.Depth)+l.Name, l.Text)
		if l.Wrong != "" {
			text += "  <- " + l.Wrong
		}
		text = t.cut(text, "")
		if l.Fault {
			text = t.color(term.Red, text)
		}
		fmt.Fprintln(b, text)
	}
	if to < len(lines) {
		fmt.Fprintf(b, "    … %s more, -v: all\n", count(len(lines)-to, "line"))
	}
}

// summary counts the checks.
func (t *Text) summary(s Summary) string {
	parts := []string{
		count(s.Passed, "check") + " passed", fmt.Sprintf("%d broken", s.Broken), fmt.Sprintf("%d weak", s.Weak),
		count(s.Notes, "note"), fmt.Sprintf("%d not applicable", s.NotApplicable),
	}
	if s.Ignored > 0 {
		parts = append(parts, fmt.Sprintf("%d ignored", s.Ignored))
	}
	if s.NotChecked > 0 {
		parts = append(parts, fmt.Sprintf("%d not checked", s.NotChecked))
	}
	for i, v := range []Verdict{Broken, Weak, Note} {
		if part := parts[i+1]; !strings.HasPrefix(part, "0 ") {
			parts[i+1] = t.color(verdictColors[v], part)
		}
	}
	return strings.Join(parts, ", ")
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// cut cuts a line to the terminal's width, and ends it with what is left out.
func (t *Text) cut(line, more string) string {
	if t.Width == 0 || t.Verbose || utf8.RuneCountInString(line) <= t.Width {
		return line
	}
	more = "…" + more
	return string([]rune(line)[:max(t.Width-utf8.RuneCountInString(more), 0)]) + more
}

// wrap writes a text behind a head that takes so many columns, and its further
// lines below its first.
func (t *Text) wrap(b *bytes.Buffer, head string, indent int, text string) {
	for i, line := range fill(text, t.Width-indent, t.Width == 0) {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		fmt.Fprintln(b, head+line)
	}
}

// fill breaks a text into lines of at most width columns, between its words.
func fill(text string, width int, endless bool) []string {
	if endless {
		return []string{text}
	}
	var lines []string
	line, columns := "", 0
	for _, word := range strings.Fields(text) {
		n := columnsOf(word)
		if line != "" && columns+1+n > width {
			lines = append(lines, line)
			line, columns = "", 0
		}
		if line != "" {
			line, columns = line+" ", columns+1
		}
		line, columns = line+word, columns+n
	}
	return append(lines, line)
}
