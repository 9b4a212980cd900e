// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A replica is a reader's copy of the table.
type replica map[uint32]client.Entry

func (r replica) apply(e client.Entry) {
	if e.Deleted {
		delete(r, e.ID)
	} else {
		r[e.ID] = e
	}
}

// update applies the changes since a generation, and checks that they come in
// order and are newer than that.
func (r replica) update(t testing.TB, c *client.Client, o client.DumpOptions, since uint64) (changes int, err error) {
	t.Helper()
	o.Since = &since
	last := since
	for e, err := range c.Dump(t.Context(), o) {
		if err != nil {
			return changes, err
		}
		if e.Generation <= last {
			t.Fatalf("generation %d after %d, since %d", e.Generation, last, since)
		}
		last = e.Generation
		r.apply(e)
		changes++
	}
	return changes, nil
}

func (r replica) mustUpdate(t testing.TB, c *client.Client, o client.DumpOptions, since uint64) int {
	t.Helper()
	n, err := r.update(t, c, o, since)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wholeTable returns the table as a dump has it, while nothing changes.
func wholeTable(t testing.TB, c *client.Client) replica {
	t.Helper()
	r := make(replica)
	for _, e := range collect(t, c, client.DumpOptions{}) {
		r[e.ID] = e
	}
	return r
}

func (r replica) wantEqual(t testing.TB, want replica) {
	t.Helper()
	if maps.EqualFunc(r, want, func(a, b client.Entry) bool { return reflect.DeepEqual(a, b) }) {
		return
	}
	t.Errorf("the replica has %d entries, the table %d, or they differ", len(r), len(want))
}

func TestSinceTellsEachKindOfChange(t *testing.T) {
	c := setup(t)
	for id := range uint32(5) {
		makeEntry(t, c, client.Entry{ID: id})
	}
	since := state(t, c).Generation
	if n := make(replica).mustUpdate(t, c, client.DumpOptions{}, since); n != 0 {
		t.Errorf("%d changes where there was none", n)
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 3, Value: ptr(uint64(33))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delete(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	makeEntry(t, c, client.Entry{ID: 9})
	if _, err := c.Set(t.Context(), client.Change{ID: 3, Value: ptr(uint64(34))}); err != nil {
		t.Fatal(err)
	}
	makeEntry(t, c, client.Entry{ID: 1}) // created again: the deletion is reported nevertheless
	if _, err := c.Delete(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 2, IDStart: 20})
	for _, encoding := range encodings {
		var got []string
		for _, e := range collect(t, c, client.DumpOptions{Since: &since, Encoding: encoding}) {
			got = append(got, fmt.Sprintf("%d:%d:%v:%d", e.Generation-since, e.ID, e.Deleted, e.Value%100))
		}
		// Generation 1 was the first change of entry 3, and generation 3 the
		// creation of entry 9. Both entries have a newer generation now.
		want := []string{"2:1:true:0", "4:3:false:34", "5:1:false:0", "6:9:true:0"}
		if len(got) != 6 || !slices.Equal(got[:4], want) {
			t.Errorf("%v: %v, want %v and two that were filled in", encoding, got, want)
		}
	}
	// Only the ids can be compared.
	got := collect(t, c, client.DumpOptions{Since: &since, IDFrom: ptr(uint32(2)), IDTo: ptr(uint32(9))})
	if len(got) != 2 || got[0].ID != 3 || got[1].ID != 9 {
		t.Errorf("with a filter: %v", got)
	}
}

// A delta also has the requested fields in each encoding, and marks deleted
// entries.
func TestSinceCarriesTheFields(t *testing.T) {
	c := setup(t)
	since := state(t, c).Generation
	randomTable(t, c, rand.New(rand.NewPCG(5, 6)), 60)
	for i, e := range collect(t, c, client.DumpOptions{}) {
		if i%3 == 1 {
			if _, err := c.Delete(t.Context(), e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := collect(t, c, client.DumpOptions{Since: &since})
	for fields := range client.FieldsAll + 1 {
		for _, encoding := range encodings {
			got := collect(t, c, client.DumpOptions{Since: &since, Fields: &fields, Encoding: encoding})
			if len(got) != len(whole) {
				t.Fatalf("%v, fields %v: %d changes, want %d", encoding, fields, len(got), len(whole))
			}
			for i, e := range got {
				want := only(whole[i], fields)
				want.Deleted = whole[i].Deleted
				if !reflect.DeepEqual(e, want) {
					t.Fatalf("%v, fields %v: got %+v, want %+v", encoding, fields, e, want)
				}
			}
		}
	}
}

// In random runs, a full dump and the deltas after it add up to the table, no
// matter what happened between them, in any encoding.
func TestSinceMakesTheTable(t *testing.T) {
	c := setup(t)
	r := rand.New(rand.NewPCG(7, 8))
	known := wholeTable(t, c)
	since := state(t, c).Generation
	for round := range 100 {
		for range r.IntN(40) {
			change(t, c, r)
		}
		_, err := known.update(t, c, client.DumpOptions{Encoding: encodings[round%3]}, since)
		if errors.Is(err, client.ErrStale) && state(t, c).LogFloor > since { // a flush
			known = wholeTable(t, c)
		} else if err != nil {
			t.Fatal(err)
		}
		since = state(t, c).Generation
		known.wantEqual(t, wholeTable(t, c))
	}
}

// change makes one random change.
func change(t testing.TB, c *client.Client, r *rand.Rand) {
	t.Helper()
	id := r.Uint32N(300)
	var err error
	switch n := r.IntN(100); {
	case n < 1:
		_, err = c.Flush(t.Context())
	case n < 5:
		_, err = c.Fill(t.Context(), client.FillOptions{Count: 1 + r.Uint32N(20), IDStart: r.Uint32N(300), Seed: r.Uint64()})
	case n < 40:
		_, err = c.Delete(t.Context(), id)
	default:
		_, err = c.Set(t.Context(), client.Change{ID: id, Name: ptr(fmt.Sprint("n", n)), Value: ptr(r.Uint64()), Create: true})
	}
	// The id may exist or not.
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
}

// A reader dumps the table while it changes, then takes deltas, each since the
// start of the previous dump. When the table stops changing, the reader has all
// of it.
func TestSinceConvergesUnderChange(t *testing.T) {
	c := setup(t)
	interrupted := 0
	for round := range 3 {
		fillForChurn(t, c, 2500)
		stop := churn(t, 2, 2500)
		known := make(replica)
		since := state(t, c).Generation
		for e, err := range c.Dump(t.Context(), client.DumpOptions{Encoding: encodings[round]}) {
			switch {
			case errors.Is(err, client.ErrInterrupted):
				interrupted++
			case err != nil:
				t.Fatal(err)
			default:
				known.apply(e)
			}
		}
		for range 5 {
			next := state(t, c).Generation
			_, err := known.update(t, c, client.DumpOptions{Encoding: encodings[round]}, since)
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				t.Fatal(err)
			}
			since = next
		}
		if stop() == 0 {
			t.Fatal("nothing changed")
		}
		known.mustUpdate(t, c, client.DumpOptions{}, since)
		known.wantEqual(t, wholeTable(t, c))
		flush(t, c)
	}
	if interrupted == 0 {
		t.Error("no dump was told of a change")
	}
}

// The cost of a delta depends on what changed, not on the size of the table.
func TestSinceCostsWhatChanged(t *testing.T) {
	c := setup(t)
	count := large()
	fill(t, c, client.FillOptions{Count: count})
	batch := newChurner(t, 0, 1, 1)
	for _, changes := range []uint32{10, 1000, count / 10} {
		since := state(t, c).Generation
		for i := range changes { // spread over the table
			batch.put(cmdEntrySet, attrU32(attrID, i*(count/changes)), attrText(attrName, "changed"))
			if batch.queued == churnBatch || i == changes-1 {
				if err := batch.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := state(t, c)
		got := make(replica).mustUpdate(t, c, client.DumpOptions{}, since)
		after := state(t, c)
		scanned, pages := after.Scanned-before.Scanned, after.Pages-before.Pages
		figures(t, "%d changes of %d entries: %d looked at, %d pages", changes, count, scanned, pages)
		// The record that does not fit on a page is looked at again.
		if got != int(changes) || scanned < uint64(changes) || scanned > uint64(changes)+pages {
			t.Errorf("%d changes: %d records, %d entries looked at on %d pages", changes, got, scanned, pages)
		}
	}
}

// A reader whose generation is too old, or from another table, must read
// everything.
func TestSinceRefuses(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1})
	s := state(t, c)
	stale := func(since uint64) {
		t.Helper()
		_, err := make(replica).update(t, c, client.DumpOptions{}, since)
		if !errors.Is(err, client.ErrStale) {
			t.Errorf("since %d: %v, want %v", since, err, client.ErrStale)
		}
	}
	stale(s.LogFloor - 1) // setup flushed
	make(replica).mustUpdate(t, c, client.DumpOptions{}, s.LogFloor)
	stale(s.Generation + 1)
	stale(math.MaxUint64)
	flush(t, c)
	stale(s.Generation)
	make(replica).mustUpdate(t, c, client.DumpOptions{}, state(t, c).Generation)
}

// Of more deletes than one look at the log takes, a filter leaves the last. There is
// no empty page, which would look like the end.
// Rule 2.
func TestSinceThatLeavesLittle(t *testing.T) {
	const count = 9000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	since := state(t, c).Generation
	changes := newChurner(t, 0, 1, 1)
	for id := range uint32(count) {
		changes.put(cmdEntryDel, attrU32(attrID, id))
		if changes.queued == churnBatch || id == count-1 {
			if err := changes.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, encoding := range encodings {
		before := state(t, c).Scanned
		delta := collect(t, c, client.DumpOptions{Since: &since, Encoding: encoding, IDFrom: ptr(uint32(count - 1))})
		if len(delta) != 1 || delta[0].ID != count-1 || !delta[0].Deleted {
			t.Errorf("%v: %+v, want the last delete", encoding, delta)
		}
		if scanned := state(t, c).Scanned - before; scanned < count {
			t.Errorf("%v: %d of %d deletes were looked at", encoding, scanned, count)
		}
	}
}

// Deltas are read while a table is flushed. Each has what it can have, or is stale.
func TestSinceUnderFlush(t *testing.T) {
	c := setup(t)
	count := uint32(unwatched(50_000))
	for _, encoding := range encodings {
		since := state(t, c).Generation
		fill(t, c, client.FillOptions{Count: count})
		flusher := dial(t)
		var flushed atomic.Bool
		done := make(chan error)
		go func() {
			_, err := flusher.Flush(t.Context())
			flushed.Store(true)
			done <- err
		}()
		for !flushed.Load() {
			for e, err := range c.Dump(t.Context(), client.DumpOptions{Since: &since, Encoding: encoding}) {
				switch {
				case errors.Is(err, client.ErrStale), errors.Is(err, client.ErrInterrupted):
				case err != nil:
					t.Error(err)
				case e.ID >= count || e.Generation != since+1+uint64(e.ID):
					t.Errorf("entry %d has generation %d, want %d", e.ID, e.Generation, since+1+uint64(e.ID))
				}
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
