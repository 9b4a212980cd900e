// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// all are the ids of a dump at rest, in the order of pages; sorted, since only
// some cursors have that of ids.
func all(t *testing.T, k kind, generation uint64) (ids []uint32, pages []page) {
	t.Helper()
	s := openRaw(t, client.FamilyName, 4<<10)
	defer s.close()
	s.send(cmdEntryGet, flagDump, k.attrs(generation))
	pages = s.rest(func(int) {})
	wantMarks(t, pages)
	for _, p := range pages {
		ids = append(ids, p.ids...)
	}
	slices.Sort(ids)
	return ids, pages
}

// An empty table is DONE alone.
// Rules 2, 20.
func TestEmptyTable(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		if ids, pages := all(t, k, state(t, c).Generation); len(ids) != 0 || len(pages) != 1 || !pages[0].first {
			t.Errorf("%d records on %d pages, want DONE alone", len(ids), len(pages))
		}
	})
}

// One record and DONE are one page.
// Rule 20.
func TestOneRecord(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		makeEntry(t, c, client.Entry{ID: 7})
		ids, pages := all(t, k, generation)
		wantIDs(t, ids, 7)
		if len(pages) != 1 || pages[0].done == nil {
			t.Errorf("%d pages, want one", len(pages))
		}
	})
}

// The largest id is sent once, and nothing after it, wherever the page ends.
// Rules 3, 20.
func TestLargestID(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		for count := uint32(1); count < 25; count += 3 {
			flush(t, c)
			generation := state(t, c).Generation
			fill(t, c, client.FillOptions{Count: count, IDStart: math.MaxUint32 - count + 1, PayloadMin: 250})
			ids, _ := all(t, k, generation)
			if len(ids) != int(count) || ids[count-1] != math.MaxUint32 || len(slices.Compact(ids)) != int(count) {
				t.Fatalf("of %d entries up to the largest id came %v", count, ids)
			}
		}
	})
}

// Records of each size from one that leaves room for DONE to one that leaves
// none: with the last one comes DONE, or it comes alone, and all is sent once.
// Rules 1, 20.
func TestDoneAloneInItsPage(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		two := func(payload int) (ids []uint32, pages []page) {
			t.Helper()
			flush(t, c)
			generation := state(t, c).Generation
			makeEntry(t, c, client.Entry{ID: 0, Payload: make([]byte, payload)})
			makeEntry(t, c, client.Entry{ID: 1, Payload: make([]byte, payload)})
			return all(t, k, generation)
		}
		const start = goodSize/2 - 400
		_, pages := two(start)
		// With so much more in each, two records fill the page.
		fits := start + (goodSize-pages[0].size)/2&^3
		alone, shared := 0, 0
		for payload := fits - 64; payload <= fits+8; payload += 4 {
			ids, pages := two(payload)
			wantIDs(t, ids, 0, 1)
			switch n := len(pages); {
			case n == 1:
				shared++
			case n == 2 && pages[1].first:
				alone++
			case n == 2 && len(pages[0].ids) == 1: // the second one did not fit
			default:
				t.Fatalf("payloads of %d: %d pages", payload, n)
			}
		}
		// Columns keep room for padding that they may not need: DONE fits there.
		if alone == 0 && k.encoding != client.EncodingColumns || shared == 0 {
			t.Errorf("DONE was alone on its page %d times, with two records %d times", alone, shared)
		}
	})
}

// A dump that found no room for a page waits, and goes on where it was when
// there is room again: its reader is told ENOBUFS, and misses nothing.
func TestDumpGoesOnAfterENOBUFS(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := consistencyTable(t)
		s := openRaw(t, client.FamilyName, 64<<10)
		seq := s.parkBeforeFirstPage(c, k.attrs(generation))
		pages, lost := s.restOf(seq)
		wantMarks(t, pages)
		var ids []uint32
		for _, p := range pages {
			ids = append(ids, p.ids...)
		}
		slices.Sort(ids)
		if len(ids) != 400 || len(slices.Compact(ids)) != 400 || lost == 0 {
			t.Errorf("%d records of 400, and %d reads said ENOBUFS", len(ids), lost)
		}
	})
}

// A key cursor and a walker look at each entry once, and at the one that did
// not fit again; who counts looks at all before it on every page.
// Rule 4.
func TestCursorGoesOnWhereItIs(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		const count = 1200
		fill(t, c, client.FillOptions{Count: count})
		before := state(t, c)
		all(t, k, generation)
		after := state(t, c)
		pages, scanned := after.Pages-before.Pages, after.Scanned-before.Scanned
		if pages < 20 {
			t.Fatalf("%d pages: too few to prove anything", pages)
		}
		switch once := count + pages; {
		case scanned < count:
			t.Errorf("%d of %d entries were looked at", scanned, count)
		case !k.delta && k.cursor == client.CursorIndex:
			if scanned < count*pages/3 {
				t.Errorf("%d entries on %d pages were looked at %d times only", count, pages, scanned)
			}
		case !k.delta && k.cursor == client.CursorBucket: // of 65536: few have two entries
			if scanned > once+pages*10 {
				t.Errorf("%d entries on %d pages were looked at %d times", count, pages, scanned)
			}
		case scanned > once:
			t.Errorf("%d entries on %d pages were looked at %d times", count, pages, scanned)
		}
	})
}

// A number of 64 bits has 4 or 8 bytes, whichever it needs, and nothing is put
// in only to align it.
// Rule 15.
func TestUintIsFourOrEightBytes(t *testing.T) {
	const attrValue, attrStats, attrLast = 4, 6, 7
	c := setup(t)
	values := []uint64{0, 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	for i, v := range values {
		makeEntry(t, c, client.Entry{ID: uint32(i), Value: v})
	}
	check := func(a nldump.Attrs, last uint16, wants func(typ uint16) int) {
		t.Helper()
		types := 0
		for a.Next() {
			types++
			if a.Type() == 0 || a.Type() > last {
				t.Errorf("an attribute of type %d", a.Type())
			}
			if want := wants(a.Type()); want != 0 && len(a.Bytes()) != want {
				t.Errorf("attribute %d has %d bytes, want %d", a.Type(), len(a.Bytes()), want)
			}
		}
		if types == 0 || a.Err() != nil {
			t.Errorf("%d attributes, %v", types, a.Err())
		}
	}
	for _, encoding := range []client.Encoding{client.EncodingPlain, client.EncodingDirect} {
		s := openRaw(t, client.FamilyName, 64<<10)
		s.send(cmdEntryGet, flagDump, attrU32(attrEncoding, uint32(encoding)))
		pages, _ := s.readDump()
		for _, m := range slices.Concat(pages...) {
			if m.Type == unix.NLMSG_DONE {
				continue
			}
			width := 4
			if values[idOf(t, m)] > math.MaxUint32 {
				width = 8
			}
			check(nldump.Parse(m.Data[4:]), attrLast, func(typ uint16) int {
				return map[uint16]int{attrValue: width, attrGeneration: 4}[typ]
			})
			for a := nldump.Parse(m.Data[4:]); a.Next(); {
				if a.Type() == attrStats {
					// Two counters that are 0, two times in nanoseconds.
					check(a.Nested(), 4, func(typ uint16) int { return map[uint16]int{1: 4, 2: 4, 3: 8, 4: 8}[typ] })
				}
			}
		}
	}
	// And in a request either is understood.
	s := openRaw(t, client.FamilyName, 64<<10)
	floor := state(t, c).LogFloor
	for _, since := range [][]byte{attrU32(attrSince, uint32(floor)), attr(attrSince, binary.NativeEndian.AppendUint64(nil, floor)...)} {
		s.send(cmdEntryGet, flagDump, since)
		if pages, _ := s.readDump(); len(slices.Concat(pages...)) != len(values)+1 {
			t.Errorf("since as %d bytes: %d pages", len(since)-4, len(pages))
		}
	}
}

// The answer to a request has the request's command; an event has its own.
// Rule 19.
func TestAnswerHasTheCommandOfTheRequest(t *testing.T) {
	setup(t)
	s := openRaw(t, client.FamilyName, 64<<10)
	id, name := attrU32(attrID, 1), attrText(attrName, "one")
	for _, tt := range []struct {
		cmd   uint8
		flags uint16
		attrs [][]byte
		event uint8 // comes before the answer
	}{
		{cmdEntryNew, unix.NLM_F_ECHO, [][]byte{id, name}, eventNew},
		{cmdEntryGet, 0, [][]byte{id}, 0},
		{cmdEntryGet, unix.NLM_F_DUMP, nil, 0},
		{cmdEntrySet, unix.NLM_F_ECHO, [][]byte{id, name}, eventSet},
		{cmdEntryDel, unix.NLM_F_ECHO, [][]byte{id}, eventDel},
		{cmdTableGet, 0, nil, 0},
		{cmdTableFill, unix.NLM_F_ECHO, [][]byte{attrU32(attrCount, 1)}, eventFill},
		{cmdTableFlush, unix.NLM_F_ECHO, nil, eventFlush},
	} {
		seq := s.send(tt.cmd, unix.NLM_F_REQUEST|tt.flags, tt.attrs...)
		for _, want := range []uint8{tt.event, tt.cmd} {
			if want == 0 {
				continue
			}
			ms, _ := s.read()
			if ms[0].Type != s.family || ms[0].Data[0] != want || ms[0].Seq != seq {
				t.Errorf("command %d: a message of type %d, command %d, want command %d", tt.cmd, ms[0].Type, ms[0].Data[0], want)
			}
		}
	}
}
