// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
)

// TraceOptions say who dumps.
type TraceOptions struct {
	Scenario string // "": Readers readers, each like Reader
	Readers  int
	Reader   ReaderOptions
}

// ReaderOptions say how a reader reads.
type ReaderOptions struct {
	Dump          client.DumpOptions
	ReceiveBuffer uint32        // SO_RCVBUF, which the kernel doubles; 0: the default
	Peek          bool          // look with MSG_PEEK before each read
	Delay         time.Duration // before each of them
}

// Trace runs the scenario, on a table that is empty before and afterwards, or
// the dumps that the options say. It notes what sets off what.
func Trace(ctx context.Context, t Table, o TraceOptions, tell Tell) (*loop.Trace, error) {
	return trace(ctx, linux{}, t, o, tell)
}

func trace(ctx context.Context, k loopKernel, t Table, o TraceOptions, tell Tell) (_ *loop.Trace, err error) {
	s := scenario{title: "A dump, read by read"}
	if o.Scenario != "" {
		s = scenarios[o.Scenario]
	}
	for range o.Readers {
		s.readers = append(s.readers, o.Reader)
	}
	// Before the fill, because it takes long on a machine with many processors.
	c, err := k.collect("bulkdump-trace")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if s.fill.Count > 0 {
		if err := wantEmpty(ctx, t); err != nil {
			return nil, err
		}
		tell("fill")
		defer empty(ctx, t)
		if _, err := t.Fill(ctx, s.fill); err != nil {
			return nil, err
		}
	}
	tell("dump")
	return s.play(ctx, k, t, c)
}

// A scenario is a table, its readers, and what changes meanwhile.
type scenario struct {
	help        string // a line or two of the command's help
	title, says string // of the picture
	fill        client.FillOptions
	readers     []ReaderOptions
	// The first reader calls change, if it is not nil, before each of its calls,
	// with the number of its reads so far.
	change func(ctx context.Context, t Table, reads int) error
}

// smallPage is a page that takes 8 KiB with its overhead: small enough for a
// dump of about ten, which can be drawn.
const smallPage = 7680

var scenarios = map[string]scenario{
	"slow-reader": {
		help:    "a page waits, and nothing else happens, until the reader reads",
		title:   "A slow reader parks its dump",
		says:    "Each read takes one page and sets off the next. While the reader does something else, one page waits, and the kernel does nothing.",
		fill:    client.FillOptions{Count: 400, PayloadMin: 32, PayloadMax: 64},
		readers: []ReaderOptions{reads(20*time.Millisecond, 16<<10, false)},
	},
	"small-buffer": {
		help:    "a reader that peeks sets off two pages for each one that\n  it takes, until half of its receive buffer is full",
		title:   "Half of the receive buffer is the limit",
		says:    "A look (MSG_PEEK) sets off a page, too, and takes none. So pages pile up, until more than half of the buffer is left in use: then a read sets nothing off.",
		fill:    client.FillOptions{Count: 600, PayloadMin: 32, PayloadMax: 64},
		readers: []ReaderOptions{reads(4*time.Millisecond, 20_000, true)},
	},
	"two-readers": {
		help:    "each has a dump of its own, at its own pace",
		title:   "Two readers, two dumps, one table",
		says:    "Each socket has its own cursor and its own queue: the slow one does not keep the other.",
		fill:    client.FillOptions{Count: 400, PayloadMin: 32, PayloadMax: 64},
		readers: []ReaderOptions{reads(5*time.Millisecond, 16<<10, false), reads(25*time.Millisecond, 16<<10, false)},
	},
	"mid-dump-change": {
		help:    "entries on both sides of the cursor change; the next page\n  that is built says so (NLM_F_DUMP_INTR)",
		title:   "The table changes in the middle of a dump",
		says:    "Changes above the curve are still to come, those below were passed by. The page that waits is of before; the first one that is built afterwards says INTR.",
		fill:    client.FillOptions{Count: 500, IDStride: 2, PayloadMin: 32, PayloadMax: 64},
		readers: []ReaderOptions{reads(10*time.Millisecond, 16<<10, false)},
		change:  changeMidDump,
	},
}

// Scenarios returns the names of the scenarios, and what the help says of each.
func Scenarios() (names []string, help func(name string) string) {
	return slices.Sorted(maps.Keys(scenarios)), func(name string) string { return scenarios[name].help }
}

func reads(delay time.Duration, rcvbuf uint32, peek bool) ReaderOptions {
	return ReaderOptions{Dump: client.DumpOptions{BufferSize: smallPage}, ReceiveBuffer: rcvbuf, Peek: peek, Delay: delay}
}

// changeMidDump changes entries on both sides of the cursor after the third
// read. The ids are even.
func changeMidDump(ctx context.Context, t Table, reads int) error {
	if reads != 3 {
		return nil
	}
	value := uint64(1)
	_, err1 := t.Delete(ctx, 40)
	_, err2 := t.Set(ctx, client.Change{ID: 560, Value: &value})
	_, err3 := t.New(ctx, client.Entry{ID: 721, Name: "new"})
	_, err4 := t.Delete(ctx, 880)
	return errors.Join(err1, err2, err3, err4)
}

// play has all readers dump at once, and combines what they and the kernel noted.
func (s scenario) play(ctx context.Context, k loopKernel, t Table, c collector) (*loop.Trace, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	netns, err := k.netns()
	if err != nil {
		return nil, err
	}
	var watchers []*watcher
	defer func() {
		for _, w := range watchers {
			_ = w.Close()
		}
	}()
	for i, o := range s.readers {
		sock, err := k.open(o)
		if err != nil {
			return nil, err
		}
		w := &watcher{loopSocket: sock, ctx: ctx, kernel: k, options: o, self: loop.Reader{Name: string(rune('A' + i))}, nr: i}
		if i == 0 && s.change != nil {
			w.change = func(reads int) error { return s.change(ctx, t, reads) }
		}
		watchers = append(watchers, w)
	}
	if err := c.Start(tracefs.ClockMono, "bulkdump", loop.Events...); err != nil {
		return nil, err
	}
	ended := make(chan error)
	for _, w := range watchers {
		go func() { ended <- w.run() }()
	}
	for range watchers {
		if e := <-ended; e != nil {
			cancel() // the others
			if err == nil {
				err = e
			}
		}
	}
	if err != nil {
		return nil, err
	}
	events, err := c.Events()
	if err != nil {
		return nil, err
	}
	var readers []loop.Reader
	var calls []loop.Call
	for _, w := range watchers {
		readers = append(readers, w.self)
		calls = append(calls, w.calls...)
	}
	trace, err := loop.Build(readers, calls, events, netns)
	if err != nil {
		return nil, err
	}
	trace.Title, trace.Says = s.title, s.says
	return trace, nil
}
