// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"iter"
	"os"

	"github.com/mdlayher/netlink"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// DumpOptions says what a dump sends and how to read it. The zero value dumps the
// whole table.
type DumpOptions struct {
	// IDFrom and IDTo bound the ids, both inclusive; nil means no bound. The
	// kernel refuses a range that starts after its end (EINVAL).
	IDFrom, IDTo *uint32

	// NamePrefix is what a name must begin with; "" means anything.
	NamePrefix string

	// Flags is what an entry's flags must be where FlagsMask has a bit. A mask
	// of 0 means anything.
	Flags, FlagsMask uint32

	// Fields is what the kernel sends of an entry besides its ID; nil means all.
	// A field that is not sent is zero.
	Fields *Field

	// Since, if not nil, asks for what changed after this generation, up to
	// the generation at the dump's start, in order of generation. Deleted
	// entries come too. Since goes with IDFrom and IDTo, not with another
	// filter or a Cursor. The error is ErrStale if the kernel's log of changes
	// does not reach back that far.
	Since *uint64

	// Cursor says how the kernel remembers the dump's place. Each cursor has its
	// own order of entries; only that of CursorKey is by ID. All but CursorKey
	// need the right to change the table.
	Cursor Cursor

	// Encoding says how the kernel writes records. The loop sees no difference.
	Encoding Encoding

	// BufferSize is the size of the page buffer in bytes, at least
	// nldump.MinBufferSize. 0 means nldump.DefaultBufferSize, which has room for
	// any record.
	BufferSize int

	// Stats, if not nil, receives the dump's figures when the loop ends, however
	// it ends.
	Stats *nldump.Stats
}

// Dump yields the entries of the table, in rising order of their ids unless
// DumpOptions says otherwise. The caller may keep them. An error is yielded once
// and ends the loop; ErrInterrupted comes after all entries.
//
// When ctx is done, the loop ends with its error: at once if it waits for the
// kernel, otherwise after the last entry of the current page. It waits for a page
// that the kernel is building, however long the kernel looks for an entry that
// the filter lets through: only the death of the process ends that.
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

// Records is like Dump, but yields one Record again and again. The Record and what
// it points to are valid until the next iteration. Nothing is allocated per
// record. With an error the Record is nil.
func (c *Client) Records(ctx context.Context, o DumpOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := c.dump(ctx, o, &decoder{yield: yield}); err != nil {
			yield(nil, err)
		}
	}
}

// A yield function gets each record with a nil error, until it returns false. It
// is the caller's own, with nothing in between.
type yield = func(*Record, error) bool

// dump dumps on a stream of its own.
func (c *Client) dump(ctx context.Context, o DumpOptions, d *decoder) error {
	s, err := c.acquire(nldump.Config{BufferSize: o.BufferSize})
	if err != nil {
		return err
	}
	defer c.release(s)
	return c.pass(ctx, s, o, d)
}

// pass dumps on the stream.
func (c *Client) pass(ctx context.Context, s *nldump.Stream, o DumpOptions, d *decoder) error {
	raw, err := o.Request()
	if err != nil {
		return err
	}
	defer func() {
		if o.Stats != nil {
			*o.Stats = s.Stats()
			o.Stats.Records = d.records
		}
	}()
	return c.retry(ctx, func() error {
		d.family = uint16(c.family.Load())
		for p, err := range s.Pages(ctx, nldump.Dump{Request: nldump.Message{Type: d.family, Data: raw}}) {
			if err != nil {
				return failDump(err, raw)
			}
			if more, err := d.page(p); err != nil || !more {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err // even if that page was the last
			}
		}
		return nil
	})
}

// failDump turns an error of the stream's into one of this package.
func failDump(err error, raw []byte) error {
	if errors.Is(err, os.ErrClosed) {
		err = ErrClosed
	}
	return opEntryGet.fail(err, raw)
}

// Request encodes the dump's request: everything after the netlink header. Use it
// to read the dump with package nldump.
func (o DumpOptions) Request() ([]byte, error) {
	_, raw, err := opEntryGet.message(o.put)
	return raw, err
}

func (o *DumpOptions) put(e *netlink.AttributeEncoder) {
	if o.filtered() {
		e.Nested(uapi.AttrEntryFilter, o.putFilter)
	}
	if o.Fields != nil {
		e.Uint32(uapi.AttrEntryFields, uint32(*o.Fields))
	}
	if o.Since != nil {
		putUint(e, uapi.AttrEntrySince, *o.Since)
	}
	if o.Cursor != CursorKey {
		e.Uint32(uapi.AttrEntryCursor, uint32(o.Cursor))
	}
	if o.Encoding != EncodingPlain {
		e.Uint32(uapi.AttrEntryEncoding, uint32(o.Encoding))
	}
}

// filtered tells whether entries may be left out.
func (o *DumpOptions) filtered() bool {
	return o.IDFrom != nil || o.IDTo != nil || o.NamePrefix != "" || o.FlagsMask != 0
}

func (o *DumpOptions) putFilter(e *netlink.AttributeEncoder) error {
	if o.IDFrom != nil {
		e.Uint32(uapi.AttrFilterIDFrom, *o.IDFrom)
	}
	if o.IDTo != nil {
		e.Uint32(uapi.AttrFilterIDTo, *o.IDTo)
	}
	if o.NamePrefix != "" {
		putName(e, uapi.AttrFilterNamePrefix, o.NamePrefix)
	}
	if o.FlagsMask != 0 {
		e.Uint32(uapi.AttrFilterFlags, o.Flags)
		e.Uint32(uapi.AttrFilterFlagsMask, o.FlagsMask)
	}
	return nil
}
