// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"bulkdump/client"
)

var peakMemory = regexp.MustCompile(`(?m)^peak-memory-kib +(\d+)$`)

// The reader's memory does not grow with the table.
func TestReaderMemoryIsFlat(t *testing.T) {
	const slack = 4 << 10 // KiB
	c := setup(t)
	var peaks []int
	many := large()
	for _, count := range []uint32{10_000, many} {
		flush(t, c)
		fill(t, c, client.FillOptions{Count: count})
		r := bulkdump(t, "dump", "-o", "count", "--stats")
		m := peakMemory.FindStringSubmatch(r.stderr)
		if r.stdout != fmt.Sprintln(count) || m == nil {
			t.Fatalf("dump printed %q, %q", r.stdout, r.stderr)
		}
		peak, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		peaks = append(peaks, peak)
	}
	figures(t, "peak memory: %d KiB with 10,000 entries, %d KiB with %d", peaks[0], peaks[1], many)
	if peaks[1]-peaks[0] > slack {
		t.Errorf("peak memory of %d KiB, with 10,000 entries %d KiB", peaks[1], peaks[0])
	}
}

// Two hundred times as many records take the same number of allocations.
func TestStreamDoesNotAllocatePerRecord(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000, PayloadMax: 32})
	allocs := func(last uint32) float64 {
		return testing.AllocsPerRun(3, func() {
			n := uint32(0)
			for _, err := range c.Records(t.Context(), client.DumpOptions{IDTo: &last}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != last+1 {
				t.Fatalf("%d records, want %d", n, last+1)
			}
		})
	}
	few, many := allocs(99), allocs(19_999)
	t.Logf("%v allocations for 100 records, %v for 20,000", few, many)
	if perRecord := (many - few) / 19_900; perRecord > 0.001 {
		t.Errorf("%v allocations for 100 records, %v for 20,000", few, many)
	}
}
