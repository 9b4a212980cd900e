// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// The seed determines the entries. Ids, sizes and generations are as requested.
func TestFillFollowsItsSeed(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	o := client.FillOptions{Count: 1000, Seed: 42, IDStart: 7, IDStride: 3, PayloadMin: 10, PayloadMax: 20}
	f := fill(t, c, o)
	if f.Generation != before.Generation+uint64(o.Count) {
		t.Errorf("generation %d, %d before: want one for each entry", f.Generation, before.Generation)
	}
	var sum client.Checksum
	lengths, n := map[int]int{}, uint32(0)
	for e, err := range c.Dump(t.Context(), client.DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != o.IDStart+n*o.IDStride || e.Generation != before.Generation+1+uint64(n) {
			t.Fatalf("entry %d has id %d and generation %d", n, e.ID, e.Generation)
		}
		lengths[len(e.Payload)]++
		sum.AddEntry(&e)
		n++
	}
	if n != o.Count || sum != f.Checksum {
		t.Errorf("%d entries with checksum %v, want %d with %v", n, sum, o.Count, f.Checksum)
	}
	for length := o.PayloadMin; length <= o.PayloadMax; length++ {
		if lengths[int(length)] == 0 {
			t.Errorf("no payload of %d bytes", length)
		}
		delete(lengths, int(length))
	}
	if len(lengths) > 0 {
		t.Errorf("payloads of other lengths: %v", lengths)
	}

	// What splitmix64 makes of this seed, calculated elsewhere.
	e := oneEntry(t, c, 10)
	want := client.Entry{ID: 10, Name: "entry-10-a037", Flags: 0x3dda5ddb, Value: 0x85244889a8f338d1, Payload: []byte("\xb2\x84\xe0\xe0\x52\xe2\x75\xe0\x91\x6c\xdc\xa3\x13\x12\x4d\x0d")}
	if !sameValues(e, want) {
		t.Errorf("entry 10: %q, flags %#x, value %#x, payload %x", e.Name, e.Flags, e.Value, e.Payload)
	}

	flush(t, c)
	if again := fill(t, c, o); again.Checksum != f.Checksum {
		t.Errorf("the same seed made %v, then %v", f.Checksum, again.Checksum)
	}
	flush(t, c)
	o.Seed++
	if other := fill(t, c, o); other.Checksum == f.Checksum {
		t.Errorf("another seed made the same entries")
	}
}

// All or nothing: whatever stops a fill, the table does not change.
func TestFillRefused(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 100, IDStart: 500})
	was := mustDump(t, c, client.DumpOptions{})
	before := state(t, c)
	listener := listen(t)
	for _, tt := range []struct {
		name   string
		o      client.FillOptions
		errno  error
		text   string
		undone uint64 // entries
	}{
		{"count of 0", client.FillOptions{}, unix.ERANGE, "out of range", 0},
		{"the last id is taken", client.FillOptions{Count: 501}, unix.EEXIST, "there is an entry with this id", 500},
		{"the first id is taken", client.FillOptions{Count: 10, IDStart: 599}, unix.EEXIST, "there is an entry with this id", 0},
		{"ids above the largest", client.FillOptions{Count: 2, IDStart: math.MaxUint32}, unix.ERANGE, "the last id would be above 0xffffffff", 0},
		{"stride above the largest", client.FillOptions{Count: 3, IDStart: 1, IDStride: 1 << 31}, unix.ERANGE, "the last id would be above 0xffffffff", 0},
		{"more than the limit", client.FillOptions{Count: uint32(before.EntriesMax), IDStart: 1000}, unix.ENOSPC, "max_entries", 0},
		{"largest count", client.FillOptions{Count: math.MaxUint32}, unix.ENOSPC, "max_entries", 0},
		{"payload too large", client.FillOptions{Count: 1, PayloadMin: client.PayloadLenMax + 1}, unix.ERANGE, "out of range", 0},
		{"payload of 65536", client.FillOptions{Count: 1, PayloadMax: 1 << 16}, unix.ERANGE, "out of range", 0},
		{"payload range upside down", client.FillOptions{Count: 1, PayloadMin: 2, PayloadMax: 1}, unix.EINVAL, "payload-max is below payload-min", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			last := state(t, c)
			_, err := c.Fill(t.Context(), tt.o)
			if !errors.Is(err, tt.errno) {
				t.Fatalf("error %v, want %v", err, tt.errno)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %q in it", err, tt.text)
			}
			after := state(t, c)
			if after.Count != before.Count || after.Bytes != before.Bytes {
				t.Errorf("%d entries of %d bytes, before %d of %d", after.Count, after.Bytes, before.Count, before.Bytes)
			}
			if n := after.Tombstones - last.Tombstones; n != tt.undone {
				t.Errorf("%d more tombstones, want one for each of %d entries that were made and are gone", n, tt.undone)
			}
			deleted := 0
			for _, e := range collect(t, c, client.DumpOptions{Since: &last.Generation}) {
				if e.Deleted {
					deleted++
				}
			}
			if uint64(deleted) != tt.undone {
				t.Errorf("a delta has %d deleted entries, want %d", deleted, tt.undone)
			}
			if now := mustDump(t, c, client.DumpOptions{}); now.sum != was.sum {
				t.Errorf("checksum %v, before %v", now.sum, was.sum)
			}
			listener.nothing()
		})
	}
}

// The numbers of the table are of one state: a fill raises the count and the
// generation by as much, and nobody sees one without the other.
func TestTableIsOneState(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	filler := dial(t)
	var filled atomic.Bool
	done := make(chan error)
	go func() {
		_, err := filler.Fill(t.Context(), client.FillOptions{Count: min(large(), 200_000)})
		filled.Store(true)
		done <- err
	}()
	for !filled.Load() {
		if s := state(t, c); s.Count-before.Count != s.Generation-before.Generation {
			t.Errorf("%d entries more, and %d generations", s.Count-before.Count, s.Generation-before.Generation)
			break
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A fill may end at the largest id.
func TestFillUpToTheLargestID(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2, IDStride: math.MaxUint32})
	wantIDs(t, mustDump(t, c, client.DumpOptions{}).ids, 0, math.MaxUint32)
}

// A dump does not wait for a fill. It sees some of its entries or none yet, and
// is marked as interrupted in both cases. A killed fill leaves nothing behind.
func TestDumpDuringFill(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: math.MaxUint32})
	before := state(t, c)
	s := openRaw(t, client.FamilyName, smallBuffer)
	cmd := startSender(t, s, pin(t), unix.NLM_F_REQUEST, request(cmdTableFill, attrU32(attrCount, 4_000_000)))
	waitFor(t, "an entry of the fill", func() bool {
		d, err := dump(t, c, client.DumpOptions{IDTo: ptr(uint32(0))})
		if d.count > 0 && !errors.Is(err, client.ErrInterrupted) {
			t.Fatalf("half a fill, and error %v", err)
		}
		return d.count > 0
	})
	for _, id := range []uint32{math.MaxUint32, math.MaxUint32 - 1} { // one that existed, and one that did not
		d, err := dump(t, c, client.DumpOptions{IDFrom: &id, IDTo: &id})
		if !errors.Is(err, client.ErrInterrupted) {
			t.Errorf("id %d: %d records, and error %v", id, d.count, err)
		}
	}
	kill(t, cmd)
	s.nothing()
	after := state(t, c)
	if after.Count != before.Count || after.Bytes != before.Bytes {
		t.Errorf("%d entries of %d bytes, before %d of %d", after.Count, after.Bytes, before.Count, before.Bytes)
	}
	wantIDs(t, mustDump(t, c, client.DumpOptions{}).ids, math.MaxUint32)
}
