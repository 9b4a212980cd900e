// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"math"
	"slices"
	"testing"

	"bulkdump/client"
)

// all returns the ids of a dump without changes, and its pages. The ids are
// sorted, because only some cursors send them in order.
func all(t *testing.T, k kind, generation uint64) (ids []uint32, pages []page) {
	t.Helper()
	s := openRaw(t, client.FamilyName, smallBuffer)
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

// The dump of an empty table has only DONE.
// Rules 2, 20.
func TestEmptyTableIsDoneAlone(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		if ids, pages := all(t, k, state(t, c).Generation); len(ids) != 0 || len(pages) != 1 || !pages[0].first {
			t.Errorf("%d records on %d pages, want DONE alone", len(ids), len(pages))
		}
	})
}

// One record and DONE are one page.
// Rule 20.
func TestOneRecordAndDoneShareAPage(t *testing.T) {
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
func TestLargestIDIsSentOnce(t *testing.T) {
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

// Records of each size, from one that leaves room for DONE to one that leaves
// none. DONE comes with the last record or alone, and every record comes once.
// Rules 1, 20, 23.
func TestDoneAloneInItsPage(t *testing.T) {
	goodSize, _ := rooms(t, setup(t))
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
		start := goodSize/2 - 400
		_, pages := two(start)
		// With that many bytes more in each, two records fill the page.
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
		// Columns reserve room for padding that they may not need, so DONE fits
		// there.
		if alone == 0 && k.encoding != client.EncodingColumns || shared == 0 {
			t.Errorf("DONE was alone on its page %d times, with two records %d times", alone, shared)
		}
	})
}

// A key cursor and a walker look at each entry once, plus once more at the one
// that did not fit. On every page, a cursor that counts looks at all entries
// before it.
// Rule 4.
func TestCursorGoesOnWhereItIs(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		count := uint64(smallPages(1200))
		fill(t, c, client.FillOptions{Count: uint32(count)})
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
		case !k.delta && k.cursor == client.CursorBucket: // 65536 buckets: few have two entries
			if scanned > once+pages*10 {
				t.Errorf("%d entries on %d pages were looked at %d times", count, pages, scanned)
			}
		case scanned > once:
			t.Errorf("%d entries on %d pages were looked at %d times", count, pages, scanned)
		}
	})
}
