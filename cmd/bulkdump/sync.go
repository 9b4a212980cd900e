// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// records are those that dump prints, read as the flags say.
func (a *app) records(ctx context.Context, t table, f *dumpFlags, stats *nldump.Stats, bar *progress) iter.Seq2[*client.Record, error] {
	o := f.options(stats)
	switch {
	case f.sync:
		return a.synced(ctx, t, client.SyncOptions{Dump: o, Passes: int(f.syncPasses)}, bar)
	case f.given("parallel"):
		return t.DumpParallel(ctx, int(f.parallel), client.ParallelOptions{Dump: o, Unordered: f.unordered})
	}
	return t.Records(ctx, o)
}

// synced yields the table that a Sync ends in, when it has ended.
func (a *app) synced(ctx context.Context, t table, o client.SyncOptions, bar *progress) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) {
		var held client.Snapshot
		var result client.Synced
		o.Reset, o.Synced = held.Reset, &result
		for r, err := range t.Sync(ctx, o) {
			if err != nil {
				yield(nil, explainNotSynced(err))
				return
			}
			held.Apply(r)
			bar.add()
		}
		bar.end()
		a.note("the table of generation %d, after %d passes (%d full)",
			result.Generation, result.Full+result.Deltas, result.Full)
		for _, e := range held.Entries() {
			if !yield(recordOf(&e), nil) {
				return
			}
		}
	}
}

// explainNotSynced says what to do. ErrInterrupted is taken out of the error:
// it means that all records were printed.
func explainNotSynced(err error) error {
	if errors.Is(err, client.ErrNotSynced) {
		return fmt.Errorf("%s (give --sync-passes more)", err)
	}
	return err
}
