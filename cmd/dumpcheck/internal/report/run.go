// SPDX-License-Identifier: BSD-3-Clause

// Package report prints what the checks found: for people, as JSON, KTAP and
// JUnit.
package report

import (
	"encoding/hex"
	"slices"
	"time"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/target"
)

// A Verdict is what came of a check, a target, or the run.
type Verdict string

// The verdicts of a check. A target and a run have the worst of theirs, which is
// one of the first four, or NotChecked.
const (
	OK            Verdict = "ok"
	Note          Verdict = "note"
	Weak          Verdict = "weak"
	Broken        Verdict = "broken"
	Ignored       Verdict = "ignored"        // it found something that was expected
	NotApplicable Verdict = "not applicable" // it could not look
	NotChecked    Verdict = "not checked"    // the run ended before, or what the user gave is wrong
)

// badness is the order of a report: what is worst comes first, because it is to be
// repaired first. Checks that are equally bad stay in the order in which they ran.
var badness = []Verdict{Broken, Weak, Note, Ignored, OK, NotApplicable, NotChecked}

// A Run is what was checked.
type Run struct {
	Schema     string    `json:"schema"`
	Dumpcheck  string    `json:"dumpcheck"`
	Kernel     string    `json:"kernel"`
	Started    time.Time `json:"started"`
	Took       float64   `json:"took_s"`
	Verdict    Verdict   `json:"verdict"`
	Incomplete string    `json:"incomplete,omitempty"` // why not everything was checked
	Summary    Summary   `json:"summary"`
	Targets    []*Target `json:"targets"`
}

// Schema names the form of the JSON.
const Schema = "urn:dumpcheck:report"

// A Target is a dump that is checked.
type Target struct {
	Name       string  `json:"target"`
	Family     string  `json:"family"`
	Command    string  `json:"command"`
	Protocol   int     `json:"protocol"`
	Records    *int    `json:"records,omitempty"` // nil: no dump was taken
	Pages      *int    `json:"pages,omitempty"`
	Key        string  `json:"key,omitempty"`
	KeyGuessed bool    `json:"key_guessed,omitempty"`
	Own        bool    `json:"own_namespace,omitempty"` // its table was made for the run
	Verdict    Verdict `json:"verdict"`
	Summary    Summary `json:"summary"`
	Checks     []Check `json:"checks"`

	format Format
}

// A Check is a check of a target, and what came of it.
type Check struct {
	ID       string    `json:"check"`
	Title    string    `json:"title"`
	Verdict  Verdict   `json:"verdict"`
	Rules    []Rule    `json:"rules,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
	Reason   string    `json:"reason,omitempty"` // why it is not applicable, or not checked
	Info     string    `json:"info,omitempty"`   // what it saw that is neither right nor wrong
	Took     float64   `json:"took_s"`

	made bool
}

// Made tells whether the check was made, or tried at least.
func (c Check) Made() bool { return c.made }

// A Rule is a rule of a correct dump that a check is about.
type Rule struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	Page   string `json:"page"`
}

// A Finding is something that is wrong with a dump.
type Finding struct {
	Severity check.Severity `json:"severity"`
	Rule     int            `json:"rule,omitempty"` // that is broken
	Text     string         `json:"text"`
	Bytes    Hex            `json:"bytes,omitempty"`
	Fault    *Span          `json:"fault,omitempty"`
	Message  []Line         `json:"message,omitempty"` // the bytes decoded
}

// A Span is a part of a message's bytes.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Hex are bytes that JSON has as hexadecimal digits.
type Hex []byte

// MarshalText encodes them.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// A Summary counts checks by their verdicts.
type Summary struct {
	Passed        int `json:"passed"`
	Broken        int `json:"broken"`
	Weak          int `json:"weak"`
	Notes         int `json:"notes"`
	Ignored       int `json:"ignored"`
	NotApplicable int `json:"not_applicable"`
	NotChecked    int `json:"not_checked"`
}

// NewTarget returns a target whose checks have all to be made.
func NewTarget(t *target.Target, checks []check.Check) *Target {
	r := &Target{
		Name: t.Name(), Family: t.Family, Command: t.Command, Protocol: t.Protocol,
		format: Format{Protocol: t.Protocol, Header: t.Header, Generic: t.Generic != nil, Names: t.Names},
	}
	for _, c := range checks {
		r.Checks = append(r.Checks, Check{ID: c.ID, Title: c.Title, Verdict: NotChecked, Rules: RulesOf(c.Rules)})
	}
	r.sum()
	return r
}

// Add notes what a check found. What an ignored check finds does not count.
func (t *Target) Add(r check.Result, ignored bool) {
	i := slices.IndexFunc(t.Checks, func(c Check) bool { return c.ID == r.ID })
	if i < 0 {
		i = len(t.Checks)
		t.Checks = append(t.Checks, Check{ID: r.ID})
	}
	c := &t.Checks[i]
	c.made = true
	c.Title, c.Rules, c.Reason, c.Info, c.Took = r.Title, RulesOf(r.Rules), r.Skipped, r.Info, r.Took.Seconds()
	for _, f := range r.Findings {
		x := Finding{Severity: f.Severity, Rule: f.Rule, Text: f.Text, Bytes: f.Bytes}
		if f.To > f.From {
			x.Fault = &Span{f.From, f.To}
		}
		if len(f.Bytes) > 0 {
			x.Message = t.format.Decode(f.Bytes, x.Fault)
		}
		c.Findings = append(c.Findings, x)
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	switch {
	case len(c.Findings) > 0 && ignored:
		c.Verdict = Ignored
	case len(c.Findings) > 0:
		c.Verdict = map[check.Severity]Verdict{check.Note: Note, check.Weak: Weak, check.Broken: Broken}[r.Severity()]
	case r.Failed:
		c.Verdict = NotChecked
	case r.Skipped != "":
		c.Verdict = NotApplicable
	default:
		c.Verdict = OK
	}
	t.sum()
}

// Leave says why the checks that have not been made are not made.
func (t *Target) Leave(why string) {
	for i := range t.Checks {
		if !t.Checks[i].made {
			t.Checks[i].Reason = why
		}
	}
}

// Ordered are the checks with a verdict, the worst first.
func (t *Target) Ordered(of ...Verdict) []Check {
	var all []Check
	for _, v := range badness {
		for _, c := range t.Checks {
			if c.Verdict == v && slices.Contains(of, v) {
				all = append(all, c)
			}
		}
	}
	return all
}

// Found are the ids of the checks that found something, the worst first.
func (t *Target) Found() []string {
	var ids []string
	for _, c := range t.Ordered(Broken, Weak, Note) {
		ids = append(ids, c.ID)
	}
	return ids
}

// reason says why nothing came of a target; "" if something did.
func (t *Target) reason() string {
	if t.Verdict != NotApplicable && t.Verdict != NotChecked {
		return ""
	}
	for _, c := range t.Checks {
		if c.Verdict == t.Verdict && c.Reason != "" {
			return c.Reason
		}
	}
	return ""
}

func (t *Target) sum() {
	t.Summary = Summary{}
	for _, c := range t.Checks {
		t.Summary.count(c.Verdict)
	}
	t.Verdict = t.Summary.verdict()
}

// Sum makes the run's summary and verdict from those of its targets.
func (r *Run) Sum() {
	r.Summary = Summary{}
	for _, t := range r.Targets {
		for _, c := range t.Checks {
			r.Summary.count(c.Verdict)
		}
	}
	if r.Verdict = r.Summary.verdict(); len(r.Targets) == 0 {
		r.Verdict = NotChecked
	}
}

func (s *Summary) count(v Verdict) {
	switch v {
	case OK:
		s.Passed++
	case Note:
		s.Notes++
	case Weak:
		s.Weak++
	case Broken:
		s.Broken++
	case Ignored:
		s.Ignored++
	case NotApplicable:
		s.NotApplicable++
	case NotChecked:
		s.NotChecked++
	}
}

// verdict is that of the worst check. Nothing that was found does not mean OK if
// nothing was looked at.
func (s Summary) verdict() Verdict {
	switch {
	case s.Broken > 0:
		return Broken
	case s.Weak > 0:
		return Weak
	case s.NotChecked > 0:
		return NotChecked
	case s.Notes > 0:
		return Note
	case s.Passed == 0 && s.Ignored == 0:
		return NotApplicable
	}
	return OK
}
