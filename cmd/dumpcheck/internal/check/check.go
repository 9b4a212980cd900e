// SPDX-License-Identifier: BSD-3-Clause

// Package check has the checks of a dump. Each looks for one kind of bug, and says
// what it found, with the bytes, or why it could not look.
package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// A Severity says how bad a finding is.
type Severity int

const (
	Note   Severity = iota + 1 // by design elsewhere in the kernel; worth knowing
	Weak                       // a reader cannot rely on the dump: INTR, MULTI, strictness
	Broken                     // wrong data, or no end
)

func (s Severity) String() string { return [...]string{"ok", "note", "weak", "broken"}[s] }

// MarshalText makes the severity a word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Finding is something that is wrong with a dump.
type Finding struct {
	Severity Severity
	Text     string
	Rule     int    // that is broken
	Bytes    []byte // of the message that shows it, with its header
	From, To int    // the part of Bytes that is wrong; 0, 0 is not known

	atRest bool // it is none if somebody else has changed the table
}

// A Result is what a check made of a dump.
type Result struct {
	ID       string
	Title    string
	Rules    []int
	Findings []Finding
	Skipped  string // why it could not look, or not to the end
	Failed   bool   // because of what the user gave: see InputError
	Info     string // what it saw that is neither right nor wrong
	Took     time.Duration
}

// Severity is that of the worst finding; 0 if there is none.
func (r Result) Severity() (worst Severity) {
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// A Check looks for one kind of bug.
type Check struct {
	ID    string
	Title string // what a dump that passes it does
	Rules []int  // their numbers in kmod/rules
	Why   string // what a reader sees if the dump does not
	How   string // what the check does
	run   func(*run)
}

// Options say how to check. The zero value of each has a default.
type Options struct {
	Wait   time.Duration // the longest wait for a page; 5 s
	Bytes  int           // of a dump, and of what is kept of it; 64 MiB
	Pages  int           // of a dump; a million
	Rounds int           // how often a check that looks for a race repeats; 1
	Check  time.Duration // after which a check that repeats itself stops; 10 s
	User   uint32        // who is nobody; 65534

	GivenKey    bool // the target's key is what the user gave
	GivenChange bool // and so is its changer

	// Second counts the records by another reader; nil if there is none.
	Second func(context.Context) (int, error)

	// Base is called with the dump that all checks begin with; nil is not.
	Base func(*observe.Dump)

	// Only are the checks to run, by id; nil is all. The first one runs always: it takes
	// the dump that all others need.
	Only func(id string) bool
}

// run is a target under check.
type run struct {
	ctx context.Context
	*target.Target
	Options
	base   *observe.Dump // the first dump, whole, with the largest pages
	alone  *observe.Dump // another one, with the smallest pages; nil if not taken yet
	new    *observe.Dump // in a new network namespace
	other  *observe.Dump // as a user without rights
	small  int           // buffer for pages as small as they get
	form   form          // what is wrong with the messages of all dumps so far
	unrest bool          // somebody else changes the table
	result *Result
	until  time.Time // when the check should be over

	filtered nldump.Message // a request with a filter that leaves out records; zero if there is none
	refused  nldump.Message // a request with a filter that is refused; zero if there is none
	slow     nldump.Message // the request with the longest wait for a page
	slowest  time.Duration
}

// Run runs all checks on a target, in order, and calls done after each. It stays on
// its goroutine, whose thread has the network namespace. When ctx is done, the checks
// that are left are skipped, and say so.
func Run(ctx context.Context, t *target.Target, o Options, done func(Result)) {
	o.Wait = orDefault(o.Wait, 5*time.Second)
	o.Bytes = orDefault(o.Bytes, 64<<20)
	o.Pages = orDefault(o.Pages, 1<<20)
	o.Check = orDefault(o.Check, 10*time.Second)
	o.Rounds = orDefault(o.Rounds, 1)
	o.User = orDefault(o.User, 65534)
	r := &run{ctx: ctx, Target: t, Options: o, small: small}
	for i := range All {
		c := &All[i]
		if i > 0 && o.Only != nil && !o.Only(c.ID) {
			continue
		}
		r.result = &Result{ID: c.ID, Title: c.Title, Rules: c.Rules}
		begin := time.Now()
		r.until = begin.Add(o.Check)
		switch {
		case ctx.Err() != nil:
			r.skip("%v", context.Cause(ctx))
		case i > 0 && r.base == nil:
			r.skip("no whole dump was taken: see %s", All[0].ID)
		default:
			c.run(r)
			r.doubt(c, time.Since(begin))
		}
		r.result.Took = time.Since(begin)
		if i == 0 && r.base != nil && o.Base != nil {
			o.Base(r.base)
		}
		done(*r.result)
	}
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func (r *run) skip(format string, a ...any) {
	r.result.Skipped, r.result.Failed = fmt.Sprintf(format, a...), false
}

func (r *run) info(format string, a ...any) {
	if r.result.Info != "" {
		r.result.Info += "; "
	}
	r.result.Info += fmt.Sprintf(format, a...)
}

// late tells whether a check that repeats itself should stop here. It has looked, but
// not as often as it would: the result says so.
func (r *run) late(what string, done, of int) bool {
	switch {
	case r.ctx.Err() != nil:
		r.skip("%d of %d %s: %v", done, of, what, context.Cause(r.ctx))
	case time.Now().After(r.until):
		r.info("%d of %d %s in %v", done, of, what, r.Options.Check)
	default:
		return false
	}
	return true
}

// find adds a finding, with the message that shows it unless that is nil.
func (r *run) find(s Severity, m *observe.Message, format string, a ...any) {
	f := Finding{Severity: s, Text: fmt.Sprintf(format, a...)}
	if len(r.result.Rules) > 0 {
		f.Rule = r.result.Rules[0]
	}
	if m != nil {
		f.Bytes = m.Raw
	}
	r.result.Findings = append(r.result.Findings, f)
}

// breaks says which rule the last finding is about, if it is not the check's first.
func (r *run) breaks(rule int) { r.result.Findings[len(r.result.Findings)-1].Rule = rule }

// at says which part of its message the last finding is about.
func (r *run) at(from, to int) {
	f := &r.result.Findings[len(r.result.Findings)-1]
	f.From, f.To = from, to
}

func (r *run) broken(format string, a ...any) { r.find(Broken, nil, format, a...) }
func (r *run) weak(format string, a ...any)   { r.find(Weak, nil, format, a...) }
func (r *run) note(format string, a ...any)   { r.find(Note, nil, format, a...) }

// weakOnce is weak, if it was not found before; noteOnce likewise.
func (r *run) weakOnce(text string) { r.once(Weak, text) }
func (r *run) noteOnce(text string) { r.once(Note, text) }

func (r *run) once(s Severity, text string) (found bool) {
	if slices.ContainsFunc(r.result.Findings, func(f Finding) bool { return f.Text == text }) {
		return false
	}
	r.find(s, nil, "%s", text)
	return true
}

// An InputError is about something that the user gave: a command that fails, or a key
// that no record has. It says nothing about the dump.
type InputError struct{ error }

// Inputf makes an InputError.
func Inputf(format string, a ...any) InputError { return InputError{fmt.Errorf(format, a...)} }

// failed ends a check that could not go on.
func (r *run) failed(err error) bool {
	if err != nil {
		r.skip("%s", strings.ReplaceAll(err.Error(), "\n", "; ")) // of errors.Join
		r.result.Failed = errors.As(err, new(InputError)) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
	}
	return err != nil
}
