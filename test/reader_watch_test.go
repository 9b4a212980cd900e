// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"testing"

	"bulkdump/client"
	"bulkdump/client/mirror"
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

// nextEvents reads n events.
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

// Each kind of event has everything that is known about its change.
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
	// Undone changes have no event, but used generations.
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

// After a reported loss, no change is missed: a delta that starts then and the
// events after it are complete.
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

// The module can be unloaded while there is a watcher, which gets an error.
func TestWatchEndsWithTheModule(t *testing.T) {
	c := setup(t)
	w := openWatch(t, c, client.WatchOptions{})
	m := openMirror(t, c, mirror.Options{})
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
