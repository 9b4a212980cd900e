// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// A fakeTable answers with what its fields hold and notes what it was asked.
type fakeTable struct {
	asked []string // one line per call of the interface

	err       error            // fails every call but Close, and a dump after its records
	errs      map[uint32]error // fails the calls for an id
	entry     client.Entry
	records   []client.Entry
	each      func(i int) // called before each record
	stats     nldump.Stats
	state     client.Table
	options   client.DumpOptions // of the last dump
	synced    client.Synced      // of a sync
	resets    []int              // where a sync starts over: before records with these numbers
	passes    int                // the limit of the last sync
	sockets   int                // of the last parallel dump
	unordered bool               // the last parallel dump was
	change    client.Change      // the last one
	made      client.Entry       // the last one

	events   []client.Event // of watch, and of what mirror follows
	lost     error          // comes after each event, if not nil
	pace     time.Duration  // before each event
	eventErr error          // the end of the events; nil: they wait for the context
	endless  bool           // they do wait
	mirrored *fakeMirror    // the last one
	receive  int            // receive buffer of the last watch or mirror
	after    func()         // called when all events were taken
	mstats   mirror.Stats   // of the mirror

}

func (f *fakeTable) ask(format string, args ...any) error {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	return f.err
}

// askID is ask for a call that concerns one entry.
func (f *fakeTable) askID(id uint32, format string, args ...any) error {
	if err := f.ask(format, args...); err != nil {
		return err
	}
	return f.errs[id]
}

func (f *fakeTable) Get(_ context.Context, id uint32) (client.Entry, error) {
	return f.entry, f.askID(id, "get %d", id)
}

func (f *fakeTable) GetByName(_ context.Context, name string) (client.Entry, error) {
	return f.entry, f.ask("get name %q", name)
}

func (f *fakeTable) New(_ context.Context, e client.Entry) (uint64, error) {
	f.made = e
	return 1000, f.askID(e.ID, "new %d %q flags=%#x value=%d payload=%q", e.ID, e.Name, e.Flags, e.Value, e.Payload)
}

func (f *fakeTable) Set(_ context.Context, ch client.Change) (uint64, error) {
	f.change = ch
	return 1001, f.askID(ch.ID, "set %d", ch.ID)
}

func (f *fakeTable) Delete(ctx context.Context, id uint32) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return 2000 + uint64(id), f.askID(id, "del %d", id)
}

func (f *fakeTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	return client.Filled{Count: o.Count, Generation: 3, Checksum: 0xabc}, f.ask("fill %+v", o)
}

func (f *fakeTable) Flush(context.Context) (client.Flushed, error) {
	return client.Flushed{Count: 12, Generation: 34}, f.ask("flush")
}

func (f *fakeTable) Table(context.Context) (client.Table, error) {
	return f.state, f.ask("table")
}

// Records lends one record whose bytes it overwrites, as a client does.
func (f *fakeTable) Records(ctx context.Context, o client.DumpOptions) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) {
		f.options = o
		err := f.ask("dump")
		if o.Stats != nil {
			*o.Stats = f.stats
		}
		for i, e := range f.records {
			if f.each != nil {
				f.each(i)
			}
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			r := client.Record{ID: e.ID, Name: []byte(e.Name), Flags: e.Flags, Value: e.Value,
				Payload: bytes.Clone(e.Payload), Stats: e.Stats, Generation: e.Generation, Deleted: e.Deleted}
			if !yield(&r, nil) {
				return
			}
			for _, lent := range [][]byte{r.Name, r.Payload} {
				for i := range lent {
					lent[i] = '!'
				}
			}
			r = client.Record{}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func (f *fakeTable) Watch(ctx context.Context, o client.WatchOptions) iter.Seq2[client.Event, error] {
	f.receive = o.ReceiveBuffer
	if err := f.ask("watch"); err != nil {
		return func(yield func(client.Event, error) bool) { yield(client.Event{}, err) }
	}
	return f.eachEvent(ctx)
}

func (f *fakeTable) eachEvent(ctx context.Context) iter.Seq2[client.Event, error] {
	return func(yield func(client.Event, error) bool) {
		for _, e := range f.events {
			time.Sleep(f.pace)
			if !yield(e, nil) || f.lost != nil && !yield(client.Event{}, f.lost) {
				return
			}
		}
		if f.after != nil {
			f.after()
		}
		if f.endless {
			<-ctx.Done()
			yield(client.Event{}, ctx.Err())
		} else if f.eventErr != nil {
			yield(client.Event{}, f.eventErr)
		}
	}
}

func (f *fakeTable) openMirror(_ context.Context, o mirror.Options) (tableMirror, error) {
	f.receive = o.ReceiveBuffer
	f.mirrored = &fakeMirror{fakeTable: f, done: make(chan struct{})}
	if !f.endless {
		close(f.mirrored.done)
	}
	return f.mirrored, f.ask("mirror")
}

// A fakeMirror holds the records of its table, and its changes are the events.
type fakeMirror struct {
	*fakeTable
	done   chan struct{}
	closed bool
}

func (m *fakeMirror) Synced(ctx context.Context) error {
	if m.mstats.Synced {
		return m.eventErr
	}
	<-ctx.Done()
	return ctx.Err()
}

func (m *fakeMirror) Follow(ctx context.Context) iter.Seq2[client.Event, error] {
	return m.eachEvent(ctx)
}
func (m *fakeMirror) All() iter.Seq[client.Entry] { return slices.Values(m.records) }
func (m *fakeMirror) Stats() mirror.Stats         { return m.mstats }
func (m *fakeMirror) Done() <-chan struct{}       { return m.done }
func (m *fakeMirror) Err() error                  { return m.eventErr }
func (m *fakeMirror) Close() error {
	m.closed = true
	return nil
}

// Sync sends the records, with the deletes among them.
func (f *fakeTable) Sync(ctx context.Context, o client.SyncOptions) iter.Seq2[*client.Record, error] {
	f.passes = o.Passes
	return func(yield func(*client.Record, error) bool) {
		i := 0
		for r, err := range f.Records(ctx, o.Dump) {
			if slices.Contains(f.resets, i) {
				o.Reset()
			}
			i++
			*o.Synced = f.synced
			if !yield(r, err) {
				return
			}
		}
		*o.Synced = f.synced
	}
}

func (f *fakeTable) DumpParallel(ctx context.Context, sockets int, o client.ParallelOptions) iter.Seq2[*client.Record, error] {
	f.sockets, f.unordered = sockets, o.Unordered
	return f.Records(ctx, o.Dump)
}

func (f *fakeTable) Close() error {
	f.asked = append(f.asked, "close")
	return nil
}

// interruptible returns a context and what a signal does to it.
func interruptible(t testing.TB) (ctx context.Context, signal func(unix.Signal)) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, func(s unix.Signal) { cancel(cli.Signaled{Signal: s}) }
}

// onTerminals makes stdout write to w, and stderr a terminal of that width; 0:
// none.
func (a *app) onTerminals(w io.Writer, terminal bool, stderr io.Writer, width int) {
	columns := func() int { return width }
	if width == 0 {
		columns = nil
	}
	a.stderr = term.NewConsole("bulkdump", stderr, columns)
	a.out = output.NewStdout(w, terminal, a.stderr)
}

// A ran is what a command line left.
type ran struct {
	stdout, stderr string
	code           int
}

// newApp returns an app on the table whose output goes to the buffers.
func newApp(f *fakeTable) (a *app, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	a = &app{
		stdin: strings.NewReader("from stdin"),
		dial:  func() (table, error) { return f, nil },
		lab:   fakeLab(),
	}
	a.onTerminals(stdout, false, stderr, 0)
	return a, stdout, stderr
}

func run(t testing.TB, f *fakeTable, args ...string) ran {
	t.Helper()
	a, stdout, stderr := newApp(f)
	return runApp(t.Context(), t, a, stdout, stderr, args...)
}

// runApp runs a command line. What it prints as JSON must fit the schema.
func runApp(ctx context.Context, t testing.TB, a *app, stdout, stderr *bytes.Buffer, args ...string) ran {
	t.Helper()
	code := a.run(ctx, args)
	got := ran{stdout.String(), stderr.String(), code}
	if a.running {
		checkSchema(t, args[0], a.out.Format, got)
	}
	return got
}

// runTo runs a command line whose stdout is w.
func runTo(t testing.TB, f *fakeTable, w io.Writer, args ...string) ran {
	t.Helper()
	a, _, stderr := newApp(f)
	a.onTerminals(w, false, stderr, 0)
	code := a.run(t.Context(), args)
	return ran{"", stderr.String(), code}
}

// check compares. A wanted stderr only has to be part of what came.
func (r ran) check(t testing.TB, want ran) {
	t.Helper()
	if r.code != want.code {
		t.Errorf("exit code: got %d, want %d", r.code, want.code)
	}
	if r.stdout != want.stdout {
		t.Errorf("stdout:\ngot  %q\nwant %q", r.stdout, want.stdout)
	}
	if !strings.Contains(r.stderr, want.stderr) || want.stderr == "" && r.stderr != "" {
		t.Errorf("stderr:\ngot  %q\nwant %q", r.stderr, want.stderr)
	}
}

// closedPipe returns the writing end of a pipe that has no reader.
func closedPipe(t testing.TB) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// fullDisk returns a file that takes no byte.
func fullDisk(t testing.TB) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("a full disk is needed: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Entries to print: one with all that there may be, and the ends of the ids.
var (
	seven = client.Entry{
		ID: 7, Name: "seven", Flags: 0x10, Value: 49, Payload: []byte{0xc0, 0xff, 0xee},
		Stats: client.Stats{
			Hits:    3,
			Bytes:   9,
			Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Updated: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC),
		},
		Generation: 12,
	}
	first = client.Entry{ID: 0, Name: "first", Generation: 1}
	last  = client.Entry{
		ID: 0xffffffff, Name: "last, \"quoted\"", Flags: 0xffffffff, Value: 1<<64 - 1,
		Stats: client.Stats{Hits: 99999999, Bytes: 1<<64 - 1}, Generation: 1<<64 - 1,
	}
)
