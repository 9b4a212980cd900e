// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A delta since the last generation is empty, also where the log's indexes end, as
// those of 32 bits do.
func TestSinceTheLastIndex(t *testing.T) {
	c := reload(t, "max_entries=4294967295")
	makeEntry(t, c, client.Entry{ID: 0})
	makeEntry(t, c, client.Entry{ID: 6})
	if _, err := c.Delete(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	s := state(t, c)
	skipGenerations(t, c, math.MaxUint32-(s.Generation-s.LogFloor))
	last := s.LogFloor + math.MaxUint32
	for since := last - 2; since <= last; since++ {
		if got := collect(t, c, client.DumpOptions{Since: &since}); len(got) != 0 {
			t.Errorf("since %#x of %#x: %+v", since, last, got)
		}
	}
	if s := state(t, c); s.Generation != last || s.LogFloor+math.MaxUint32 != last {
		t.Errorf("generation %#x, floor %#x; want %#x, and the log as it was", s.Generation, s.LogFloor, last)
	}
}

// A flush while a delta is parked removes what the delta has not sent yet.
func TestSinceIsStaleInTheMiddle(t *testing.T) {
	c := setup(t)
	since := uint32(state(t, c).Generation)
	fill(t, c, client.FillOptions{Count: 5000})
	p := parkAsItIs(t, c, attrU32(attrSince, since))
	flush(t, c)
	pages, _ := p.s.readDump()
	done := pages[len(pages)-1][len(pages[len(pages)-1])-1]
	if v := verdictOf(t, done); v.errno != unix.ESTALE || v.text == "" {
		t.Errorf("the dump ended with %+v, want ESTALE and a text", v)
	}
}

// A delta is parked behind its first page, and the log forgets a deleted entry. If it
// was to come with a page, that is told, also if the page is full and others follow. If
// it was sent, the delta goes on.
func TestSinceForgetsBetweenPages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before uint32 // changes before the deletion
		errno  unix.Errno
	}{{"what is sent", 10, 0}, {"what is to come", 150, unix.ESTALE}} {
		t.Run(tt.name, func(t *testing.T) {
			const first, second, count = 1 << 20, 1<<20 + 1, 2000
			c := reload(t, "max_tombstones=1")
			makeEntry(t, c, client.Entry{ID: first})
			makeEntry(t, c, client.Entry{ID: second})
			since := state(t, c).Generation
			fill(t, c, client.FillOptions{Count: tt.before})
			floor, err := c.Delete(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, c, client.FillOptions{Count: count, IDStart: tt.before})
			p := parkAsItIs(t, c, attrU32(attrSince, uint32(since)))
			if sent := slices.Index(p.order, first) < p.sent; sent != (tt.errno == 0) {
				t.Fatalf("the deletion is record %d, and the first page has %d", tt.before, p.sent)
			}
			if _, err := c.Delete(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			if s := state(t, c); s.LogFloor != floor {
				t.Fatalf("the floor is %d, want %d", s.LogFloor, floor)
			}
			pages, _ := p.s.readDump()
			last := pages[len(pages)-1]
			if v := verdictOf(t, last[len(last)-1]); v.errno != tt.errno {
				t.Errorf("the dump ended with %+v, want %v", v, tt.errno)
			}
			// It was in a page between the first and the last one.
			if n := len(pages); tt.errno == 0 && n < 4 || tt.errno != 0 && n > 2 {
				t.Errorf("%d pages", n)
			}
		})
	}
}

// A delta is parked before its first page, and the log forgets: first what the
// delta does not need, then the first deleted entry that it needs.
func TestSinceAtTheFloor(t *testing.T) {
	const tombstones = 10
	c := reload(t, fmt.Sprintf("max_tombstones=%d", tombstones))
	fill(t, c, client.FillOptions{Count: 100})
	forgotten := uint32(0) // entries are deleted in the order of their ids
	del := func() (generation uint64) {
		t.Helper()
		generation, err := c.Delete(t.Context(), forgotten)
		if err != nil {
			t.Fatal(err)
		}
		forgotten++
		return generation
	}
	for _, tt := range []struct {
		name  string
		floor uint64 // more than since
		errno unix.Errno
	}{{"the last one before", 0, 0}, {"the first one after", 1, unix.ESTALE}} {
		t.Run(tt.name, func(t *testing.T) {
			since := del() // the floor, when as many more were deleted as are remembered
			if del() != since+1 {
				t.Fatal("somebody else changes the table")
			}
			s := openRaw(t, client.FamilyName, 64<<10)
			seq := s.parkBeforeFirstPage(c, attrU32(attrSince, uint32(since)))
			for range uint64(tombstones-1) + tt.floor {
				del()
			}
			if floor := state(t, c).LogFloor; floor != since+tt.floor {
				t.Fatalf("the floor is %d, want %d", floor, since+tt.floor)
			}
			if v := s.endOf(seq); v.errno != tt.errno {
				t.Errorf("the dump ended with %+v, want %v", v, tt.errno)
			}
		})
	}
}

// At most max_tombstones deleted entries are remembered. A reader older than
// the oldest forgotten one must read everything.
func TestTombstonesAreBounded(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", "max_tombstones=10")
	c := dial(t)
	if s := state(t, c); s.TombstonesMax != 10 || s.Tombstones != 0 {
		t.Errorf("%d tombstones of at most %d, want 0 of 10", s.Tombstones, s.TombstonesMax)
	}
	fill(t, c, client.FillOptions{Count: 1000})
	start := state(t, c).Generation
	for id := range uint32(30) {
		if _, err := c.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		s := state(t, c)
		if want := min(uint64(id+1), 10); s.Tombstones != want {
			t.Fatalf("%d tombstones after %d deletes, want %d", s.Tombstones, id+1, want)
		}
		floor := uint64(0)
		if id >= 10 {
			floor = start + uint64(id) - 9
		}
		if s.LogFloor != floor {
			t.Fatalf("floor %d after %d deletes, want %d", s.LogFloor, id+1, floor)
		}
		since := max(floor, start)
		if n := make(replica).mustUpdate(t, c, client.DumpOptions{}, since); n != int(s.Generation-since) {
			t.Fatalf("%d changes since %d, want %d", n, since, s.Generation-since)
		}
		if floor > 0 {
			if _, err := make(replica).update(t, c, client.DumpOptions{}, floor-1); !errors.Is(err, client.ErrStale) {
				t.Fatalf("since %d: %v, want %v", floor-1, err, client.ErrStale)
			}
		}
	}
	// A dump that is parked before a tombstone cannot send it after the
	// tombstone is dropped.
	for id := range uint32(200) {
		if _, err := c.Set(t.Context(), client.Change{ID: 100 + id, Value: ptr(uint64(id))}); err != nil {
			t.Fatal(err)
		}
	}
	parkedSince := parkAsItIs(t, c, attrU32(attrSince, uint32(state(t, c).Generation-200)))
	for id := range uint32(11) {
		if _, err := c.Delete(t.Context(), 900+id); err != nil {
			t.Fatal(err)
		}
	}
	pages, _ := parkedSince.s.readDump()
	last := pages[len(pages)-1]
	if v := verdictOf(t, last[len(last)-1]); v.errno != unix.ESTALE {
		t.Errorf("the dump ended with %+v, want ESTALE", v)
	}
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", "")
}
