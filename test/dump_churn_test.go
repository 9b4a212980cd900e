// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"testing"

	"bulkdump/client"
)

// Entries are inserted and deleted all around the cursor. The untouched entries
// come exactly once. The ids: 0 mod 4 untouched, 1 mod 4 inserted, 2 mod 4
// deleted.
// Rule 3.
func TestUntouchedExactlyOnceUnderChurn(t *testing.T) {
	const count = 3000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count, IDStride: 2})
	inserted, deleted := make(map[uint32]bool), make(map[uint32]bool)
	churn := func(id uint32) {
		id &^= 3
		for _, at := range []uint32{id - 400, id - 4, id, id + 4, id + 8, id + 400} {
			if at >= 2*count || inserted[at+1] {
				continue
			}
			makeEntry(t, c, client.Entry{ID: at + 1})
			inserted[at+1] = true
			if _, err := c.Delete(t.Context(), at+2); err != nil {
				t.Fatal(err)
			}
			deleted[at+2] = true
		}
	}
	next := uint32(0) // the untouched id that must come next
	n, previous := 0, int64(-1)
	var last error
	for r, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
		if last = err; err != nil {
			break
		}
		if int64(r.ID) <= previous {
			t.Fatalf("id %d after %d", r.ID, previous)
		}
		previous = int64(r.ID)
		switch r.ID % 4 {
		case 0:
			if r.ID != next {
				t.Fatalf("untouched id %d, want %d", r.ID, next)
			}
			next += 4
		case 1:
			if !inserted[r.ID] {
				t.Errorf("id %d was never there", r.ID)
			}
		}
		if n++; n%13 == 0 {
			churn(r.ID)
		}
	}
	if !errors.Is(last, client.ErrInterrupted) {
		t.Errorf("error %v, want %v", last, client.ErrInterrupted)
	}
	if next != 2*count {
		t.Errorf("untouched ids end before %d, want %d", next, 2*count)
	}
	if len(inserted) < 100 || len(deleted) < 100 {
		t.Errorf("%d inserts and %d deletes: too few to prove anything", len(inserted), len(deleted))
	}
}

// What is deleted before a page is made is not on it.
// Rule 30.
func TestDeletedAreNotSent(t *testing.T) {
	const count = 1000
	eachKind(t, func(t *testing.T, k kind) {
		if k.delta {
			t.Skip("a delta has a record of each deleted entry")
		}
		c := setup(t)
		fill(t, c, client.FillOptions{Count: count})
		s := openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(0))
		sent := 0
		for range 2 { // when this one is read, the next one has been made
			sent += len(s.page().ids)
		}
		for id := uint32(0); id < count; id += 2 {
			if _, err := c.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		pages := s.rest(func(int) {})
		for _, p := range pages[1:] {
			sent += len(p.ids)
			for _, id := range p.ids {
				if id%2 == 0 {
					t.Fatalf("id %d was sent after it was deleted", id)
				}
			}
		}
		if len(pages) < 2 || sent < count/4 {
			t.Errorf("%d pages after the deletes, %d records", len(pages), sent)
		}
	})
}

// The same with a writer that does not wait for the reader.
// Rule 3.
func TestUntouchedExactlyOnceWithConcurrentWriter(t *testing.T) {
	const count = 20_000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count, IDStride: 2})
	writer := dial(t)
	ctx, cancel := context.WithCancel(context.Background())
	changes, done := 0, make(chan error)
	go func() {
		for id := uint32(1); ctx.Err() == nil; id = (id + 2*7919) % (2 * count) {
			_, err1 := writer.New(context.Background(), client.Entry{ID: id, Name: "odd"})
			_, err2 := writer.Delete(context.Background(), id)
			if err := errors.Join(err1, err2); err != nil {
				done <- err
				return
			}
			changes++
		}
		done <- nil
	}()
	interrupted := 0
	for range 3 {
		even := uint32(0)
		for r, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: 8 << 10}) {
			if errors.Is(err, client.ErrInterrupted) {
				interrupted++
				continue
			}
			if err != nil {
				t.Error(err)
				break
			}
			if r.ID%2 == 0 {
				if r.ID != 2*even {
					t.Errorf("untouched id %d, want %d", r.ID, 2*even)
					break
				}
				even++
			}
		}
		if even != count {
			t.Errorf("%d untouched entries, want %d", even, count)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if changes > 1000 && interrupted == 0 {
		t.Errorf("%d changes, and no dump was told", changes)
	}
}

// Entries are removed and made again while dumps stand on them. The one that stays
// comes once with each dump: all entries fit in one page.
func TestDumpsAmongRemovals(t *testing.T) {
	const stays, others = 1 << 20, 20
	c := reload(t, fewBuckets)
	ids := above(0, others)
	makeEntries(t, c, "e", nil, append(ids, stays)...)
	stop := keepReading(t, 2, func(c *client.Client) {
		for _, cursor := range []client.Cursor{client.CursorKey, client.CursorBucket} {
			n := 0
			for r, err := range c.Records(t.Context(), client.DumpOptions{Cursor: cursor}) {
				if err != nil && !errors.Is(err, client.ErrInterrupted) {
					t.Error(err)
				}
				if err == nil && r.ID == stays {
					n++
				}
			}
			if n != 1 {
				t.Errorf("id %d came %d times with %v", stays, n, cursor)
			}
		}
	})
	changes := newChurner(t, 0, 1, 1)
	for range unwatched(500) {
		for _, id := range ids {
			changes.put(cmdEntryDel, attrU32(attrID, id))
			changes.put(cmdEntryNew, attrU32(attrID, id), attrText(attrName, "e"))
		}
		if err := changes.flush(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
}
