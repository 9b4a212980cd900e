// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

func openWatch(t testing.TB, c *client.Client, o client.WatchOptions) *client.Watcher {
	t.Helper()
	w, err := c.OpenWatch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// nextEvents reads as many.
func nextEvents(t testing.TB, w *client.Watcher, n int) (all []client.Event) {
	t.Helper()
	for e, err := range w.Events(t.Context()) {
		if err != nil {
			t.Fatalf("after %d events: %v", len(all), err)
		}
		if all = append(all, e); len(all) == n {
			break
		}
	}
	return all
}

// Each kind of event, with all that there is to know of it.
func TestWatchTellsEachKindOfChange(t *testing.T) {
	c := setup(t)
	w := openWatch(t, c, client.WatchOptions{})
	start := state(t, c).Generation
	makeEntry(t, c, client.Entry{ID: 5, Name: "five", Flags: 1, Value: 1 << 40, Payload: make([]byte, client.PayloadLenMax)})
	made := collect(t, c, client.DumpOptions{})[0]
	if _, err := c.Set(t.Context(), client.Change{ID: 5, Value: ptr(uint64(6)), Payload: []byte{}}); err != nil {
		t.Fatal(err)
	}
	set := collect(t, c, client.DumpOptions{})[0]
	if _, err := c.Delete(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 100, IDStart: 10, IDStride: 3})
	// What is undone has no event, but took generations.
	makeEntry(t, c, client.Entry{ID: 1000})
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 10, IDStart: 995}); err == nil {
		t.Error("a fill over what is there")
	}
	flush(t, c)
	got := nextEvents(t, w, 6)
	want := []client.Event{
		{Kind: client.EventNew, Generation: start + 1, Entry: made},
		{Kind: client.EventSet, Generation: start + 2, Entry: set},
		{Kind: client.EventDel, Generation: start + 3, Entry: client.Entry{ID: 5, Generation: start + 3, Deleted: true}},
		{Kind: client.EventFill, Generation: start + 103, Count: 100, IDStart: 10, IDStride: 3},
		{Kind: client.EventNew, Generation: start + 104},
		{Kind: client.EventFlush, Generation: start + 115, Count: 101},
	}
	for i := range want {
		if got[i].Kind != want[i].Kind || got[i].Generation != want[i].Generation || got[i].Count != want[i].Count ||
			got[i].IDStart != want[i].IDStart || got[i].IDStride != want[i].IDStride {
			t.Errorf("event %+v, want %+v", got[i], want[i])
		}
		if w := want[i].Entry; w.ID != 0 && (!sameValues(got[i].Entry, w) || got[i].Entry.Deleted != w.Deleted) {
			t.Errorf("entry %.100v, want %.100v", got[i].Entry, w)
		}
	}
}

// Nothing that changes after a loss was told is missed: a delta that starts then
// and the events after it are all there is.
func TestWatchTellsOfALoss(t *testing.T) {
	c := setup(t)
	w := openWatch(t, c, client.WatchOptions{ReceiveBuffer: 8 << 10})
	before := state(t, c).Generation
	ids := make([]uint32, 500)
	for i := range ids {
		ids[i] = uint32(i)
	}
	makeEntries(t, c, "many", nil, ids...)
	told, lost := before, false
	for e, err := range w.Events(t.Context()) {
		if errors.Is(err, client.ErrOverrun) {
			lost = true
			break
		}
		if err != nil || e.Generation != told+1 {
			t.Fatalf("event %+v after generation %d, %v", e, told, err)
		}
		told = e.Generation
	}
	if !lost || told == before || told == before+500 {
		t.Errorf("%d events, then lost: %v", told-before, lost)
	}
	makeEntry(t, c, client.Entry{ID: 1000})
	if e := nextEvents(t, w, 1)[0]; e.Entry.ID != 1000 || e.Generation != before+501 {
		t.Errorf("after the loss: %+v", e)
	}
	delta := collect(t, c, client.DumpOptions{Since: &told})
	if n := uint64(len(delta)); n != before+501-told {
		t.Errorf("the delta has %d records, want %d", n, before+501-told)
	}
}

// The module can go while somebody watches, who is told.
func TestWatchEndsWithTheModule(t *testing.T) {
	c := setup(t)
	w := openWatch(t, c, client.WatchOptions{})
	m := openMirror(t, c, client.MirrorOptions{})
	if err := m.Synced(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "no dump open", func() bool { return state(t, c).DumpsOpen == 0 })
	mustUnload(t, "bulkdump")
	for e, err := range w.Events(t.Context()) {
		if !errors.Is(err, client.ErrNoFamily) {
			t.Errorf("%+v, %v, want ErrNoFamily", e, err)
		}
	}
	<-m.Done()
	if err := m.Err(); !errors.Is(err, client.ErrNoFamily) {
		t.Errorf("the mirror: %v, want ErrNoFamily", err)
	}
	load(t, "bulkdump", "")
}

// keepChanging changes an entry again and again, as a command may not listen yet,
// until stop is called.
func keepChanging(t testing.TB, c *client.Client) (stop func()) {
	makeEntry(t, c, client.Entry{ID: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for n := uint64(0); ctx.Err() == nil; n++ {
			if _, err := c.Set(ctx, client.Change{ID: 1, Value: &n}); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

func TestCLIWatch(t *testing.T) {
	c := setup(t)
	stop := keepChanging(t, c)
	defer stop()
	r := bulkdump(t, "watch", "-o", "jsonl", "--count", "5", "--rcvbuf", "4000000")
	lines := json.NewDecoder(strings.NewReader(r.stdout))
	for i := range 5 {
		var e client.Event
		if err := lines.Decode(&e); err != nil || e.Kind != client.EventSet || e.Entry.ID != 1 {
			t.Errorf("line %d: %+v, %v", i, e, err)
		}
	}
	if r.code != 0 || !strings.Contains(r.stderr, "5 events in ") {
		t.Errorf("%+v", r)
	}
	if r := bulkdump(t, "watch", "--timeout", "5m", "--count", "1"); r.code != 0 || !strings.Contains(r.stdout, "  set             1  ") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"watch", "-o", "jsonl"}, {"mirror", "-o", "csv"}} {
		if stderr := interrupt(t, args...); !strings.Contains(stderr, "events") {
			t.Errorf("%q after a signal: stderr %q", args, stderr)
		}
	}
}

// interrupt runs the CLI and sends it SIGINT when it has printed something.
func interrupt(t testing.TB, args ...string) (stderr string) {
	t.Helper()
	var b strings.Builder
	cmd, stdout := startCLI(t, &b, 200, args...)
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGINT)
	return b.String()
}

// Each entry comes first, however many there are, and then the changes; a reader
// that has seen enough ends it, and one that is slow gets what came of them.
func TestCLIMirrorStreams(t *testing.T) {
	const count = 3 * client.DefaultChangesLimit
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	cmd := exec.CommandContext(t.Context(), "bulkdump", "mirror", "-o", "jsonl")
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(stdout)
	next := func() (e client.Event) {
		t.Helper()
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for id := range uint32(count) {
		if e := next(); e.Kind != client.EventNew || e.Entry.ID != id {
			t.Fatalf("%+v, want the entry %d", e, id)
		}
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 7, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.Kind != client.EventSet || e.Entry.ID != 7 {
		t.Errorf("%+v, want a change of 7", e)
	}
	// More than wait anywhere, and nobody reads meanwhile.
	flushed, err := c.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 2 * count, IDStart: count / 2})
	makeEntry(t, c, client.Entry{ID: 1 << 30})
	copied := make(map[uint32]uint64) // with their generations
	for id := range uint32(count) {
		copied[id] = 1
	}
	fresh := 0
	for fresh < 2*count+1 || fresh < len(copied) {
		e := next()
		id := e.Entry.ID
		switch e.Kind {
		case client.EventFlush:
			maps.DeleteFunc(copied, func(_ uint32, generation uint64) bool { return generation <= e.Generation })
		case client.EventDel:
			delete(copied, id)
		default:
			if known := copied[id]; known >= e.Generation || (known > 0) != (e.Kind == client.EventSet) {
				t.Fatalf("%+v, known of generation %d", e, known)
			}
			if copied[id] <= flushed.Generation {
				fresh++
			}
			copied[id] = e.Generation
		}
	}
	if copied[count/2-1] > 0 || copied[count/2] == 0 || copied[1<<30] == 0 {
		t.Error("these are others than those of the table")
	}
	if err := stdout.Close(); err != nil { // and nothing changes any more
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, stderr %q", err, stderr)
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", "bulkdump mirror -o jsonl | head -n 1").Output(); err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
}

// What mirror prints is what dump prints, byte for byte.
func TestCLIMirror(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000, PayloadMax: 40})
	for _, format := range []string{"table", "json", "jsonl", "csv"} {
		want := mustRun(t, "dump", "-o", format)
		if got := mustRun(t, "mirror", "--once", "-o", format); got != want {
			t.Errorf("%s: mirror printed %d bytes, dump %d", format, len(got), len(want))
		}
	}
	r := bulkdump(t, "mirror", "--timeout", "1s", "--dump-at-end")
	if r.code != 0 || r.stdout != mustRun(t, "dump") || !slices.Contains(strings.Split(r.stderr, "\n"), "synced       true") {
		t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
	}
}
