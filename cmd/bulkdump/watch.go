// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
)

// watchFlags is the command line of watch.
type watchFlags struct {
	count   uint64
	timeout time.Duration
	rcvbuf  uint32
}

// maxReceiveBuffer is the most that the kernel can double.
const maxReceiveBuffer = math.MaxInt32 / 2

func receiveBufferFlag(cmd *cobra.Command, to *uint32) {
	numberWithin(cmd, to, 0, maxReceiveBuffer, "rcvbuf",
		"receive buffer, in `BYTES`, for events that wait to be read; 0: the system's default")
}

func (a *app) watchCommand() *cobra.Command {
	f := &watchFlags{}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print the changes of the table as they are made",
		Long: `watch prints each change of the table when it is made: new, set and del of one
entry, fill and flush of many. It needs the same memory for ten events and for
ten million. It runs until a signal, --timeout or --count ends it, and then
prints on stderr how many events there were. The exit code is 0, or 130 or 143
after a signal.

Events that come faster than they are printed wait in the socket. When it is
full, events are lost, and stderr says so. A larger --rcvbuf holds more of them:
an event takes about 1 KiB there, plus its payload. More than net.core.rmem_max
needs CAP_NET_ADMIN. 'dump --since GENERATION' prints what the lost events told.`,
		Example: `  bulkdump watch
  bulkdump watch -o jsonl --rcvbuf 8388608 > events.jsonl
  bulkdump watch -o csv --count 10 --timeout 1m`,
		Args:    noArguments,
		PreRunE: func(*cobra.Command, []string) error { return a.checkStream("watch") },
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.watch(cmd.Context(), t, f)
		}),
	}
	number64(cmd, &f.count, "count", "stop after this many events; 0: no limit")
	cli.TimeFlag(cmd, &f.timeout, "timeout", "stop after this `TIME`, such as 90s or 2h; 0: no limit")
	receiveBufferFlag(cmd, &f.rcvbuf)
	return cmd
}

// checkStream refuses a format that an output without an end cannot have.
func (a *app) checkStream(name string) error {
	if a.out.Format == output.FormatJSON {
		return usagef("the output of %s may have no end, and JSON needs one: give -o jsonl", name)
	}
	return nil
}

// within returns a context with the timeout; 0: without.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// unlessDone drops the error of a context: a signal or --timeout is the intended
// end of the command.
func unlessDone(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (a *app) watch(ctx context.Context, t table, f *watchFlags) error {
	ctx, cancel := within(ctx, f.timeout)
	defer cancel()
	ctx, stop := a.out.WhileRead(ctx)
	defer stop()
	o := client.WatchOptions{ReceiveBuffer: int(f.rcvbuf)}
	events := func(ctx context.Context) iter.Seq2[client.Event, error] { return t.Watch(ctx, o) }
	losses := losses{a: a, what: client.ErrOverrun, text: "events were lost: they came faster than they were printed (" + f.larger() + ")"}
	start := time.Now()
	n, err := a.printEvents(ctx, f.count, events, losses.note)
	if errors.Is(context.Cause(ctx), unix.EPIPE) {
		return unix.EPIPE
	}
	if err = unlessDone(err); err != nil {
		return err
	}
	a.stderr.Note("bulkdump: %d events in %v, %d overruns", n, time.Since(start).Round(time.Millisecond), losses.n)
	return nil
}

// larger says which receive buffer to try.
func (f *watchFlags) larger() string {
	if f.rcvbuf == 0 {
		return "give --rcvbuf, for example 8388608"
	}
	return fmt.Sprintf("give a --rcvbuf above %d", f.rcvbuf)
}

// losses reports lost events on stderr, but not each of them.
type losses struct {
	a    *app
	what error
	text string
	n    uint64
	next time.Time
}

// note reports whether the error is such a loss.
func (l *losses) note(err error) bool {
	if !errors.Is(err, l.what) {
		return false
	}
	l.n++
	if now := time.Now(); now.After(l.next) {
		l.next = now.Add(time.Second)
		l.a.stderr.Note("bulkdump: warning: %s", l.text)
	}
	return true
}

// pending is how many events may wait between their reader and the printer.
const pending = 256

// printEvents prints events as they come, until they end or count of them were
// printed; 0 is no limit. Losses go to lost, any other error ends it. It flushes
// when no event is waiting.
func (a *app) printEvents(ctx context.Context, count uint64, events func(context.Context) iter.Seq2[client.Event, error],
	lost func(error) bool) (n uint64, err error) {
	type item struct {
		e   client.Event
		err error
	}
	ctx, stop := context.WithCancel(ctx)
	waiting := make(chan item, pending)
	go func() {
		defer close(waiting)
		for e, err := range events(ctx) {
			select {
			case waiting <- item{e, err}:
			case <-ctx.Done():
				waiting <- item{err: ctx.Err()} // the printer takes all
				return
			}
		}
	}()
	defer func() {
		stop()
		for range waiting { // until its reader has ended
		}
	}()

	p := output.NewList(a.out, output.Events)
	for {
		if len(waiting) == 0 {
			if err := p.Flush(); err != nil {
				return p.Len(), err
			}
		}
		i, ok := <-waiting
		switch {
		case !ok:
			return p.Len(), p.Flush()
		case i.err != nil && !lost(i.err):
			return p.Len(), cmp.Or(p.Flush(), i.err)
		case i.err != nil:
			continue
		}
		if err := p.Add(&i.e); err != nil {
			return p.Len(), err
		}
		if p.Len() == count { // never so for 0
			return p.Len(), p.Flush()
		}
	}
}
