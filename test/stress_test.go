// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"bulkdump/client"
)

var (
	stressFor     = flag.Duration("stress", 3*time.Second, "how long the stress test changes the table")
	stressChanges = flag.Uint64("stress-changes", 0, "and how often, if that takes longer")
)

// A tally counts, for dumps with one cursor, how often the entries came that
// existed throughout. It checks what is in each record.
type tally struct {
	contents
	dumps                          atomic.Uint64
	interrupted                    uint64 // of the dumps
	records                        uint64
	missed, repeated               uint64 // of the untouched entries
	changedMissed, changedRepeated uint64 // of the changed entries
	times                          [2][]uint8
}

// newTally is for a table that fillForChurn filled with count entries.
func newTally(count int) *tally {
	return &tally{
		contents: contents{filled: make(map[uint32]client.Checksum)},
		times:    [2][]uint8{make([]uint8, count), make([]uint8, count)},
	}
}

// dump makes one dump and counts it, unless ctx ends it.
func (y *tally) dump(ctx context.Context, c *client.Client, o client.DumpOptions) error {
	for _, times := range y.times {
		clear(times)
	}
	records := uint64(0)
	for r, err := range c.Records(ctx, o) {
		if err != nil && !errors.Is(err, client.ErrInterrupted) {
			return err
		}
		if err != nil {
			y.interrupted++
			break
		}
		records++
		if err := y.check(r); err != nil {
			return err
		}
		if kind := r.ID % idKinds; r.ID < fillBase && kind <= idChanged {
			if times := y.times[kind]; times[r.ID/idKinds] < 255 {
				times[r.ID/idKinds]++
			}
		}
	}
	y.dumps.Add(1)
	y.records += records
	for kind, times := range y.times {
		missed, repeated := &y.missed, &y.repeated
		if kind == idChanged {
			missed, repeated = &y.changedMissed, &y.changedRepeated
		}
		for _, n := range times {
			if n == 0 {
				*missed++
			} else {
				*repeated += uint64(n - 1)
			}
		}
	}
	return nil
}

// Random changes, as fast as the kernel can make them, meet running dumps with
// each cursor and each encoding. With the two cursors that promise it, every
// entry that existed throughout comes exactly once. make stress does this for a
// minute.
func TestStress(t *testing.T) {
	const count, sockets = 3000, 3
	c := setup(t)
	fillForChurn(t, c, count)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var readers sync.WaitGroup
	var tallies []*tally
	for _, cursor := range cursors {
		y := newTally(count)
		tallies = append(tallies, y)
		readers.Go(func() {
			if cursor == client.CursorIndex { // its dump already costs the square of the table
				prefer(t)
			}
			for n := 0; ctx.Err() == nil; n++ {
				o := client.DumpOptions{Cursor: cursor, Encoding: encodings[n%len(encodings)]}
				if err := y.dump(ctx, c, o); err != nil && ctx.Err() == nil {
					t.Errorf("cursor %v, encoding %v: %v", cursor, o.Encoding, err)
					return
				}
			}
		})
	}

	start, began := time.Now(), state(t, c).Generation
	stop := churn(t, sockets, count)
	// At least one dump with each cursor, even on a slow machine.
	unfinished := func(y *tally) bool { return y.dumps.Load() == 0 }
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !t.Failed() && (time.Since(start) < *stressFor || state(t, c).Generation-began < *stressChanges ||
		slices.ContainsFunc(tallies, unfinished)) {
		<-tick.C
	}
	changes := stop()
	took := time.Since(start)
	cancel()
	readers.Wait()

	records := uint64(0)
	for _, y := range tallies {
		records += y.records
	}
	figures(t, "%d changes in %.1f s: %.0f a second, one for %.1f records read\n%s", changes, took.Seconds(),
		float64(changes)/took.Seconds(), float64(records)/float64(changes), tallyTable(tallies))
	for i, y := range tallies {
		if exact := cursors[i] == client.CursorKey || cursors[i] == client.CursorWalker; exact &&
			y.missed+y.repeated+y.changedMissed+y.changedRepeated > 0 {
			t.Errorf("cursor %v missed or repeated entries that were there throughout", cursors[i])
		}
	}
	if changes == 0 {
		t.Error("nothing changed")
	}
	wantInterruptions(t, tallies)
}

// wantInterruptions checks that some dumps told of the changes.
func wantInterruptions(t *testing.T, tallies []*tally) {
	t.Helper()
	if !slices.ContainsFunc(tallies, func(y *tally) bool { return y.interrupted > 0 }) {
		t.Errorf("no dump was interrupted:\n%s", tallyTable(tallies))
	}
}

func tallyTable(tallies []*tally) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "CURSOR\tDUMPS\tINTERRUPTED\tRECORDS\tUNTOUCHED MISSED\tREPEATED\tCHANGED MISSED\tREPEATED\t")
	for i, y := range tallies {
		fmt.Fprintf(w, "%v\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", cursors[i], y.dumps.Load(), y.interrupted, y.records,
			y.missed, y.repeated, y.changedMissed, y.changedRepeated)
	}
	_ = w.Flush()
	return b.String()
}
