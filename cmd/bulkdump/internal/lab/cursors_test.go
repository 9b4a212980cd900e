// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

// A liveTable has entries, and dumps that remember a key or, with cursor index,
// a count.
type liveTable struct {
	*fakeTable
	ids   []uint32 // sorted
	state client.Table
}

func newLiveTable(ids ...uint32) *liveTable { return &liveTable{fakeTable: &fakeTable{}, ids: ids} }

func (l *liveTable) New(_ context.Context, e client.Entry) (uint64, error) {
	i, _ := slices.BinarySearch(l.ids, e.ID)
	l.ids = slices.Insert(l.ids, i, e.ID)
	l.ask("new")
	return 1, nil
}

func (l *liveTable) Delete(_ context.Context, id uint32) (uint64, error) {
	i, _ := slices.BinarySearch(l.ids, id)
	l.ids = slices.Delete(l.ids, i, i+1)
	l.ask("del")
	return 1, nil
}

func (l *liveTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	for i := range o.Count {
		l.ids = append(l.ids, o.IDStart+i*max(o.IDStride, 1))
	}
	slices.Sort(l.ids)
	l.ask("fill")
	return client.Filled{Count: o.Count}, nil
}

func (l *liveTable) Flush(context.Context) (client.Flushed, error) {
	l.ids = nil
	l.ask("flush")
	return client.Flushed{}, nil
}

func (l *liveTable) Table(context.Context) (client.Table, error) {
	l.state.Count = uint64(len(l.ids))
	l.ask("table")
	return l.state, nil
}

func (l *liveTable) Records(_ context.Context, o client.DumpOptions) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) {
		l.ask("dump")
		l.state.DumpsMemory = 100 + uint64(o.Cursor)
		defer func() { l.state.DumpsMemory = 0 }()
		next := uint32(0)
		for at := 0; ; at++ {
			moved := at >= len(l.ids) || l.ids[at] < next || at > 0 && l.ids[at-1] >= next
			if o.Cursor != client.CursorIndex && moved {
				at, _ = slices.BinarySearch(l.ids, next)
			}
			if at >= len(l.ids) {
				return
			}
			next = l.ids[at] + 1
			l.state.Scanned++
			if !yield(&client.Record{ID: l.ids[at]}, nil) {
				return
			}
		}
	}
}

// The measurement finds the errors of a cursor that counts, and none in one that
// remembers a key.
func TestCursors(t *testing.T) {
	l := newLiveTable()
	r, err := MeasureCursors(t.Context(), l, CursorsOptions{Entries: 10_000, Changes: 10, CostUpTo: 100_000, IndexUpTo: 10_000}, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Churn) != 12 || len(r.Cost) != 7 || len(r.Parked) != 4 {
		t.Fatalf("%d, %d and %d figures", len(r.Churn), len(r.Cost), len(r.Parked))
	}
	for _, c := range r.Churn {
		misses := c.Cursor == client.CursorIndex && c.Churn != "inserts"
		repeats := c.Cursor == client.CursorIndex && c.Churn != "deletes"
		if (c.Missed > 0) != misses || (c.Repeated > 0) != repeats || c.Untouched != 10_000 || c.Changes < 1000 {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range r.Cost {
		if c.ScannedPerRecord != 1 || c.NSPerRecord <= 0 {
			t.Errorf("%+v", c)
		}
	}
	for _, p := range r.Parked {
		if p.Bytes != 100+uint64(p.Cursor) {
			t.Errorf("%+v", p)
		}
	}
	if n := len(l.ids); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestCursorsFormats(t *testing.T) {
	r, err := MeasureCursors(t.Context(), newLiveTable(), CursorsOptions{Entries: 1000, Changes: 10, CostUpTo: 10_000, IndexUpTo: 10_000}, ignore)
	if err != nil {
		t.Fatal(err)
	}
	table := printed(t, r, output.FormatTable, term.Never)
	lines := strings.Split(table, "\n")
	if want := "  CURSOR    CHURN  UNTOUCHED  CHANGES  MISSED  REPEATED"; lines[0] != want {
		t.Errorf("got\n%s\nwant\n%s", lines[0], want)
	}
	if len(lines) != 13+1+5+1+5+1 || lines[13] != "" || lines[14] != "  CURSOR  ENTRIES  NS/RECORD  SCANNED/RECORD" || lines[24] != "  walker           103" {
		t.Errorf("%d lines:\n%s", len(lines), table)
	}
	rows := strings.Split(strings.TrimSpace(printed(t, r, output.FormatCSV, term.Never)), "\n")
	if rows[0] != "cursor,figure,of,value" || !slices.Contains(rows, "key,missed,both,0") || !slices.Contains(rows, "walker,parked-bytes,,103") || len(rows) != 1+36+8+4 {
		t.Errorf("%d rows: %q", len(rows), rows)
	}
}

// It deletes nothing that it did not make.
func TestCursorsWantsAnEmptyTable(t *testing.T) {
	l := newLiveTable(1, 2, 3)
	_, err := MeasureCursors(t.Context(), l, CursorsOptions{}, ignore)
	if err == nil || !strings.Contains(err.Error(), "the table is not empty") || len(l.ids) != 3 {
		t.Errorf("%v, %d entries left", err, len(l.ids))
	}
	if !slices.Equal(l.asked, []string{"table"}) {
		t.Errorf("asked %q", l.asked)
	}
}
