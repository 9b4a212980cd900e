// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"testing"
	"time"

	"bulkdump/client"
)

// Several sockets together read the records that fill reported, in order.
func TestDumpParallel(t *testing.T) {
	c := setup(t)
	filled := fill(t, c, client.FillOptions{Count: 20_000, Seed: 1, PayloadMax: 16})
	for _, tt := range []struct {
		sockets   int
		unordered bool
		encoding  client.Encoding
	}{
		{1, false, client.EncodingPlain}, {2, false, client.EncodingPlain}, {4, false, client.EncodingColumns}, {4, true, client.EncodingDirect},
	} {
		before := state(t, c)
		var sum client.Checksum
		var n uint64
		begin := time.Now()
		o := client.ParallelOptions{Dump: client.DumpOptions{Encoding: tt.encoding}, Unordered: tt.unordered}
		for r, err := range c.DumpParallel(t.Context(), tt.sockets, o) {
			if err != nil {
				t.Fatal(err)
			}
			if !tt.unordered && uint64(r.ID) != n { // rising by one from 0
				t.Fatalf("record %d has id %d", n, r.ID)
			}
			n++
			sum.Add(r)
		}
		took := time.Since(begin)
		if n != uint64(filled.Count) || sum != filled.Checksum {
			t.Errorf("%+v: %d records with checksum %v, want %d with %v", tt, n, sum, filled.Count, filled.Checksum)
		}
		after := checkCounters(t, c)
		dumps, records := after.DumpsFinished-before.DumpsFinished, after.Records-before.Records
		figures(t, "%+v: %d records over %d ranges in %v", tt, n, dumps, took)
		if records != n || dumps < uint64(4*tt.sockets) || after.DumpsAbandoned != before.DumpsAbandoned {
			t.Errorf("%+v: %d records, %d dumps, %d abandoned", tt, records, dumps, after.DumpsAbandoned-before.DumpsAbandoned)
		}
	}
}

// Every entry that exists throughout comes once, no matter how the others
// change.
func TestDumpParallelExactlyOnceUnderChurn(t *testing.T) {
	const count = 5000
	c := setup(t)
	fillForChurn(t, c, count)
	stop := churn(t, 2, count)
	interrupted := 0
	for round := range 6 {
		o := client.ParallelOptions{Dump: client.DumpOptions{Encoding: encodings[round%3]}, Unordered: round%2 == 1}
		times := make(map[uint32]int)
		last := int64(-1)
		for r, err := range c.DumpParallel(t.Context(), 3, o) {
			if errors.Is(err, client.ErrInterrupted) { // after all records
				interrupted++
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !o.Unordered && int64(r.ID) <= last {
				t.Fatalf("id %d after %d", r.ID, last)
			}
			last = int64(r.ID)
			times[r.ID]++
		}
		for i := range uint32(count) {
			for _, kind := range []uint32{idUntouched, idChanged} {
				if n := times[i*idKinds+kind]; n != 1 {
					t.Errorf("round %d: id %d came %d times", round, i*idKinds+kind, n)
				}
			}
		}
	}
	if changes := stop(); changes == 0 || interrupted == 0 {
		t.Errorf("%d changes, %d dumps interrupted", changes, interrupted)
	}
}

// A reader that leaves abandons all its dumps.
func TestDumpParallelAbandoned(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000, PayloadMin: 100})
	for _, unordered := range []bool{false, true} {
		before := state(t, c)
		for _, err := range c.DumpParallel(t.Context(), 4, client.ParallelOptions{Unordered: unordered}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if after := checkCounters(t, c); after.DumpsStarted == before.DumpsStarted || after.DumpsMemory != 0 {
			t.Errorf("%d dumps started, %d bytes held", after.DumpsStarted-before.DumpsStarted, after.DumpsMemory)
		}
	}
}
