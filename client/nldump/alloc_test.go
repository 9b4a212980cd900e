// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"testing"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// bigDump is a script with that many pages and records per page. Each record
// has an attribute.
func bigDump(pages, records int) []script.Step {
	var steps []script.Step
	for p := range pages {
		var b []byte
		for r := range records {
			b = append(b, script.Record(0, script.U32(1, uint32(p*records+r)), script.Text(2, "a name"))...)
		}
		steps = append(steps, script.Page(b))
	}
	return append(steps, script.Page(done()))
}

// drainAttrs reads a dump with all its attributes and returns its records.
func drainAttrs(tb testing.TB, ctx context.Context, steps []script.Step) (n int) {
	s, _ := script.Stream(nldump.Config{}, steps...)
	for m, err := range s.Records(ctx, request()) {
		if err != nil {
			tb.Fatal(err)
		}
		n = readAttrs(tb, m, n)
	}
	return n
}

// readAttrs reads the attributes of the n-th record and returns the number of
// the next.
func readAttrs(tb testing.TB, m nldump.Message, n int) int {
	a := nldump.Parse(m.Data)
	for a.Next() {
		if a.Type() == 1 && a.Uint32() != uint32(n) {
			tb.Fatalf("record %d says %d", n, a.Uint32())
		}
	}
	if a.Err() != nil {
		tb.Fatal(a.Err())
	}
	return n + 1
}

// drainKeyed does the same as drainAttrs, with a key for each record.
func drainKeyed(tb testing.TB, ctx context.Context, steps []script.Step) (n int) {
	s, _ := script.Stream(nldump.Config{}, steps...)
	d := nldump.Dump{Request: request(), Key: func(dst []byte, m nldump.Message) ([]byte, error) {
		a := m.Attrs(0)
		a.Find(1)
		return binary.BigEndian.AppendUint32(dst, a.Uint32()), a.Err()
	}}
	for m, err := range s.Dump(ctx, d) {
		if err != nil {
			tb.Fatal(err)
		}
		n = readAttrs(tb, m, n)
	}
	return n
}

// drainPages does the same as drainAttrs, by page.
func drainPages(tb testing.TB, ctx context.Context, steps []script.Step) (n int) {
	s, _ := script.Stream(nldump.Config{Pool: nldump.NewPool(1)}, steps...)
	for p, err := range s.Pages(ctx, nldump.Dump{Request: request()}) {
		if err != nil {
			tb.Fatal(err)
		}
		for m := range p.Records() {
			n = readAttrs(tb, m, n)
		}
		p.Release()
	}
	return n
}

// TestNoAllocPerRecord compares a dump with one that is a hundred times as
// long. Both must allocate the same amount.
func TestNoAllocPerRecord(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context()) // a context that must be watched
	defer cancel()
	few, many := bigDump(1, 100), bigDump(100, 100)
	for name, drain := range map[string]func(testing.TB, context.Context, []script.Step) int{
		"Records": drainAttrs, "Dump": drainKeyed, "Pages": drainPages,
	} {
		a := testing.AllocsPerRun(20, func() { drain(t, ctx, few) })
		b := testing.AllocsPerRun(20, func() { drain(t, ctx, many) })
		if b-a > 5 {
			t.Errorf("%s: %v allocations for 100 records, %v for 10000", name, a, b)
		}
	}
}

// TestKernelNoAllocPerPage does the same with a real socket: a page costs no
// allocation, either.
func TestKernelNoAllocPerPage(t *testing.T) {
	s := dialKernel(t, 16, nldump.Config{BufferSize: nldump.MinBufferSize})
	run := func(family string) (allocs float64, pages uint64) {
		req := policy(family)
		return testing.AllocsPerRun(20, func() {
			for _, err := range s.Records(t.Context(), req) {
				if err != nil {
					t.Skipf("no policy of %s: %v", family, err)
				}
			}
		}), s.Stats().Pages
	}
	few, onePage := run("nlctrl")
	many, pages := run("ethtool")
	if pages < onePage+3 {
		t.Skipf("the policy of ethtool has %d pages only", pages)
	}
	if many > few {
		t.Errorf("%v allocations for %d page, %v for %d", few, onePage, many, pages)
	}
}

func BenchmarkRecords(b *testing.B) {
	steps := bigDump(100, 300)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += drainAttrs(b, b.Context(), steps)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}
