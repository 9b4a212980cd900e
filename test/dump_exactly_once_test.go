// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"testing"
	"time"

	"bulkdump/client"
)

func TestDumpExactlyOnceOverAMillion(t *testing.T) {
	count := max(large(), uint32(unwatched(1_000_000)))
	c := setup(t)
	filled := fill(t, c, client.FillOptions{Count: count, Seed: 1, PayloadMax: 16})
	before := state(t, c)

	var n uint64
	var sum client.Checksum
	for r, err := range c.Records(t.Context(), client.DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if uint64(r.ID) != n { // rises by one from 0: none twice, none left out
			t.Fatalf("record %d has id %d", n, r.ID)
		}
		n++
		sum.Add(r)
	}
	if n != uint64(count) {
		t.Errorf("%d records, want %d", n, count)
	}
	if sum != filled.Checksum {
		t.Errorf("checksum %v, fill promised %v", sum, filled.Checksum)
	}
	figures(t, "%d records, ids rising by one, checksum %v", n, sum)
	after := checkCounters(t, c)
	for _, counter := range []struct {
		name      string
		got, want uint64
	}{
		{"started", after.DumpsStarted - before.DumpsStarted, 1},
		{"finished", after.DumpsFinished - before.DumpsFinished, 1},
		{"abandoned", after.DumpsAbandoned - before.DumpsAbandoned, 0},
		{"interrupted", after.DumpsInterrupted - before.DumpsInterrupted, 0},
		{"records", after.Records - before.Records, uint64(count)},
	} {
		if counter.got != counter.want {
			t.Errorf("%s rose by %d, want %d", counter.name, counter.got, counter.want)
		}
	}
	if after.Pages == before.Pages {
		t.Error("no page was counted")
	}
	checkParked(t, c, pageMemory)
}

func TestDumpEmptyTable(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	d := mustDump(t, c, client.DumpOptions{})
	if d.count != 0 || d.stats.Pages != 0 {
		t.Errorf("%d records on %d pages, want none", d.count, d.stats.Pages)
	}
	after := checkCounters(t, c)
	if after.DumpsFinished != before.DumpsFinished+1 || after.Pages != before.Pages {
		t.Errorf("finished rose by %d, pages by %d, want 1 and 0", after.DumpsFinished-before.DumpsFinished, after.Pages-before.Pages)
	}
	if after.IDMin != nil || after.IDMax != nil {
		t.Error("an empty table has bounds")
	}
}

func TestDumpOneRecord(t *testing.T) {
	c := setup(t)
	want := client.Entry{ID: 7, Name: "seven", Flags: 0x80000001, Value: math.MaxUint64, Payload: []byte{0, 1, 2}}
	before := time.Now()
	makeEntry(t, c, want)
	after := time.Now()
	var got []client.Entry
	for e, err := range c.Dump(t.Context(), client.DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 1 {
		t.Fatalf("%d records, want 1", len(got))
	}
	e := got[0]
	if e.ID != want.ID || e.Name != want.Name || e.Flags != want.Flags || e.Value != want.Value || !bytes.Equal(e.Payload, want.Payload) {
		t.Errorf("got %+v, want %+v", e, want)
	}
	if e.Generation != state(t, c).Generation {
		t.Errorf("generation %d, the table's is %d", e.Generation, state(t, c).Generation)
	}
	if e.Stats.Created.Before(before) || e.Stats.Created.After(after) || !e.Stats.Created.Equal(e.Stats.Updated) || e.Stats.Hits != 0 {
		t.Errorf("stats of a new entry: %+v", e.Stats)
	}
}

func TestDumpSmallestAndLargestID(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 0})
	makeEntry(t, c, client.Entry{ID: math.MaxUint32})
	wantIDs(t, mustDump(t, c, client.DumpOptions{}).ids, 0, math.MaxUint32)
	wantIDs(t, mustDump(t, c, client.DumpOptions{IDTo: ptr(uint32(0))}).ids, 0)
	wantIDs(t, mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(1))}).ids, math.MaxUint32)
	wantIDs(t, mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(math.MaxUint32))}).ids, math.MaxUint32)
	wantIDs(t, mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(1)), IDTo: ptr(uint32(math.MaxUint32 - 1))}).ids)
	s := state(t, c)
	if s.IDMin == nil || *s.IDMin != 0 || s.IDMax == nil || *s.IDMax != math.MaxUint32 {
		t.Errorf("bounds %v to %v", s.IDMin, s.IDMax)
	}
	if _, err := c.Delete(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	s = state(t, c)
	if s.IDMin == nil || *s.IDMin != math.MaxUint32 || s.IDMax == nil || *s.IDMax != math.MaxUint32 {
		t.Errorf("of the largest id alone: bounds %v to %v", s.IDMin, s.IDMax)
	}
}

// The cursor does not wrap at the largest id, no matter where the pages end.
// Rule 3.
func TestDumpEndsAtTheLargestID(t *testing.T) {
	c := setup(t)
	for count := uint32(1); count <= 64; count++ {
		flush(t, c)
		f := fill(t, c, client.FillOptions{Count: count, IDStart: math.MaxUint32 - count + 1, PayloadMin: 100, PayloadMax: 200})
		d := mustDump(t, c, client.DumpOptions{BufferSize: smallBuffer})
		if d.count != uint64(count) || d.sum != f.Checksum {
			t.Fatalf("%d records with checksum %v, want %d with %v", d.count, d.sum, count, f.Checksum)
		}
	}
}

// A range starts and ends exactly at its bounds, which may be ids with or
// without an entry.
func TestDumpRangeHasExactBounds(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 1000, IDStart: 1000, IDStride: 10})
	for _, tt := range []struct{ from, to, first, last, count uint32 }{
		{0, 999, 0, 0, 0},
		{0, 1000, 1000, 1000, 1},
		{1000, 1000, 1000, 1000, 1},
		{1001, 1009, 0, 0, 0},
		{1001, 1010, 1010, 1010, 1},
		{5005, 6005, 5010, 6000, 100},
		{10990, math.MaxUint32, 10990, 10990, 1},
		{10991, math.MaxUint32, 0, 0, 0},
		{0, math.MaxUint32, 1000, 10990, 1000},
	} {
		t.Run(fmt.Sprintf("%d-%d", tt.from, tt.to), func(t *testing.T) {
			d := mustDump(t, c, client.DumpOptions{IDFrom: &tt.from, IDTo: &tt.to})
			if !d.stats.Filtered {
				t.Error("NLM_F_DUMP_FILTERED is missing")
			}
			if d.count != uint64(tt.count) {
				t.Fatalf("%d records, want %d", d.count, tt.count)
			}
			if d.count > 0 && (d.ids[0] != tt.first || d.ids[len(d.ids)-1] != tt.last) {
				t.Errorf("from %d to %d, want from %d to %d", d.ids[0], d.ids[len(d.ids)-1], tt.first, tt.last)
			}
		})
	}
}

// Two dumps that take turns, record by record, do not disturb each other.
// Rule 7.
func TestTwoDumpsAtOnce(t *testing.T) {
	c := setup(t)
	f := fill(t, c, client.FillOptions{Count: 20000, PayloadMax: 32})
	type half struct {
		next func() (*client.Record, error, bool)
		sum  client.Checksum
		n    uint32
	}
	var halves [2]half
	for i := range halves {
		next, stop := iter.Pull2(c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}))
		defer stop()
		halves[i].next = next
	}
	if s := state(t, c); s.DumpsOpen != 0 {
		t.Errorf("%d dumps open before the first record", s.DumpsOpen)
	}
	for done := 0; done < len(halves); {
		done = 0
		for i := range halves {
			h := &halves[i]
			r, err, ok := h.next()
			if !ok {
				done++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.ID != h.n {
				t.Fatalf("dump %d: id %d, want %d", i, r.ID, h.n)
			}
			h.n++
			h.sum.Add(r)
		}
		if halves[0].n == 1 && halves[1].n == 1 && state(t, c).DumpsOpen != 2 {
			t.Errorf("%d dumps open, want 2", state(t, c).DumpsOpen)
		}
	}
	for i := range halves {
		if halves[i].n != f.Count || halves[i].sum != f.Checksum {
			t.Errorf("dump %d: %d records with checksum %v, want %d with %v", i, halves[i].n, halves[i].sum, f.Count, f.Checksum)
		}
	}
}

// Rule 17.
func TestManyDumpsAtOnce(t *testing.T) {
	c := setup(t)
	f := fill(t, c, client.FillOptions{Count: 20000, PayloadMax: 32})
	results := make(chan error)
	const dumps = 8
	for range dumps {
		go func() {
			var sum client.Checksum
			for r, err := range c.Records(context.Background(), client.DumpOptions{}) {
				if err != nil {
					results <- err
					return
				}
				sum.Add(r)
			}
			if sum != f.Checksum {
				results <- fmt.Errorf("checksum %v, want %v", sum, f.Checksum)
				return
			}
			results <- nil
		}()
	}
	for range dumps {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
