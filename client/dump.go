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

	// NamePrefix is what a name must begin with; "" means no matter what.
	NamePrefix string

	// Flags is what an entry's flags must be where FlagsMask has a bit; a mask
	// of 0 means no matter what.
	Flags, FlagsMask uint32

	// Fields is what is sent of an entry beside its ID; nil means all. What is
	// not sent is zero.
	Fields *Field

	// Since, if not nil, asks for what changed after this generation, up to
	// the generation at the dump's start, in order of generation; deleted
	// entries too. It goes with IDFrom and IDTo, not with another filter or a
	// Cursor. The error is ErrStale if the kernel does not know so far back.
	Since *uint64

	// Cursor says how the kernel remembers the dump's place. Each has its own
	// order of entries; only that of CursorKey is by ID.
	// All but CursorKey need the right to change the table.
	Cursor Cursor

	// Encoding says how the kernel writes records; the loop sees no difference.
	Encoding Encoding

	// BufferSize is the size of the page buffer in bytes, at least
	// nldump.MinBufferSize; 0 means nldump.DefaultBufferSize, into which every
	// record fits.
	BufferSize int

	// Stats, if not nil, receives the dump's figures when the loop ends,
	// however it ends.
	Stats *nldump.Stats
}

// Dump yields the entries of the table, in rising order of their ids unless
// DumpOptions says otherwise. The entries are the caller's to keep. An error is
// yielded once and ends the loop; ErrInterrupted comes after all entries.
//
// When ctx is done, the loop ends with its error: at once while it waits for the
// kernel, else behind the last entry of the page that it has. A page that the
// kernel is building is waited for, however long it looks for what a filter lets
// through: only the death of the process ends that.
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
		if err := c.records(ctx, o, yield); err != nil {
			yield(nil, err)
		}
	}
}
