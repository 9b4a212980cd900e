// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

var (
	cursors   = []client.Cursor{client.CursorKey, client.CursorBucket, client.CursorIndex, client.CursorWalker}
	encodings = []client.Encoding{client.EncodingPlain, client.EncodingDirect, client.EncodingColumns}
)

// eachCursor runs fn for each cursor, as a subtest.
func eachCursor(t *testing.T, fn func(t *testing.T, cursor client.Cursor)) {
	for _, cursor := range cursors {
		t.Run(cursor.String(), func(t *testing.T) { fn(t, cursor) })
	}
}

// unordered dumps with a cursor that has its own order, and returns the ids as
// they came.
func unordered(t testing.TB, c *client.Client, o client.DumpOptions) (ids []uint32, sum client.Checksum) {
	t.Helper()
	for r, err := range c.Records(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
		sum.Add(r)
	}
	return ids, sum
}

// A table that does not change comes whole with every cursor and every
// encoding.
func TestCursorsSendAll(t *testing.T) {
	c := setup(t)
	filled := fill(t, c, client.FillOptions{Count: 5000, Seed: 5, IDStart: 7, IDStride: 3, PayloadMax: 40})
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			t.Run(fmt.Sprintf("%v-%v", cursor, encoding), func(t *testing.T) {
				ids, sum := unordered(t, c, client.DumpOptions{Cursor: cursor, Encoding: encoding})
				if sum != filled.Checksum {
					t.Errorf("checksum %v, fill promised %v", sum, filled.Checksum)
				}
				slices.Sort(ids)
				if len(ids) != 5000 || ids[0] != 7 || len(slices.Compact(ids)) != 5000 {
					t.Errorf("%d records, the first has id %d", len(ids), ids[0])
				}
			})
		}
	}
}

// The walker follows the order of creation, which a change of an entry keeps.
func TestWalkerHasOrderOfCreation(t *testing.T) {
	c := setup(t)
	for _, id := range []uint32{5, 1, 9, 3} {
		makeEntry(t, c, client.Entry{ID: id})
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 5, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delete(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	makeEntry(t, c, client.Entry{ID: 1})
	ids, _ := unordered(t, c, client.DumpOptions{Cursor: client.CursorWalker})
	wantIDs(t, ids, 5, 9, 3, 1)
}

// A parked dump has made its first page and waits for the reader.
type parked struct {
	s     *rawSocket
	order []uint32 // all ids, in the cursor's order
	sent  int      // how many of them are on the first page
}

// park fills the table with the ids 0, 2, 4 and so on, all with one name, and
// parks a dump.
func park(t *testing.T, c *client.Client, attrs ...[]byte) *parked {
	t.Helper()
	var ids []uint32
	for id := range smallPages(120) {
		ids = append(ids, 2*id)
	}
	makeEntries(t, c, "same", nil, ids...)
	return parkAsItIs(t, c, attrs...)
}

func parkAsItIs(t *testing.T, c *client.Client, attrs ...[]byte) *parked {
	t.Helper()
	p := &parked{s: openRaw(t, client.FamilyName, 64<<10)}
	p.s.send(cmdEntryGet, flagDump, attrs...)
	p.order = p.ids()
	before := state(t, c)
	p.s = openRaw(t, client.FamilyName, 64<<10)
	p.s.send(cmdEntryGet, flagDump, attrs...)
	// sendmsg() built this page. The next one is built when it is read.
	p.sent = int(state(t, c).Records - before.Records)
	if p.sent == 0 || p.sent >= len(p.order)/2 {
		t.Fatalf("%d of %d records on the first page", p.sent, len(p.order))
	}
	return p
}

// ids reads the rest.
func (p *parked) ids() (ids []uint32) {
	p.s.t.Helper()
	pages, _ := p.s.readDump()
	for _, ms := range pages {
		for _, m := range ms {
			if m.Type == unix.NLMSG_DONE {
				if v := verdictOf(p.s.t, m); v.errno != 0 {
					p.s.t.Fatalf("the dump ended with %v", v)
				}
				continue
			}
			ids = append(ids, idOf(p.s.t, m))
		}
	}
	return ids
}

// missed and repeated compare the received ids with those that were there
// throughout.
func (p *parked) compare(gone ...uint32) (missed, repeated []uint32) {
	p.s.t.Helper()
	times := make(map[uint32]int)
	for _, id := range p.ids() {
		times[id]++
	}
	for _, id := range p.order {
		switch n := times[id]; {
		case n == 0 && !slices.Contains(gone, id):
			missed = append(missed, id)
		case n > 1:
			repeated = append(repeated, id)
		}
	}
	return missed, repeated
}

// A change of one entry behind the cursor of a parked dump does not affect
// cursors that remember a key or a node. For cursors that count, the effect
// follows from the count.
// Rule 4.
func TestCursorsUnderChange(t *testing.T) {
	del := func(t *testing.T, c *client.Client, id uint32) {
		t.Helper()
		if _, err := c.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, c *client.Client, p *parked) (gone uint32)
		// What a cursor that counts misses or repeats, as an index into the
		// order, relative to the first id that was not sent.
		missed, repeated map[client.Cursor]int
	}{
		{
			name: "delete behind",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				del(t, c, p.order[0])
				return p.order[0]
			},
			missed: map[client.Cursor]int{client.CursorIndex: 0, client.CursorBucket: 0},
		},
		{
			name: "delete last sent",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				del(t, c, p.order[p.sent-1])
				return p.order[p.sent-1]
			},
			missed: map[client.Cursor]int{client.CursorIndex: 0, client.CursorBucket: 0},
		},
		{
			name: "delete next",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				del(t, c, p.order[p.sent])
				return p.order[p.sent]
			},
		},
		{
			name: "new behind",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				makeEntry(t, c, client.Entry{ID: 1, Name: "same"})
				return 1
			},
			// The head of a bucket and the smaller ids are behind the cursor;
			// the end of the list in order of creation is not.
			repeated: map[client.Cursor]int{client.CursorIndex: -1, client.CursorBucket: -1},
		},
		{
			name: "set behind",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				touch(t, c, p.order[0])
				return 1
			},
		},
		{
			name: "set ahead",
			change: func(t *testing.T, c *client.Client, p *parked) uint32 {
				touch(t, c, p.order[p.sent+1])
				return 1
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachCursor(t, func(t *testing.T, cursor client.Cursor) {
				c := setup(t)
				p := park(t, c, attrU32(attrCursor, uint32(cursor)))
				gone := tt.change(t, c, p)
				var wantMissed, wantRepeated []uint32
				if i, ok := tt.missed[cursor]; ok {
					wantMissed = []uint32{p.order[p.sent+i]}
				}
				if i, ok := tt.repeated[cursor]; ok {
					wantRepeated = []uint32{p.order[p.sent+i]}
				}
				missed, repeated := p.compare(gone)
				if !slices.Equal(missed, wantMissed) || !slices.Equal(repeated, wantRepeated) {
					t.Errorf("missed %v and repeated %v, want %v and %v", missed, repeated, wantMissed, wantRepeated)
				}
			})
		})
	}
}

// After a flush, a parked dump has nothing left to send.
// Rule 5.
func TestCursorsUnderFlush(t *testing.T) {
	eachCursor(t, func(t *testing.T, cursor client.Cursor) {
		c := setup(t)
		p := park(t, c, attrU32(attrCursor, uint32(cursor)))
		flush(t, c)
		if ids := p.ids(); len(ids) != p.sent {
			t.Errorf("%d records, want the %d of the first page", len(ids), p.sent)
		}
	})
}

// Walkers come and go while entries do. The list is whole afterwards: it has
// each entry once, and no walker.
func TestWalkersAbandonedUnderChurn(t *testing.T) {
	const churned, each = 500, 30
	c := setup(t)
	fillForChurn(t, c, churned)
	stop := churn(t, 2, churned)
	var readers sync.WaitGroup
	for range 3 {
		c := dial(t)
		readers.Go(func() {
			for range each {
				for _, err := range c.Records(t.Context(), client.DumpOptions{Cursor: client.CursorWalker}) {
					if err != nil {
						t.Error(err)
					}
					break // the client closes the socket
				}
			}
		})
	}
	readers.Wait()
	if stop() == 0 {
		t.Error("nothing changed")
	}
	if s := checkCounters(t, c); s.DumpsAbandoned < 3*each {
		t.Errorf("%d dumps were abandoned, want %d", s.DumpsAbandoned, 3*each)
	}
	before := state(t, c)
	ids, _ := unordered(t, c, client.DumpOptions{Cursor: client.CursorWalker})
	after := state(t, c)
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); uint64(n) != after.Count {
		t.Errorf("%d entries in the list, %d in the table", n, after.Count)
	}
	// The record that does not fit on a page is looked at again.
	if most := after.Count + after.Pages - before.Pages; after.Scanned-before.Scanned > most {
		t.Errorf("%d nodes of the list were looked at, want at most %d", after.Scanned-before.Scanned, most)
	}
}

// Few entries, of which each fills a page, go and are replaced, so it is often the one
// that a walker has in hand, or next to it.
func TestWalkersAmongChanges(t *testing.T) {
	const entries, rounds = 8, 500
	c := setup(t)
	payload := make([]byte, 3000)
	ids := above(0, entries)
	makeEntries(t, c, "e", payload, ids...)
	stop := keepReading(t, 2, func(c *client.Client) {
		// New entries go to the end of the list, so a dump may never end.
		records := 0
		for _, err := range c.Records(t.Context(), client.DumpOptions{Cursor: client.CursorWalker, BufferSize: smallBuffer}) {
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				t.Error(err)
			}
			if records++; records == 2*entries {
				break
			}
		}
	})
	changes := newChurner(t, 0, 1, 1)
	for range unwatched(rounds) {
		for range entries {
			id := ids[changes.r.IntN(entries)]
			changes.put(cmdEntryDel, attrU32(attrID, id))
			changes.put(cmdEntryNew, attrU32(attrID, id), attrText(attrName, "e"), attr(attrPayload, payload...))
			changes.put(cmdEntrySet, attrU32(attrID, ids[changes.r.IntN(entries)]), attrU32(attrFlags, 1))
		}
		if err := changes.flush(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	left, _ := unordered(t, c, client.DumpOptions{Cursor: client.CursorWalker})
	slices.Sort(left)
	if !slices.Equal(left, ids) {
		t.Errorf("in the list are %d, want %d", left, ids)
	}
}

// Walkers are part of the list that they walk. They pass each other, and
// abandoned ones are removed.
// Rule 5.
func TestWalkersPassEachOther(t *testing.T) {
	c := setup(t)
	walker := attrU32(attrCursor, uint32(client.CursorWalker))
	first := park(t, c, walker)
	var others []*parked
	for range 20 {
		others = append(others, parkAsItIs(t, c, walker))
	}
	// One among others at the same place.
	others[7].s.close()
	others[0].s.close()
	waitFor(t, "the abandoned ones go", func() bool { return state(t, c).DumpsOpen == uint64(len(others)-1) })
	before := state(t, c)
	if ids := first.ids(); !slices.Equal(ids, first.order) {
		t.Errorf("the first walker sent %d of %d records, or in another order", len(ids), len(first.order))
	}
	// Passing a walker counts as a look. At the end of each page except the
	// last, there is also a look at the record that did not fit.
	after := state(t, c)
	looks := after.Scanned - before.Scanned - (after.Records - before.Records) - (after.Pages - before.Pages - 1)
	if passed := uint64(len(others) - 2); looks != passed {
		t.Errorf("%d looks at walkers, want %d", looks, passed)
	}
	// Delete the entry that all of them are in front of.
	if _, err := c.Delete(t.Context(), first.order[first.sent]); err != nil {
		t.Fatal(err)
	}
	for i, p := range others {
		if i == 0 || i == 7 {
			continue
		}
		if missed, repeated := p.compare(first.order[first.sent]); missed != nil || repeated != nil {
			t.Errorf("walker %d missed %v and repeated %v", i, missed, repeated)
		}
	}
}

// A scan pauses where another dump's walker is the next in the list, and goes on.
func TestPauseAtAnotherWalker(t *testing.T) {
	const patience = 4096 // nodes between two pauses
	c := setup(t)
	walker := attrU32(attrCursor, uint32(client.CursorWalker))
	prefix := func(text string) []byte { return nest(attrFilter, attrText(attrNamePrefix, text)) }
	// parkBehind parks a dump behind so many entries and those of its first page.
	parkBehind := func(before uint32) (s *rawSocket, onPage uint32) {
		flush(t, c)
		makeEntries(t, c, "a", nil, above(0, before)...)
		makeEntries(t, c, "b", nil, above(patience, 200)...)
		records := state(t, c).Records
		s = openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, walker, prefix("b"))
		return s, uint32(state(t, c).Records - records)
	}
	s, onPage := parkBehind(1)
	s.close()
	s, again := parkBehind(patience - onPage)
	if onPage == 0 || again != onPage {
		t.Fatalf("%d records on the first page, then %d", onPage, again)
	}
	if v := openRaw(t, client.FamilyName, smallBuffer).ask(flagDump, request(cmdEntryGet, walker, prefix("none"))); v.errno != 0 || !v.done {
		t.Errorf("a walker that pauses at another: %+v", v)
	}
	s.close()
}

// A cursor that counts in a bucket counts from its head for each page.
func TestBucketIsCountedFromItsHead(t *testing.T) {
	count := smallPages(1200)
	c := setup(t)
	makeEntries(t, c, "same", nil, above(0, count)...)
	before := state(t, c)
	if ids, _ := unordered(t, c, client.DumpOptions{Cursor: client.CursorBucket, BufferSize: smallBuffer}); len(ids) != int(count) {
		t.Errorf("%d records, want %d", len(ids), count)
	}
	after := state(t, c)
	pages, scanned := after.Pages-before.Pages, after.Scanned-before.Scanned
	if pages < 20 || scanned < uint64(count)*pages/3 {
		t.Errorf("%d entries on %d pages were looked at %d times only", count, pages, scanned)
	}
}
