// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A change that is refused for want of memory gives back what it had reserved. Each
// one has ids far from all others, so a slot that stays reserved keeps nodes of its
// own.
func TestFaultsLeaveNoNodes(t *testing.T) {
	needFaults(t)
	const refusals, room = 15, 20 // nodes that others allocate meanwhile; a slot takes three
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 5})
	newEntry := func(id uint32) []byte { return request(cmdEntryNew, attrU32(attrID, id), attrText(attrName, "n")) }
	fillOne := func(id uint32) []byte {
		return request(cmdTableFill, attrU32(attrCount, 1), attrU32(attrFillStart, id))
	}
	for _, tt := range []struct {
		lacked  string
		times   int // how many allocations fail; an XArray tries a second one
		request func(id uint32) []byte
	}{
		{"the entry", 1, newEntry},
		{"the change log", 2, newEntry},
		{"the entries", 1, fillOne},
	} {
		t.Run(tt.lacked, func(t *testing.T) {
			f := injectInARow(t)
			tries := uint32(0)
			try := func(bytes int) (refused bool, failed int) {
				t.Helper()
				// The next generation needs a new node of the log. A fill that is refused
				// at once raises the generation by its count.
				if left := 63 - state(t, c).Generation%64; left > 0 && tt.lacked == "the change log" {
					if _, err := c.Fill(t.Context(), client.FillOptions{Count: uint32(left), IDStart: 5}); !errors.Is(err, unix.EEXIST) {
						t.Fatalf("fill over a taken id: %v, want EEXIST", err)
					}
				}
				tries++
				far := tries << 18
				text, err := askFailing(t, tt.request(far), func(send func()) { failed = f.in(bytes, tt.times, send) })
				if err == nil || errors.Is(err, unix.ENOBUFS) {
					_, _ = c.Delete(t.Context(), far) // if it is there
				}
				return text == "no memory for "+tt.lacked, failed
			}
			const step = 50 // no entry is smaller
			place, ends := 0, 0
			for found, failed := false, 1; !found; place += step {
				if found, failed = try(place); failed > 0 {
					continue
				}
				// What is allocated before it differs from try to try.
				if place, ends = -step, ends+1; ends == 10 {
					t.Fatalf("nothing said that there was no memory for %s", tt.lacked)
				}
			}
			before, refused := xarrayNodes(t), 0
			// The place shifts, with the nodes that are there already, and now and then
			// because the kernel also allocates for its own checks.
			for n, missed := 0, 0; refused < refusals && n < 20*refusals; n++ {
				at := place + (missed+1)/2*step*(1-missed%2*2)
				if yes, _ := try(max(at, 0)); yes {
					refused++
					place, missed = at, 0
				} else {
					missed++
				}
			}
			after := xarrayNodes(t)
			figures(t, "%d refusals for want of memory for %s: from %d nodes of XArrays to %d", refused, tt.lacked, before, after)
			if refused < refusals || after > before+room {
				t.Errorf("%d refusals, and from %d nodes to %d", refused, before, after)
			}
		})
	}
}

// Each allocation of the first entry in a namespace fails once, with it that of the
// hash table of names. The namespace ends right after that.
func TestFaultsInTheFirstEntry(t *testing.T) {
	needFaults(t)
	reload(t, fewBuckets) // more of them would come from elsewhere if slab has no memory
	f, j := injectFaults(t), judged{t, make(verdicts)}
	lacked := make(map[string]bool)
	try := func(nth int) (reached bool) {
		inNewNetNS(t, func() {
			there := dial(t)
			defer there.Close()
			text, err := askFailing(t, request(cmdEntryNew, attrU32(attrID, 1), attrText(attrName, "first")), func(send func()) {
				reached = f.in(nth, send)
			})
			j.judge(nth, err)
			lacked[text] = true
			s := state(t, there)
			if made := s.Count == 1; made != (err == nil) && !errors.Is(err, unix.ENOBUFS) {
				t.Errorf("fault %d: %v, and there are %d entries", nth, err, s.Count)
			}
			if s.Count == 0 {
				wantNoName(t, there, "first")
			}
		})
		return reached
	}
	heard := func() bool { return lacked["no memory for the hash table of names"] }
	places := f.eachUntil(heard, try)
	j.outcomes.report(t, "new, in a new namespace", places)
	if !heard() {
		t.Errorf("nothing said that there was no memory for the hash table of names: %v", lacked)
	}
}

// An entry's id gets no memory, also not with the second try of the XArray, which
// may leave nodes without an entry. The namespace ends as it is, and frees them.
func TestFaultsInNamespaceThatEnds(t *testing.T) {
	needFaults(t)
	setup(t)
	f := injectInARow(t)
	lacked := false
	inNewNetNS(t, func() {
		there := dial(t)
		defer there.Close()
		makeEntry(t, there, client.Entry{ID: 0})
		tries := uint32(0)
		f.eachUntil(func() bool { return lacked }, 100, func(bytes int) (failed int) {
			tries++ // each id is far from the others
			text, _ := askFailing(t, request(cmdEntryNew, attrU32(attrID, tries<<18), attrText(attrName, "n")), func(send func()) {
				failed = f.in(bytes, 2, send)
			})
			lacked = lacked || text == "no memory for the id"
			return failed
		})
	})
	if !lacked {
		t.Error("nothing said that there was no memory for the id")
	}
}
