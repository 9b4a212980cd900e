// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// The log has room for a number of changes, and starts again when the next ones do not
// fit. A delta since before that is stale, also one that is parked. A later one is
// whole, whatever the change was.
func TestLogStartsAgain(t *testing.T) {
	const slots, count = 50, 40
	c := reload(t, fmt.Sprintf("log_slots=%d max_entries=%d", slots, count))
	base := state(t, c).LogFloor               // where the log starts
	last := map[uint32]uint64{}                // the generation of each id's last change
	changed := func(n uint64, ids ...uint32) { // n changes were made, the last ones of these ids
		t.Helper()
		s := state(t, c)
		if before := s.Generation - n; s.Generation-base > slots {
			base = before
		}
		for i, id := range ids {
			last[id] = s.Generation - uint64(len(ids)-1-i)
		}
		if s.LogFloor != base {
			t.Fatalf("generation %d: the floor is %d, want %d", s.Generation, s.LogFloor, base)
		}
		for since := base; since <= s.Generation; since++ {
			want := map[uint32]uint64{}
			for id, generation := range last {
				if generation > since {
					want[id] = generation
				}
			}
			got := map[uint32]uint64{}
			for _, e := range collect(t, c, client.DumpOptions{Since: &since}) {
				got[e.ID] = e.Generation
			}
			if !maps.Equal(got, want) {
				t.Fatalf("since %d, at %d: %v, want %v", since, s.Generation, got, want)
			}
		}
		if base == 0 {
			return
		}
		if _, err := make(replica).update(t, c, client.DumpOptions{}, base-1); !errors.Is(err, client.ErrStale) {
			t.Fatalf("since %d: %v, want %v", base-1, err, client.ErrStale)
		}
	}
	idsFrom := func(first, n uint32) (ids []uint32) {
		for id := first; id < first+n; id++ {
			ids = append(ids, id)
		}
		return ids
	}
	del := func(id uint32) {
		t.Helper()
		if _, err := c.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		changed(1, id)
	}
	next := uint32(0)
	for round := range 4 {
		makeEntry(t, c, client.Entry{ID: next})
		changed(1, next)
		touch(t, c, next)
		changed(1, next)
		parked := openRaw(t, client.FamilyName, 64<<10)
		seq := parked.parkBeforeFirstPage(c, attrU32(attrSince, uint32(state(t, c).Generation-1)))
		fill(t, c, client.FillOptions{Count: 30, IDStart: next + 1})
		starts := base
		changed(30, idsFrom(next+1, 30)...)
		stale := base > starts // the fill did not fit
		if v := parked.endOf(seq); (v.errno == unix.ESTALE) != stale || v.errno != 0 && !stale {
			t.Errorf("round %d: a delta that was parked before a fill ended with %+v, stale is %t", round, v, stale)
		}
		touch(t, c, next) // an entry whose last change the log may have lost
		changed(1, next)
		if _, err := c.Fill(t.Context(), client.FillOptions{Count: 5, IDStart: next + 26 + 10*uint32(round%2)}); round%2 == 0 && err == nil {
			t.Error("a fill over what is there")
		} else if err == nil {
			changed(5, idsFrom(next+36, 5)...)
			for _, id := range idsFrom(next+36, 5) {
				del(id)
			}
		} else {
			changed(5) // all is undone, and nothing was made
		}
		for _, id := range idsFrom(next, 31) {
			del(id)
		}
		next += 100
	}
	if base < 3*slots {
		t.Errorf("the log started at %d, generation %d", base, state(t, c).Generation)
	}
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := state(t, c); s.LogFloor != s.Generation || s.Tombstones != 0 {
		t.Errorf("after a flush: %+v", s)
	}
}
