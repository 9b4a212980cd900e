// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A socket has one dump at a time. The second one is refused, and the first one
// continues.
func TestSecondDumpOnBusySocket(t *testing.T) {
	const count = 5000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	before := state(t, c)
	s := openRaw(t, client.FamilyName, smallBuffer)
	first := s.send(cmdEntryGet, flagDump)
	second := s.send(cmdEntryGet, flagDump)
	next, refused := uint32(0), false
	for done := false; !done; {
		page, _ := s.read()
		for _, m := range page {
			switch {
			case m.Seq == second:
				if v := verdictOf(t, m); v.errno != unix.EBUSY {
					t.Errorf("the second dump: %v, want EBUSY", v.errno)
				}
				refused = true
			case m.Seq != first:
				t.Fatalf("message of request %d", m.Seq)
			case m.Type == unix.NLMSG_DONE:
				done = true
				if m.Flags&flagIntr != 0 || verdictOf(t, m).errno != 0 {
					t.Errorf("the first dump ended with flags %#x and %v", m.Flags, verdictOf(t, m).errno)
				}
			default:
				if id := idOf(t, m); id != next {
					t.Fatalf("id %d, want %d", id, next)
				}
				next++
			}
		}
	}
	if !refused {
		t.Error("the second dump was not refused")
	}
	if next != count {
		t.Errorf("the first dump had %d records, want %d", next, count)
	}
	after := checkCounters(t, c)
	if got := after.DumpsStarted - before.DumpsStarted; got != 1 {
		t.Errorf("started dumps rose by %d, want 1", got)
	}
	// Now the socket is free.
	s.send(cmdEntryGet, flagDump)
	if pages, _ := s.readDump(); len(pages) < 2 {
		t.Error("the third dump is too short")
	}
}

// Rule 7.
func TestSocketClosedDuringDump(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 5000})
	for name, leave := range map[string]func(t *testing.T){
		"before the first read": func(t *testing.T) {
			s := openRaw(t, client.FamilyName, smallBuffer)
			s.send(cmdEntryGet, flagDump)
			s.close()
		},
		"after the first read": func(t *testing.T) {
			s := openRaw(t, client.FamilyName, smallBuffer)
			s.send(cmdEntryGet, flagDump)
			s.read()
			s.close()
		},
		"left loop": func(t *testing.T) {
			for _, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		},
		"cancelled context": func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			for _, last = range c.Records(ctx, client.DumpOptions{BufferSize: smallBuffer}) {
				cancel()
			}
			if !errors.Is(last, context.Canceled) {
				t.Errorf("error %v, want %v", last, context.Canceled)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := checkCounters(t, c)
			leave(t)
			after := checkCounters(t, c)
			if got := after.DumpsAbandoned - before.DumpsAbandoned; got != 1 {
				t.Errorf("abandoned dumps rose by %d, want 1", got)
			}
			if got := after.DumpsFinished - before.DumpsFinished; got != 0 {
				t.Errorf("finished dumps rose by %d, want 0", got)
			}
			mustDump(t, c, client.DumpOptions{}) // the client still works
		})
	}
}

// A dump that found no room for a page waits. When there is room again, it
// continues at the same place. Its reader gets ENOBUFS and misses nothing.
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
		count := int(state(t, c).Count)
		if len(ids) != count || len(slices.Compact(ids)) != count || lost == 0 {
			t.Errorf("%d records of %d, and %d reads said ENOBUFS", len(ids), count, lost)
		}
	})
}
