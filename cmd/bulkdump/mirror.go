// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bulkdump/client/mirror"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
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
		Long: `mirror dumps the table and then follows its changes, until a signal or --timeout
ends it. Lost events cost a dump of what changed since, or of all entries if the
kernel's log of changes does not reach back that far. The copy is in memory,
which grows with the table.

With -o jsonl or csv it prints each entry once, as an event "new", and then each
change that it applies to its copy, including those from a dump. If the changes
come faster than they are read, it prints only their result, and stderr says so.
With --once it prints the entries as soon as the copy is exact, and ends. With
--dump-at-end it prints them when it ends.

On a terminal, a line on stderr shows its state. At the end, it prints its
figures on stderr. The exit code is 0 after --timeout, and 130 or 143 after a
signal.`,
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
	cmd.Flags().BoolVar(&f.once, "once", false, "print the entries as soon as the copy is exact, and end")
	cmd.Flags().BoolVar(&f.dumpAtEnd, "dump-at-end", false, "print the entries when a signal or --timeout ends it")
	cli.TimeFlag(cmd, &f.timeout, "timeout", "stop after this `TIME`, such as 90s or 2h; 0: no limit")
	receiveBufferFlag(cmd, &f.rcvbuf)
	return cmd
}

func (f *mirrorFlags) check(a *app) error {
	if f.once && f.dumpAtEnd {
		return usagef("--once and --dump-at-end are two ways to end: give only one")
	}
	if f.entries() {
		return nil
	}
	return a.checkStream("mirror")
}

// entries tells whether it prints entries instead of changes.
func (f *mirrorFlags) entries() bool { return f.once || f.dumpAtEnd }

func (a *app) mirror(ctx context.Context, t table, f *mirrorFlags) error {
	ctx, cancel := within(ctx, f.timeout)
	defer cancel()
	if f.entries() || a.out.Format != output.FormatTable {
		var stop func()
		ctx, stop = a.out.WhileRead(ctx)
		defer stop()
	}
	// Without the context's end: after it, the copy may have to be printed.
	m, err := t.openMirror(context.WithoutCancel(ctx), mirror.Options{ReceiveBuffer: int(f.rcvbuf)})
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

// follow returns when the command has to end. It is an error if the copy cannot be
// printed then.
func (a *app) follow(ctx context.Context, m tableMirror, f *mirrorFlags) error {
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
		lagged := losses{a: a, what: mirror.ErrLagged, text: "some changes were merged into one: they are not read fast enough"}
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

func (a *app) printEntries(m tableMirror) error {
	p := output.NewList(a.out, output.Records)
	for e := range m.All() {
		if err := p.Add(output.RecordOf(&e)); err != nil {
			return err
		}
	}
	return p.End()
}

func (a *app) printMirrorStats(s mirror.Stats) {
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

// showStatus shows the state of the mirror on a terminal, until hide is called.
func (a *app) showStatus(m tableMirror) (hide func()) {
	last := m.Stats()
	return a.out.Status(output.FormatTable).Every(time.Second, func() []string {
		now := m.Stats()
		parts := statusParts(last, now)
		last = now
		return parts
	})
}

// statusParts compares two looks, a second apart. What matters most comes first.
func statusParts(last, now mirror.Stats) []string {
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
