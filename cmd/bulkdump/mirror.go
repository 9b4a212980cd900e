// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

// mirrorFlags is the command line of mirror.
type mirrorFlags struct {
	once, dumpAtEnd bool
	timeout         time.Duration
	rcvbuf          uint32
}

func (a *app) mirrorCommand() *cobra.Command {
	f := &mirrorFlags{}
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Keep a copy of the table that stays right",
		Long: `mirror dumps the table and then follows its changes, until a signal ends it or
--timeout. Lost events cost a dump of what changed since, or one of all if the
kernel's log of changes does not reach back so far. The copy is in memory: that
is as large as the table.

With -o jsonl or csv it prints each entry once, as an event "new", and then each
change that it applies to its copy, those that a dump brought too. If they come
faster than they are read, it prints what came of them, and stderr says so. With
--once it prints the entries as soon as the copy is exact, and ends; with
--dump-at-end when it ends.

On a terminal a line on stderr tells how it is doing. Its figures come last, on
stderr. The exit code is 0 after --timeout, 130 or 143 after a signal.`,
		Example: `  bulkdump mirror
  bulkdump mirror --once -o json
  bulkdump mirror -o jsonl --rcvbuf 8388608
  bulkdump mirror --timeout 1h --dump-at-end`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return f.check(a) },
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.mirror(cmd.Context(), t, f)
		}),
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "print the entries once the copy is exact, and end")
	cmd.Flags().BoolVar(&f.dumpAtEnd, "dump-at-end", false, "print the entries when a signal or --timeout ends it")
	timeFlag(cmd, &f.timeout, "timeout", "stop after this `TIME`, such as 90s or 2h; 0: do not")
	receiveBufferFlag(cmd, &f.rcvbuf)
	return cmd
}

func (f *mirrorFlags) check(a *app) error {
	if f.once && f.dumpAtEnd {
		return usagef("--once and --dump-at-end are two ways to end: give one of them")
	}
	if f.entries() {
		return nil
	}
	return a.checkStream("mirror")
}

// entries tells whether it prints entries, not changes.
func (f *mirrorFlags) entries() bool { return f.once || f.dumpAtEnd }

func (a *app) mirror(ctx context.Context, t table, f *mirrorFlags) error {
	ctx, cancel := within(ctx, f.timeout)
	defer cancel()
	if f.entries() || a.out.Format != output.FormatTable {
		var stop func()
		ctx, stop = a.out.WhileRead(ctx)
		defer stop()
	}
	// Not with the context: at its end there is the copy to print.
	m, err := t.openMirror(context.WithoutCancel(ctx), client.MirrorOptions{ReceiveBuffer: int(f.rcvbuf)})
	if err != nil {
		return err
	}
	defer m.Close()
	hide := a.showStatus(m)
	err = a.follow(ctx, m, f)
	hide()
	if errors.Is(context.Cause(ctx), unix.EPIPE) {
		return unix.EPIPE
	}
	if err == nil && f.entries() {
		err = a.printEntries(m)
	}
	if err == nil && !f.once {
		a.printMirrorStats(m.Stats())
	}
	return err
}

// follow returns when the command is to end. It is an error if there is no copy
// to print then.
func (a *app) follow(ctx context.Context, m mirror, f *mirrorFlags) error {
	switch {
	case f.entries():
		err := m.Synced(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no exact copy within %v: give a longer --timeout, or a larger --rcvbuf", f.timeout)
		}
		if err != nil || f.once {
			return err
		}
	case a.out.Format != output.FormatTable:
		lagged := a.newLosses(client.ErrLagged, func() string {
			return "not every change is printed, but what came of them: nobody reads them fast enough"
		})
		_, err := a.printEvents(ctx, 0, m.Follow, lagged.note)
		return unlessDone(err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-m.Done():
		return m.Err()
	}
}

func (a *app) printEntries(m mirror) error {
	p := output.NewList(a.out, recordLayouts)
	for e := range m.All() {
		if err := p.Add(recordOf(&e)); err != nil {
			return err
		}
	}
	return p.End()
}

func (a *app) printMirrorStats(s client.MirrorStats) {
	_ = output.WriteFields(a.stderr, []output.Field{ // as little to be done as for any message
		output.F("entries", s.Entries),
		output.F("generation", s.Generation),
		output.F("synced", s.Synced),
		output.F("events", s.Events),
		output.F("overruns", s.Overruns),
		output.F("deltas", s.Deltas),
		output.F("full-passes", s.FullPasses),
		output.F("records", s.Records),
	})
}

const statusEvery = time.Second

// showStatus tells on a terminal how the mirror is doing, until hide is called.
func (a *app) showStatus(m mirror) (hide func()) {
	last := m.Stats()
	return a.out.Status(output.FormatTable).Every(statusEvery, func() []string {
		now := m.Stats()
		parts := statusParts(last, now)
		last = now
		return parts
	})
}

// statusParts is for two looks that are a second apart: what matters most first.
func statusParts(last, now client.MirrorStats) []string {
	state := "catching up"
	if now.Synced {
		state = "exact"
	}
	return []string{
		fmt.Sprintf("%d entries", now.Entries), state, fmt.Sprintf("generation %d", now.Generation),
		fmt.Sprintf("%d events/s", now.Events-last.Events), fmt.Sprintf("%d overruns", now.Overruns),
		fmt.Sprintf("%d deltas", now.Deltas), fmt.Sprintf("%d full passes", now.FullPasses),
	}
}
