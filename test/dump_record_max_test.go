// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// largestRecord returns the size of the largest record of such an entry, as
// RecordMax counts it: with numbers of 8 bytes, although small ones take 4.
func largestRecord(name, payload int) uint32 {
	attr := func(n int) int { return unix.SizeofNlAttr + (n+3)&^3 }
	return uint32(unix.SizeofNlMsghdr + 4 + attr(4) + attr(name+1) + attr(4) + attr(8) +
		attr(payload) + attr(4*attr(8)) + attr(8))
}

// RecordMax follows the largest record up and down, within a KiB, and is on the
// same side of a page's size.
func TestRecordMaxFollowsTheTable(t *testing.T) {
	c := setup(t)
	room, _ := rooms(t, c)
	goodSize := uint32(room)
	r := rand.New(rand.NewPCG(7, 8))
	sizes := make(map[uint32]uint32) // of the records, by id
	check := func(what string) {
		t.Helper()
		largest := uint32(0)
		if len(sizes) > 0 {
			largest = slices.Max(slices.Collect(maps.Values(sizes)))
		}
		max := state(t, c).RecordMax
		if max < largest || max > largest+1<<10 || (max > goodSize) != (largest > goodSize) {
			t.Fatalf("%s: record-max is %d, the largest record %d", what, max, largest)
		}
	}
	payload := func() []byte {
		// A third of the payloads have any size, a third just about fill a
		// page, and the others are small.
		n := [...]int{r.IntN(payloadMax + 1), room - 400 + r.IntN(800), r.IntN(300)}
		return make([]byte, n[r.IntN(len(n))])
	}
	check("empty")
	for range 2000 {
		id, name := r.Uint32N(12), strings.Repeat("n", 1+r.IntN(63))
		switch _, there := sizes[id]; {
		case !there:
			e := client.Entry{ID: id, Name: name, Payload: payload()}
			makeEntry(t, c, e)
			sizes[id] = largestRecord(len(name), len(e.Payload))
			check("new")
		case r.IntN(2) == 0:
			change := client.Change{ID: id, Name: &name, Payload: payload()}
			if _, err := c.Set(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			sizes[id] = largestRecord(len(name), len(change.Payload))
			check("set")
		default:
			if _, err := c.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			delete(sizes, id)
			check("delete")
		}
	}
	flush(t, c)
	clear(sizes)
	check("flush")

	// What is gone is forgotten: a record of the same KiB that came later, and one
	// that would fit the same page but for 4 bytes.
	exactly := func(larger, smaller int, goneFirst bool) {
		t.Helper()
		makeEntry(t, c, client.Entry{ID: 0, Name: "n", Payload: make([]byte, larger)})
		if !goneFirst {
			makeEntry(t, c, client.Entry{ID: 1, Name: "n", Payload: make([]byte, smaller)})
		}
		if _, err := c.Delete(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if goneFirst {
			makeEntry(t, c, client.Entry{ID: 1, Name: "n", Payload: make([]byte, smaller)})
		}
		if max, want := state(t, c).RecordMax, largestRecord(1, smaller); max != want {
			t.Errorf("a payload of %d is gone, one of %d is there: record-max is %d, want %d", larger, smaller, max, want)
		}
		flush(t, c)
	}
	exactly(900, 600, true)
	full := room - int(largestRecord(1, 0)) // with it, the record fills a page
	exactly(full+4, full, false)

	// If a fill fails, its entries are gone.
	makeEntry(t, c, client.Entry{ID: 99, Name: "taken"})
	sizes[99] = largestRecord(len("taken"), 0)
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 100, PayloadMin: payloadMax}); err == nil {
		t.Fatal("a fill over a taken id succeeded")
	}
	check("fill that failed")
}

// After a large record is gone, pages are small again. In dumps that start
// later, that is from the first page on; in a running dump, from the page after
// the next.
func TestPagesAreSmallAgain(t *testing.T) {
	const (
		count = 2000 // for several pages, even of 64 KiB
		large = 1 << 30
	)
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		fill(t, c, client.FillOptions{Count: count, PayloadMin: 100})
		makeEntry(t, c, client.Entry{ID: large, Payload: make([]byte, payloadMax)})
		running := openRaw(t, client.FamilyName, 64<<10)
		running.send(cmdEntryGet, flagDump, k.attrs(generation))
		if held := received(t, running.fd); held <= pageMemory {
			t.Errorf("a page of %d bytes beside a record of %d", held, payloadMax)
		}
		if _, err := c.Delete(t.Context(), large); err != nil {
			t.Fatal(err)
		}
		running.read()
		running.read()
		if held := received(t, running.fd); held == 0 || held > pageMemory {
			t.Errorf("a page of %d bytes, want one of at most %d", held, pageMemory)
		}
		running.readDump()

		next := openRaw(t, client.FamilyName, smallBuffer) // its pages must fit in this
		next.send(cmdEntryGet, flagDump, k.attrs(generation))
		next.readDump()
	})
}
