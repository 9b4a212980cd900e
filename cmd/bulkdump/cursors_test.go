// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"

	"bulkdump/client"
)

// A liveTable has entries, and dumps that remember a key or, with cursor index,
// a count.
type liveTable struct {
	*fakeTable
	ids   []uint32 // sorted
	state client.Table
}

func newLiveTable(ids ...uint32) *fakeTable {
	f := &fakeTable{}
	f.live = &liveTable{fakeTable: f, ids: ids}
	return f
}

func (l *liveTable) New(_ context.Context, e client.Entry) (uint64, error) {
	i, _ := slices.BinarySearch(l.ids, e.ID)
	l.ids = slices.Insert(l.ids, i, e.ID)
	return 1, l.ask("new")
}

func (l *liveTable) Delete(_ context.Context, id uint32) (uint64, error) {
	i, _ := slices.BinarySearch(l.ids, id)
	l.ids = slices.Delete(l.ids, i, i+1)
	return 1, l.ask("del")
}

func (l *liveTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	for i := range o.Count {
		l.ids = append(l.ids, o.IDStart+i*max(o.IDStride, 1))
	}
	slices.Sort(l.ids)
	return client.Filled{Count: o.Count}, l.ask("fill")
}

func (l *liveTable) Flush(context.Context) (client.Flushed, error) {
	l.ids = nil
	return client.Flushed{}, l.ask("flush")
}

func (l *liveTable) Table(context.Context) (client.Table, error) {
	l.state.Count = uint64(len(l.ids))
	return l.state, l.ask("table")
}

func (l *liveTable) Records(_ context.Context, o client.DumpOptions) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) {
		_ = l.ask("dump")
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

// The measurement sees what a cursor that counts does wrong, and nothing wrong
// in one that remembers a key.
func TestCursors(t *testing.T) {
	f := newLiveTable()
	got := run(t, f, "cursors", "--entries", "10000", "--cost-up-to", "100000", "--index-up-to", "10000", "-o", "json")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var r cursorsReport
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
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
	if n := len(f.live.ids); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestCursorsFormats(t *testing.T) {
	args := []string{"cursors", "--entries", "1000", "--cost-up-to", "10000"}
	table := run(t, newLiveTable(), args...)
	lines := strings.Split(table.stdout, "\n")
	if want := "  CURSOR    CHURN  UNTOUCHED  CHANGES  MISSED  REPEATED"; lines[0] != want {
		t.Errorf("got\n%s\nwant\n%s", lines[0], want)
	}
	if len(lines) != 13+1+5+1+5+1 {
		t.Errorf("%d lines:\n%s", len(lines), table.stdout)
	}
	rows := strings.Split(strings.TrimSpace(run(t, newLiveTable(), append(args, "-o", "csv")...).stdout), "\n")
	if rows[0] != "cursor,figure,of,value" || !slices.Contains(rows, "key,missed,both,0") || !slices.Contains(rows, "walker,parked-bytes,,103") || len(rows) != 1+36+8+4 {
		t.Errorf("%d rows: %q", len(rows), rows)
	}
	if got := run(t, newLiveTable(), append(args, "-o", "jsonl")...); strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("jsonl: %q", got.stdout)
	}
}

// It deletes nothing that it did not make.
func TestCursorsWantsAnEmptyTable(t *testing.T) {
	f := newLiveTable(1, 2, 3)
	got := run(t, f, "cursors")
	if got.code != exitFailed || !strings.Contains(got.stderr, "the table is not empty") || len(f.live.ids) != 3 {
		t.Errorf("exit code %d, %q, %d entries left", got.code, got.stderr, len(f.live.ids))
	}
	if !slices.Equal(f.asked, []string{"table", "close"}) {
		t.Errorf("asked %q", f.asked)
	}
}
