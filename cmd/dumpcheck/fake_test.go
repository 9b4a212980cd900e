// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// fakeChecks are made-up checks.
var fakeChecks = []check.Check{
	{ID: "end", Title: "ends with NLMSG_DONE", Rules: []int{1}, Why: "it never ends"},
	{ID: "key", Title: "sends no record twice", Rules: []int{3}, Why: "a reader counts twice", How: "It counts."},
	{ID: "change", Title: "tells of a change"},
}

// A fakeKernel has dumps, and what the checks find in them.
type fakeKernel struct {
	dumps   []string                                      // family command
	found   map[string]check.Finding                      // by check
	skipped map[string]string                             // by check
	failed  []string                                      // checks for which what the user gave is wrong
	before  func(ctx context.Context, dump, check string) // called before each check
	options check.Options
	checked []*target.Target
	entered int   // namespaces
	err     error // of find, all and enter
}

func (f *fakeKernel) targets(words ...string) (all []*target.Target, err error) {
	for _, dump := range f.dumps {
		family, command, _ := strings.Cut(dump, " ")
		if strings.HasPrefix(dump+" ", strings.Join(words, " ")) {
			all = append(all, &target.Target{
				Family: family, Command: command, Protocol: unix.NETLINK_GENERIC, Header: 4, Generic: &target.Generic{},
				Request: nldump.Message{Type: 32, Data: []byte{1, 1, 0, 0}},
			})
		}
	}
	return all, f.err
}

func (f *fakeKernel) run(ctx context.Context, t *target.Target, o check.Options, done func(check.Result)) {
	f.options, f.checked = o, append(f.checked, t)
	for i, c := range fakeChecks {
		if i > 0 && !o.Only(c.ID) {
			continue
		}
		if f.before != nil {
			f.before(ctx, t.Name(), c.ID)
		}
		r := check.Result{ID: c.ID, Title: c.Title, Rules: c.Rules, Skipped: f.skipped[c.ID], Took: time.Millisecond}
		if slices.Contains(f.failed, c.ID) {
			r.Skipped, r.Failed = "--change: exit status 1", true
		}
		if finding, ok := f.found[c.ID]; ok {
			r.Findings = []check.Finding{finding}
		}
		if i == 0 {
			o.Base(&observe.Dump{Pages: []observe.Page{{}}})
			t.Key = target.Key{Attrs: [][]uint16{{1}}}
		}
		done(r)
	}
}

func (f *fakeKernel) kernel() kernel {
	return kernel{
		find: func(_ context.Context, words []string) ([]*target.Target, error) { return f.targets(words...) },
		all:  func(context.Context) ([]*target.Target, error) { return f.targets() },
		describe: func(_ []*target.Target, paths []string) error {
			if len(paths) > 0 {
				return usagef("--spec: %s", paths[0])
			}
			return nil
		},
		parseKey: func(*target.Target, string) (target.Key, error) { return target.Key{Attrs: [][]uint16{{7}}}, nil },
		selected: func(t *target.Target, attrs []string) (*target.Target, error) {
			other := *t
			other.Request = t.With([]byte(strings.Join(attrs, ",")))
			return &other, nil
		},
		within: func(_ *target.Target, check func(bool)) error {
			f.entered++
			if f.err == nil {
				check(true)
			}
			return f.err
		},
		check:   f.run,
		release: func() string { return "6.1.0-test" },
	}
}

// A ran is what a command line left.
type ran struct {
	stdout, stderr string
	code           int
}

func newApp(f *fakeKernel) (a *app, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return &app{
		stdout: stdout, stderr: term.NewConsole("dumpcheck", stderr, nil), kernel: f.kernel(), checks: fakeChecks, patience: time.Minute,
	}, stdout, stderr
}

func run(t testing.TB, f *fakeKernel, args ...string) ran {
	t.Helper()
	return runUntil(t.Context(), f, args...)
}

func runUntil(ctx context.Context, f *fakeKernel, args ...string) ran {
	a, stdout, stderr := newApp(f)
	code := a.run(ctx, args)
	return ran{stdout.String(), stderr.String(), code}
}

// check compares the exit code, and whether the texts have what is wanted.
func (r ran) check(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stdout, stdout) || !strings.Contains(r.stderr, stderr) || stderr == "" && r.stderr != "" {
		t.Errorf("got %d, stdout:\n%s\nstderr: %s\nwant %d, %q, %q", r.code, r.stdout, r.stderr, code, stdout, stderr)
	}
}

// signaled returns a context, and what ends it as SIGINT does.
func signaled(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	return ctx, func() { cancel(cli.Signaled{Signal: unix.SIGINT}) }
}
