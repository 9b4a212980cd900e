// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"iter"

	"bulkdump/client/nldump"
)

// DumpOptions says what a dump sends and how it is read. The zero value dumps
// the whole table.
type DumpOptions struct {
	// IDFrom and IDTo bound the ids, both inclusive; nil means no bound. The
	// kernel refuses a range whose start is after its end (EINVAL).
	IDFrom, IDTo *uint32

	// BufferSize is the size of the page buffer in bytes, at least
	// nldump.MinBufferSize; 0 means nldump.DefaultBufferSize, into which every
	// record fits.
	BufferSize int

	// Stats, if not nil, receives the dump's figures when the loop ends,
	// however it ends.
	Stats *nldump.Stats
}

// Dump yields the entries of the table in rising order of their ids. The
// entries are the caller's to keep. An error is yielded once and ends the loop;
// ErrInterrupted comes after all entries.
func (c *Client) Dump(ctx context.Context, o DumpOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for r, err := range c.Records(ctx, o) {
			var e Entry
			if err == nil {
				e = r.Entry()
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Records is like Dump, but yields one Record again and again: it and what it
// points to are valid until the next iteration. Nothing is allocated per
// record. With an error the Record is nil.
func (c *Client) Records(ctx context.Context, o DumpOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := c.records(ctx, o, func(r *Record) bool { return yield(r, nil) }); err != nil {
			yield(nil, err)
		}
	}
}
