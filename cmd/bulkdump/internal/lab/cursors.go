// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

// CursorsReport is what MeasureCursors finds.
type CursorsReport struct {
	Churn  []CursorChurn  `json:"churn"`
	Cost   []CursorCost   `json:"cost"`
	Parked []CursorParked `json:"parked"`
}

// CursorChurn is what one dump missed and repeated, of the entries that nobody
// touched while others were made and deleted.
type CursorChurn struct {
	Cursor    client.Cursor `json:"cursor"`
	Churn     string        `json:"churn"`
	Untouched int           `json:"untouched"`
	Changes   int           `json:"changes"`
	Missed    int           `json:"missed"`
	Repeated  int           `json:"repeated"`
}

// CursorCost is what one dump of a table at rest cost.
type CursorCost struct {
	Cursor           client.Cursor `json:"cursor"`
	Entries          uint64        `json:"entries"`
	NSPerRecord      float64       `json:"ns_per_record"`
	ScannedPerRecord float64       `json:"scanned_per_record"`
}

// CursorParked is what a dump holds in the kernel between two pages, besides
// the pages that wait in its socket.
type CursorParked struct {
	Cursor client.Cursor `json:"cursor"`
	Bytes  uint64        `json:"bytes"`
}

// Cursors are all of them, in the order of their numbers.
var Cursors = []client.Cursor{client.CursorKey, client.CursorBucket, client.CursorIndex, client.CursorWalker}

// CursorsOptions say how much to measure.
type CursorsOptions struct {
	Entries   uint32 // of the table that changes during the dump
	Changes   uint32 // after each page
	CostUpTo  uint32 // the largest Table that cost is measured on
	IndexUpTo uint32 // the same for the cursor index
}

// MeasureCursors measures dumps with each of the cursors, on a table that is
// empty before and afterwards.
func MeasureCursors(ctx context.Context, t Table, o CursorsOptions, tell Tell) (*CursorsReport, error) {
	if err := wantEmpty(ctx, t); err != nil {
		return nil, err
	}
	defer empty(ctx, t)

	r := new(CursorsReport)
	for _, cursor := range Cursors {
		for _, kind := range churnKinds {
			tell(fmt.Sprintf("%v, %s", cursor, kind))
			c, err := measureChurn(ctx, t, cursor, kind, o)
			if err != nil {
				return nil, err
			}
			r.Churn = append(r.Churn, c)
		}
	}
	for n := uint32(10_000); n <= o.CostUpTo; n *= 10 {
		if err := refill(ctx, t, client.FillOptions{Count: n}); err != nil {
			return nil, err
		}
		for _, cursor := range Cursors {
			if cursor == client.CursorIndex && n > o.IndexUpTo {
				continue
			}
			tell(fmt.Sprintf("%v, %d entries", cursor, n))
			c, err := measureCost(ctx, t, cursor, uint64(n))
			if err != nil {
				return nil, err
			}
			r.Cost = append(r.Cost, c)
			if n == 10_000 {
				p, err := measureParked(ctx, t, cursor)
				if err != nil {
					return nil, err
				}
				r.Parked = append(r.Parked, p)
			}
		}
	}
	return r, nil
}

func refill(ctx context.Context, t Table, o client.FillOptions) error {
	if _, err := t.Flush(ctx); err != nil {
		return err
	}
	_, err := t.Fill(ctx, o)
	return err
}

var churnKinds = []string{"inserts", "deletes", "both"}

// measureChurn dumps a table in which nobody touches every other entry. The rest
// exists at first if the churn deletes it, and does not if the churn makes it.
// With both, half of it exists.
func measureChurn(ctx context.Context, t Table, cursor client.Cursor, kind string, o CursorsOptions) (CursorChurn, error) {
	c := CursorChurn{Cursor: cursor, Churn: kind, Untouched: int(o.Entries)}
	if err := refill(ctx, t, client.FillOptions{Count: o.Entries, IDStride: 2}); err != nil {
		return c, err
	}
	there := make([]bool, o.Entries) // the entry 2i+1
	if kind != "inserts" {
		stride := uint32(2)
		if kind == "both" {
			stride = 4
		}
		if _, err := t.Fill(ctx, client.FillOptions{Count: o.Entries * 2 / stride, IDStart: 1, IDStride: stride}); err != nil {
			return c, err
		}
		for i := uint32(0); i < o.Entries; i += stride / 2 {
			there[i] = true
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	change := func() error {
		i := random.Uint32N(o.Entries)
		if kind == "inserts" && there[i] || kind == "deletes" && !there[i] {
			return nil // this one was changed already
		}
		var err error
		if there[i] {
			_, err = t.Delete(ctx, 2*i+1)
		} else {
			_, err = t.New(ctx, client.Entry{ID: 2*i + 1, Name: fmt.Sprint("churn-", i)})
		}
		there[i] = !there[i]
		c.Changes++
		return err
	}

	times := make([]uint8, o.Entries)
	records := 0
	for r, err := range t.Records(ctx, client.DumpOptions{Cursor: cursor, BufferSize: 8 << 10}) {
		if errors.Is(err, client.ErrInterrupted) {
			break
		}
		if err != nil {
			return c, err
		}
		if r.ID%2 == 0 && times[r.ID/2] < 255 {
			times[r.ID/2]++
		}
		// A page of this buffer has about 80 records.
		if records++; records%80 == 0 {
			for range o.Changes {
				if err := change(); err != nil {
					return c, err
				}
			}
		}
	}
	for _, n := range times {
		if n == 0 {
			c.Missed++
		} else {
			c.Repeated += int(n) - 1
		}
	}
	return c, nil
}

func measureCost(ctx context.Context, t Table, cursor client.Cursor, n uint64) (CursorCost, error) {
	c := CursorCost{Cursor: cursor, Entries: n}
	before, err := t.Table(ctx)
	if err != nil {
		return c, err
	}
	records := uint64(0)
	start := time.Now()
	for _, err := range t.Records(ctx, client.DumpOptions{Cursor: cursor}) {
		if err != nil {
			return c, err
		}
		records++
	}
	took := time.Since(start)
	after, err := t.Table(ctx)
	if err != nil {
		return c, err
	}
	if records != n {
		return c, fmt.Errorf("%v: %d records of %d entries: is somebody else changing the table?", cursor, records, n)
	}
	c.NSPerRecord = float64(took.Nanoseconds()) / float64(n)
	c.ScannedPerRecord = float64(after.Scanned-before.Scanned) / float64(n)
	return c, nil
}

func measureParked(ctx context.Context, t Table, cursor client.Cursor) (CursorParked, error) {
	p := CursorParked{Cursor: cursor}
	for _, err := range t.Records(ctx, client.DumpOptions{Cursor: cursor}) {
		if err != nil {
			return p, err
		}
		state, err := t.Table(ctx)
		p.Bytes = state.DumpsMemory
		return p, err // and the dump is abandoned
	}
	return p, errors.New("a dump without a record")
}

// WriteTable writes a table for each kind of figure.
func (r *CursorsReport) WriteTable(out *output.Stdout) error {
	rows := [][]string{{"CURSOR", "CHURN", "UNTOUCHED", "CHANGES", "MISSED", "REPEATED"}}
	row := func(cells ...any) {
		texts := make([]string, 0, len(cells))
		for _, cell := range cells {
			texts = append(texts, fmt.Sprint(cell))
		}
		rows = append(rows, texts)
	}
	for _, c := range r.Churn {
		row(c.Cursor, c.Churn, c.Untouched, c.Changes, c.Missed, c.Repeated)
	}
	row("\nCURSOR", "ENTRIES", "NS/RECORD", "SCANNED/RECORD")
	for _, c := range r.Cost {
		row(c.Cursor, c.Entries, fmt.Sprintf("%.0f", c.NSPerRecord), fmt.Sprintf("%.1f", c.ScannedPerRecord))
	}
	row("\nCURSOR", "PARKED BYTES")
	for _, p := range r.Parked {
		row(p.Cursor, p.Bytes)
	}
	_, err := io.WriteString(out, output.Columns(rows, tabwriter.AlignRight))
	return err
}

// WriteCSV writes a line for each figure: what was measured, and of what.
func (r *CursorsReport) WriteCSV(out *output.Stdout) error {
	rows := [][]string{{"cursor", "figure", "of", "value"}}
	row := func(cursor client.Cursor, figure string, of, value any) {
		rows = append(rows, []string{cursor.String(), figure, fmt.Sprint(of), fmt.Sprint(value)})
	}
	for _, c := range r.Churn {
		row(c.Cursor, "changes", c.Churn, c.Changes)
		row(c.Cursor, "missed", c.Churn, c.Missed)
		row(c.Cursor, "repeated", c.Churn, c.Repeated)
	}
	for _, c := range r.Cost {
		row(c.Cursor, "ns-per-record", c.Entries, c.NSPerRecord)
		row(c.Cursor, "scanned-per-record", c.Entries, c.ScannedPerRecord)
	}
	for _, p := range r.Parked {
		row(p.Cursor, "parked-bytes", "", p.Bytes)
	}
	return out.CSV(rows)
}
