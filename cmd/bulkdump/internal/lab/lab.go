// SPDX-License-Identifier: BSD-3-Clause

// Package lab has the experiments: what each cursor costs and loses, who waits
// at the guard, which read sets off which page of a dump, and on which sockets a
// dump is running.
package lab

import (
	"context"
	"errors"
	"iter"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
)

// Table is what the experiments need of a client.Client.
type Table interface {
	Get(context.Context, uint32) (client.Entry, error)
	New(context.Context, client.Entry) (uint64, error)
	Set(context.Context, client.Change) (uint64, error)
	Delete(context.Context, uint32) (uint64, error)
	Fill(context.Context, client.FillOptions) (client.Filled, error)
	Flush(context.Context) (client.Flushed, error)
	Table(context.Context) (client.Table, error)
	Records(context.Context, client.DumpOptions) iter.Seq2[*client.Record, error]
}

// Tell is told what an experiment does now.
type Tell func(text string)

// A collector is a place for trace events: a tracefs.Instance.
type collector interface {
	Start(clock, system string, events ...string) error // collect from now on
	Events() ([]tracefs.Event, error)
	Close() error // and leave nothing
}

// wantEmpty is an error if there are entries: an experiment deletes nothing
// that it did not make.
func wantEmpty(ctx context.Context, t Table) error {
	state, err := t.Table(ctx)
	if err == nil && state.Count > 0 {
		err = errors.New("the table is not empty: this command would delete what is in it; 'bulkdump flush' does so")
	}
	return err
}

// empty flushes the table after an experiment, also after a signal: it was
// empty before.
func empty(ctx context.Context, t Table) { _, _ = t.Flush(context.WithoutCancel(ctx)) }
