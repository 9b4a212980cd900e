// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/internal/report"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
	"bulkdump/cmd/internal/term"
)

// patience is how long a check may go on after the end of the run, and after each change
// of the user's command: it removes what it added. One that does not return is left
// behind.
const patience = 10 * time.Second

// manyTargets are so many dumps as get a row each, and no details unless they are
// broken.
const manyTargets = 4

// An event is what the thread of the checks says: a dump, a result, or that it is
// done with the target.
type event struct {
	base   *observe.Dump
	own    bool // in a network namespace of its own
	result *check.Result
	late   bool // the run had ended when the result came

	key     string // of the target, when it is done
	guessed bool
	err     error // why the target was not checked
}

// check checks the targets, and writes the report while it does.
func (a *app) check(ctx context.Context, targets []*target.Target) (err error) {
	reporter, end, err := a.reporter(len(targets))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	checks := a.chosen()
	run := &report.Run{
		Schema: report.Schema, Dumpcheck: version(debug.ReadBuildInfo()), Kernel: a.kernel.release(), Started: time.Now().UTC().Truncate(time.Millisecond),
		Targets: []*report.Target{},
	}
	for _, t := range targets {
		run.Targets = append(run.Targets, report.NewTarget(t, checks))
	}
	defer func() {
		run.Sum()
		a.verdict = run.Verdict // also if nobody reads the report to its end
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events, left := make(chan event), make(chan struct{})
	defer close(left)
	begin, done := time.Now(), 0
	var status atomic.Value
	status.Store([]string{})
	defer a.stderr.Every(time.Second/5, func() []string {
		return append(slices.Clone(status.Load().([]string)), fmt.Sprint(time.Since(begin).Round(time.Second)))
	})()
	err = reporter.Begin(run)
	if err != nil {
		cancel(errReport)
	}
	go a.work(ctx, targets, events, left)
	late, ended := a.lateness(ctx), ctx.Done()
wait:
	for done < len(targets) {
		t := run.Targets[done]
		status.Store(progress(t, done, len(targets)))
		var e event
		select {
		case e = <-events:
		case <-ended:
			if ended = nil; a.changer.used() {
				a.stderr.Note("dumpcheck: what --change has added is being removed")
			}
			continue
		case <-late:
			break wait
		}
		var failed error
		switch {
		case e.base != nil:
			records, pages := len(e.base.Records()), len(e.base.Pages)
			t.Records, t.Pages, t.Own = &records, &pages, e.own
		case e.result != nil && e.late:
			// It may not have looked to the end, and what it found may be the end itself.
		case e.result != nil:
			t.Add(*e.result, slices.Contains(a.ignore, e.result.ID))
			i := slices.IndexFunc(t.Checks, func(c report.Check) bool { return c.ID == e.result.ID })
			failed = reporter.Checked(t, &t.Checks[i])
		default:
			t.Key, t.KeyGuessed = e.key, e.guessed
			t.Leave(why(ctx, e.err))
			failed = reporter.Done(t)
			done++
		}
		if failed != nil && err == nil {
			err = failed
			cancel(errReport) // the checks remove what they have added
		}
	}
	if left := a.changer.end(); len(left) > 0 {
		a.stderr.Note("dumpcheck: --change may have left %s there. To remove the first, run its command with OP=remove N=%d", objectsText(left), left[0])
	}
	for _, t := range run.Targets[done:] {
		t.Leave(why(ctx, nil))
		err = cmp.Or(err, reporter.Done(t))
	}
	run.Took = time.Since(begin).Seconds()
	if run.Sum(); run.Verdict == report.NotChecked || run.Summary.NotChecked > 0 {
		switch run.Incomplete = why(ctx, nil); {
		case run.Incomplete != "":
		case len(targets) == 1:
			run.Incomplete = run.Targets[0].Ordered(report.NotChecked)[0].Reason
		default:
			run.Incomplete = "see the dumps"
		}
		if err == nil {
			a.stderr.Note("dumpcheck: not everything was checked: %s", run.Incomplete)
		}
	}
	return cmp.Or(err, reporter.End(run))
}

// errReport is why a run ends whose report is in vain.
var errReport = errors.New("the report cannot be written")

// work checks the targets, on a thread of its own: that may be in another network
// namespace. It ends with the program if the kernel does not let it go.
func (a *app) work(ctx context.Context, targets []*target.Target, events chan<- event, left <-chan struct{}) {
	runtime.LockOSThread()
	tell := func(e event) {
		select {
		case events <- e:
		case <-left:
		}
	}
	for _, t := range targets {
		e := event{guessed: t.Key.IsZero()}
		if ctx.Err() == nil {
			e.err = a.checkOne(ctx, t, tell)
		}
		if e.guessed = e.guessed && !t.Key.IsZero(); !t.Key.IsZero() {
			e.key = t.Key.String()
		}
		tell(e)
	}
}

func (a *app) checkOne(ctx context.Context, t *target.Target, tell func(event)) error {
	o := check.Options{
		Wait: a.wait, Pages: int(a.pages), Bytes: int(a.bytes), Rounds: int(a.rounds), Check: a.checkTime,
		GivenKey: a.key != "", GivenChange: a.change != "",
		Only: func(id string) bool { return len(a.only) == 0 || slices.Contains(a.only, id) },
	}
	o.User, _ = a.uid() // understand has looked
	if a.second != "" {
		o.Second = second(a.second)
	}
	run := func(own bool) {
		o.Base = func(d *observe.Dump) { tell(event{base: d, own: own}) }
		a.kernel.check(ctx, t, o, func(r check.Result) { tell(event{result: &r, late: ctx.Err() != nil}) })
	}
	switch {
	case a.change != "":
		run(false)
	case a.here:
		here(t)
		run(false)
	default:
		return a.kernel.within(t, run)
	}
	return nil
}

// chosen are the checks that are to be made. The first one always is.
func (a *app) chosen() []check.Check {
	return slices.DeleteFunc(slices.Clone(a.checks), func(c check.Check) bool {
		return len(a.only) > 0 && !slices.Contains(a.only, c.ID) && c.ID != a.checks[0].ID
	})
}

// lateness is closed some time after the context has ended, and after the last change
// since.
func (a *app) lateness(ctx context.Context) <-chan struct{} {
	late := make(chan struct{})
	var look func(since time.Time)
	look = func(since time.Time) {
		if last := a.changer.lastChange(); last.After(since) {
			time.AfterFunc(time.Until(last.Add(a.patience)), func() { look(last) })
			return
		}
		close(late)
	}
	context.AfterFunc(ctx, func() {
		end := time.Now()
		time.AfterFunc(a.patience, func() { look(end) })
	})
	return late
}

// objectsText names objects: objects 1, 2, 3 and 17 more.
func objectsText(all []int) string {
	const most = 8
	text := "object"
	if len(all) > 1 {
		text += "s"
	}
	for i, n := range all {
		switch {
		case i == most:
			return fmt.Sprintf("%s and %d more", text, len(all)-most)
		case i > 0:
			text += ","
		}
		text += fmt.Sprint(" ", n)
	}
	return text
}

// why says why checks were not made.
func why(ctx context.Context, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case ctx.Err() != nil:
		return context.Cause(ctx).Error()
	}
	return ""
}

// progress is what a terminal shows meanwhile.
func progress(t *report.Target, done, of int) []string {
	var next string
	made := 0
	for _, c := range t.Checks {
		if c.Made() {
			made++
		} else if next == "" {
			next = ": " + c.ID
		}
	}
	parts := []string{term.Visible(t.Name)}
	if next != "" {
		parts = append(parts, fmt.Sprintf("check %d of %d%s", made+1, len(t.Checks), next))
	}
	if of > 1 {
		parts = append(parts, fmt.Sprintf("dump %d of %d", done+1, of))
	}
	return parts
}

// reporters are several reporters in one. One that fails gets nothing more, and the
// others go on.
type reporters []report.Reporter

func (all reporters) each(f func(report.Reporter) error) error {
	var errs []error
	for i, r := range all {
		if r == nil {
			continue
		}
		if err := f(r); err != nil {
			errs = append(errs, err)
			all[i] = nil
		}
	}
	return errors.Join(errs...)
}

func (all reporters) Begin(run *report.Run) error {
	return all.each(func(r report.Reporter) error { return r.Begin(run) })
}

func (all reporters) Checked(t *report.Target, c *report.Check) error {
	return all.each(func(r report.Reporter) error { return r.Checked(t, c) })
}

func (all reporters) Done(t *report.Target) error {
	return all.each(func(r report.Reporter) error { return r.Done(t) })
}

func (all reporters) End(run *report.Run) error {
	return all.each(func(r report.Reporter) error { return r.End(run) })
}

// reporter returns what writes the report. end closes its file.
func (a *app) reporter(targets int) (_ report.Reporter, end func() error, err error) {
	end = func() error { return nil }
	out := io.Writer(a.stdout)
	text := &report.Text{Colors: a.color.Colored(a.width != nil), Verbose: a.verbose, Rows: a.all || targets >= manyTargets}
	if a.width != nil {
		text.Width = a.width()
		out = clearing{a.stdout, a.stderr}
	}
	text.W = out
	all := reporters{map[string]report.Reporter{
		"table": text, "json": report.JSON{W: out}, "jsonl": report.JSONL{W: out}, "ktap": &report.KTAP{W: out},
	}[a.output]}
	if a.junit != "" {
		file, err := os.Create(a.junit)
		if err != nil {
			return nil, nil, fmt.Errorf("--junit: %w", err)
		}
		all, end = append(all, report.JUnit{W: file}), file.Close
	}
	return all, end, nil
}

// clearing writes to the terminal that the status may be on.
type clearing struct {
	w       io.Writer
	console *term.Console
}

func (c clearing) Write(b []byte) (int, error) {
	c.console.Clear()
	return c.w.Write(b)
}

// version is what this program was built from, as far as that is known.
func version(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case version != "(devel)" && s.Key != "vcs.modified":
		case s.Key == "vcs.revision":
			version = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true" && !strings.Contains(version, "+"):
			version += "+modified"
		}
	}
	return version
}
