// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// Each record has the generation of its entry's last change, or of its
// deletion. Each change makes a new generation.
// Rule 8.
func TestGenerationOnEveryRecord(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		start := state(t, c).Generation
		last := start
		want := make(map[uint32]uint64)
		changed := func(id uint32, generation uint64, err error) {
			t.Helper()
			if last++; err != nil || generation != last {
				t.Fatalf("id %d: generation %d, error %v; want %d", id, generation, err, last)
			}
			want[id] = generation
		}
		for id := range uint32(30) {
			generation, err := c.New(t.Context(), client.Entry{ID: id, Name: fmt.Sprint(id % 7)})
			changed(id, generation, err)
		}
		for id := uint32(0); id < 30; id += 3 {
			generation, err := c.Set(t.Context(), client.Change{ID: id, Value: ptr(uint64(1))})
			changed(id, generation, err)
			generation, err = c.Delete(t.Context(), id+1)
			changed(id+1, generation, err)
		}
		n := 0
		for _, e := range collect(t, c, k.options(start)) {
			n++
			if e.Generation != want[e.ID] || e.Deleted != (e.ID%3 == 1) {
				t.Errorf("id %d, deleted %v: generation %d, want %d", e.ID, e.Deleted, e.Generation, want[e.ID])
			}
		}
		if all := 20 + map[bool]int{true: 10}[k.delta]; n != all {
			t.Errorf("%d records, want %d", n, all)
		}
	})
}

// skipGenerations raises the generation of a table with an entry 0 at once. A fill that
// is refused, because its first id is taken, raises it by its count.
func skipGenerations(t testing.TB, c *client.Client, count uint64) {
	t.Helper()
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: uint32(count)}); !errors.Is(err, unix.EEXIST) {
		t.Fatalf("fill over a taken id: %v, want EEXIST", err)
	}
}

// A generation has 64 bits, and the sequence that the core compares for a dump
// (cb->seq) has 32, of which 0 means "not checked". A change is told where the one
// wraps into the other, and after as many changes as the other has values.
// Rule 8.
func TestIntrWhereTheGenerationOutgrows32Bits(t *testing.T) {
	c := reload(t, "max_entries=4294967295")
	makeEntry(t, c, client.Entry{ID: 0})
	skip := func(count uint64) { t.Helper(); skipGenerations(t, c, count) }
	wantTold := func(what string, change func()) {
		t.Helper()
		s := openRaw(t, client.FamilyName, smallBuffer)
		defer s.close()
		seq := s.parkBeforeFirstPage(c, nil)
		change()
		if pages, _ := s.restOf(seq); len(pages[0].marked) != 1 || len(pages[0].ids) != 1 {
			t.Errorf("%s: %d records, messages %v are marked, want the only one", what, len(pages[0].ids), pages[0].marked)
		}
	}
	skip(math.MaxUint32 - state(t, c).Generation)
	wantTold("from 0xffffffff", func() { touch(t, c, 0) })
	wantTold("after 0xfffffffe changes", func() { skip(math.MaxUint32 - 1) })
	wantTold("after 0xffffffff changes", func() { skip(math.MaxUint32 - 1); touch(t, c, 0) })
	wantTold("after 0x100000000 changes", func() { skip(math.MaxUint32 - 1); touch(t, c, 0); touch(t, c, 0) })

	since := state(t, c).Generation
	if since <= 2*math.MaxUint32-10 {
		t.Fatalf("generation %#x, want one of more than 32 bits", since)
	}
	touch(t, c, 0)
	delta := collect(t, c, client.DumpOptions{Since: &since})
	if len(delta) != 1 || delta[0].Generation != since+1 {
		t.Errorf("a delta since %#x: %+v", since, delta)
	}
	if e := mustGet(t, c, 0); e.Generation != since+1 {
		t.Errorf("the entry has generation %#x, want %#x", e.Generation, since+1)
	}
}

// A change while a page is made marks DONE if no record comes after it.
// Rules 8, 20.
func TestIntrOfAChangeDuringAPage(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: large()})
	waitFor(t, "a change before the scan is over", func() bool {
		before := state(t, c)
		s := openRaw(t, client.FamilyName, smallBuffer)
		// It looks at the table in one system call, again and again, and finds nothing.
		scan := s.message(flagDump, request(cmdEntryGet, attrU32(attrCursor, uint32(client.CursorIndex)), nest(attrFilter, attrText(attrNamePrefix, "none"))))
		sent := make(chan error)
		go func() { sent <- unix.Sendto(s.fd, scan, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) }()
		waitFor(t, "the scan has begun", func() bool { return state(t, c).DumpsStarted > before.DumpsStarted })
		touch(t, c, 0)
		during := state(t, c).DumpsOpen == 1 // it is not over: a dump that has sent all it has is not open
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		p := s.page()
		s.close()
		if !during {
			return false
		}
		if p.done == nil || len(p.marked) != 1 {
			t.Errorf("%d records, messages %v are marked, want DONE alone", len(p.ids), p.marked)
		}
		if n := checkCounters(t, c).DumpsInterrupted - before.DumpsInterrupted; n != 1 {
			t.Errorf("interrupted dumps rose by %d, want 1", n)
		}
		return true
	})
}
