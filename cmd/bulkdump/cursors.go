// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkdump/client"
)

// cursorsReport is what the command cursors measures.
type cursorsReport struct {
	Churn  []cursorChurn  `json:"churn"`
	Cost   []cursorCost   `json:"cost"`
	Parked []cursorParked `json:"parked"`
}

// cursorChurn is what one dump missed and repeated of the entries that nobody
// touched while others were made and deleted.
type cursorChurn struct {
	Cursor    client.Cursor `json:"cursor"`
	Churn     string        `json:"churn"`
	Untouched int           `json:"untouched"`
	Changes   int           `json:"changes"`
	Missed    int           `json:"missed"`
	Repeated  int           `json:"repeated"`
}

// cursorCost is what one dump of a table at rest cost.
type cursorCost struct {
	Cursor           client.Cursor `json:"cursor"`
	Entries          uint64        `json:"entries"`
	NSPerRecord      float64       `json:"ns_per_record"`
	ScannedPerRecord float64       `json:"scanned_per_record"`
}

// cursorParked is what a dump holds in the kernel between two pages, beside
// the pages that wait in its socket.
type cursorParked struct {
	Cursor client.Cursor `json:"cursor"`
	Bytes  uint64        `json:"bytes"`
}

// The cursors, in the order of their numbers.
var allCursors = []client.Cursor{client.CursorKey, client.CursorBucket, client.CursorIndex, client.CursorWalker}

// cursorsFlags is the command line of cursors.
type cursorsFlags struct {
	entries   uint32 // of the table that is churned
	perPage   uint32 // changes between two pages
	costUpTo  uint32
	indexUpTo uint32
}

func (a *app) cursorsCommand() *cobra.Command {
	f := &cursorsFlags{entries: 50_000, perPage: 10, costUpTo: 1_000_000, indexUpTo: 1_000_000}
	cmd := &cobra.Command{
		Use:   "cursors",
		Short: "Measure what each cursor costs, and what it loses",
		Long: `cursors fills the table, which must be empty, measures dumps of it with each of
the four cursors, and empties it again:

- churn: how many of the entries that nobody touches a dump misses or repeats
  while, after each of its pages, others are made or deleted;
- cost: what a record costs, and how many entries the kernel looks at for it,
  in tables of 10,000 entries and ten times as many, and so on;
- parked: what the kernel holds between two pages, beside those pages.

The changes follow from a seed and do not depend on the machine's speed. Times
do: in 'vm/run --icount' a nanosecond is an instruction.`,
		Example: `  bulkdump cursors
  bulkdump cursors --changes 20 -o json
  bulkdump cursors --cost-up-to 100000`,
		Args: noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			report, err := a.measureCursors(cmd.Context(), t, f)
			if err != nil {
				return err
			}
			a.stderr.clear()
			return a.printReport(report)
		}),
	}
	numberWithin(cmd, &f.entries, 1000, 10_000_000, "entries", "entries of the table that changes during the dump")
	numberWithin(cmd, &f.perPage, 1, 10_000, "changes", "changes after each page")
	numberWithin(cmd, &f.costUpTo, 10_000, 16<<20, "cost-up-to", "the largest table that cost is measured on")
	numberWithin(cmd, &f.indexUpTo, 10_000, 16<<20, "index-up-to", "the same for cursor index, whose cost is the square")
	return cmd
}

var errNotEmpty = errors.New("the table is not empty: this command would delete what is in it; 'bulkdump flush' does so")

func (a *app) measureCursors(ctx context.Context, t table, f *cursorsFlags) (*cursorsReport, error) {
	state, err := t.Table(ctx)
	if err != nil {
		return nil, err
	}
	if state.Count > 0 {
		return nil, errNotEmpty
	}
	// The table was empty and is to be so again, also after a signal.
	defer func() { _, _ = t.Flush(context.WithoutCancel(ctx)) }()

	r := new(cursorsReport)
	for _, cursor := range allCursors {
		for _, kind := range churnKinds {
			a.tell("%v, %s", cursor, kind)
			c, err := measureChurn(ctx, t, cursor, kind, f)
			if err != nil {
				return nil, err
			}
			r.Churn = append(r.Churn, c)
		}
	}
	for n := uint32(10_000); n <= f.costUpTo; n *= 10 {
		if err := refill(ctx, t, client.FillOptions{Count: n}); err != nil {
			return nil, err
		}
		for _, cursor := range allCursors {
			if cursor == client.CursorIndex && n > f.indexUpTo {
				continue
			}
			a.tell("%v, %d entries", cursor, n)
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

// tell says on a terminal what is done now.
func (a *app) tell(format string, args ...any) { a.stderr.show(fmt.Sprintf(format, args...)) }

func refill(ctx context.Context, t table, o client.FillOptions) error {
	if _, err := t.Flush(ctx); err != nil {
		return err
	}
	_, err := t.Fill(ctx, o)
	return err
}

var churnKinds = []string{"inserts", "deletes", "both"}

// measureChurn dumps a table in which every other entry is touched by nobody.
// The rest is there at first if it is to be deleted, and not if it is to be
// made; both: half of it.
func measureChurn(ctx context.Context, t table, cursor client.Cursor, kind string, f *cursorsFlags) (cursorChurn, error) {
	c := cursorChurn{Cursor: cursor, Churn: kind, Untouched: int(f.entries)}
	if err := refill(ctx, t, client.FillOptions{Count: f.entries, IDStride: 2}); err != nil {
		return c, err
	}
	there := make([]bool, f.entries) // the entry 2i+1
	if kind != "inserts" {
		stride := uint32(2)
		if kind == "both" {
			stride = 4
		}
		if _, err := t.Fill(ctx, client.FillOptions{Count: f.entries * 2 / stride, IDStart: 1, IDStride: stride}); err != nil {
			return c, err
		}
		for i := uint32(0); i < f.entries; i += stride / 2 {
			there[i] = true
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	change := func() error {
		i := random.Uint32N(f.entries)
		if kind == "inserts" && there[i] || kind == "deletes" && !there[i] {
			return nil // this one had its turn
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

	times := make([]uint8, f.entries)
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
		// A page of this buffer has about so many.
		if records++; records%80 == 0 {
			for range f.perPage {
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

func measureCost(ctx context.Context, t table, cursor client.Cursor, n uint64) (cursorCost, error) {
	c := cursorCost{Cursor: cursor, Entries: n}
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
		return c, fmt.Errorf("%v: %d records of %d entries: does somebody else change the table?", cursor, records, n)
	}
	c.NSPerRecord = float64(took.Nanoseconds()) / float64(n)
	c.ScannedPerRecord = float64(after.Scanned-before.Scanned) / float64(n)
	return c, nil
}

func measureParked(ctx context.Context, t table, cursor client.Cursor) (cursorParked, error) {
	p := cursorParked{Cursor: cursor}
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

func (r *cursorsReport) writeTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "CURSOR\tCHURN\tUNTOUCHED\tCHANGES\tMISSED\tREPEATED\t")
	for _, c := range r.Churn {
		fmt.Fprintf(tw, "%v\t%s\t%d\t%d\t%d\t%d\t\n", c.Cursor, c.Churn, c.Untouched, c.Changes, c.Missed, c.Repeated)
	}
	fmt.Fprintln(tw, "\nCURSOR\tENTRIES\tNS/RECORD\tSCANNED/RECORD\t")
	for _, c := range r.Cost {
		fmt.Fprintf(tw, "%v\t%d\t%.0f\t%.1f\t\n", c.Cursor, c.Entries, c.NSPerRecord, c.ScannedPerRecord)
	}
	fmt.Fprintln(tw, "\nCURSOR\tPARKED BYTES\t")
	for _, p := range r.Parked {
		fmt.Fprintf(tw, "%v\t%d\t\n", p.Cursor, p.Bytes)
	}
	return tw.Flush()
}

// writeCSV has a line for each figure: what was measured, and of what.
func (r *cursorsReport) writeCSV(w io.Writer) error {
	cw := csv.NewWriter(w)
	line := func(cursor client.Cursor, figure, of string, value any) {
		_ = cw.Write([]string{cursor.String(), figure, of, fmt.Sprint(value)})
	}
	_ = cw.Write([]string{"cursor", "figure", "of", "value"})
	for _, c := range r.Churn {
		line(c.Cursor, "changes", c.Churn, c.Changes)
		line(c.Cursor, "missed", c.Churn, c.Missed)
		line(c.Cursor, "repeated", c.Churn, c.Repeated)
	}
	for _, c := range r.Cost {
		line(c.Cursor, "ns-per-record", fmt.Sprint(c.Entries), c.NSPerRecord)
		line(c.Cursor, "scanned-per-record", fmt.Sprint(c.Entries), c.ScannedPerRecord)
	}
	for _, p := range r.Parked {
		line(p.Cursor, "parked-bytes", "", p.Bytes)
	}
	cw.Flush()
	return cw.Error()
}
