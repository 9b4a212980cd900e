// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"

	"github.com/mdlayher/netlink"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// Get returns the entry with the id; os.ErrNotExist if there is none.
func (c *Client) Get(ctx context.Context, id uint32) (Entry, error) {
	return c.get(ctx, func(e *netlink.AttributeEncoder) { e.Uint32(uapi.AttrEntryID, id) })
}

// GetByName returns the entry with the name, of several the one with the smallest id;
// os.ErrNotExist if there is none.
func (c *Client) GetByName(ctx context.Context, name string) (Entry, error) {
	return c.get(ctx, func(e *netlink.AttributeEncoder) { putName(e, uapi.AttrEntryName, name) })
}

func (c *Client) get(ctx context.Context, put func(*netlink.AttributeEncoder)) (Entry, error) {
	b, err := c.do(ctx, opEntryGet, put)
	if err != nil {
		return Entry{}, err
	}
	var r Record
	if err := decodeRecord(b, &r); err != nil {
		return Entry{}, fmt.Errorf("%s: %w", opEntryGet.name, err)
	}
	return r.Entry(), nil
}

// New makes the entry e, whose Stats and Generation are not looked at, and
// returns the table's generation with it. os.ErrExist if the id is taken.
func (c *Client) New(ctx context.Context, e Entry) (generation uint64, err error) {
	return c.change(ctx, opEntryNew, func(enc *netlink.AttributeEncoder) {
		enc.Uint32(uapi.AttrEntryID, e.ID)
		putName(enc, uapi.AttrEntryName, e.Name)
		enc.Uint32(uapi.AttrEntryFlags, e.Flags)
		putUint(enc, uapi.AttrEntryValue, e.Value)
		if len(e.Payload) > 0 {
			enc.Bytes(uapi.AttrEntryPayload, e.Payload)
		}
	})
}

// Set changes an entry and returns the table's generation after it.
// os.ErrNotExist if there is no entry with the id and ch.Create is not set.
func (c *Client) Set(ctx context.Context, ch Change) (generation uint64, err error) {
	return c.change(ctx, opEntrySet, func(enc *netlink.AttributeEncoder) {
		enc.Uint32(uapi.AttrEntryID, ch.ID)
		if ch.Name != nil {
			putName(enc, uapi.AttrEntryName, *ch.Name)
		}
		if ch.Flags != nil {
			enc.Uint32(uapi.AttrEntryFlags, *ch.Flags)
		}
		if ch.Value != nil {
			putUint(enc, uapi.AttrEntryValue, *ch.Value)
		}
		if ch.Payload != nil {
			enc.Bytes(uapi.AttrEntryPayload, ch.Payload)
		}
		enc.Flag(uapi.AttrEntryCreate, ch.Create)
	})
}

// Delete deletes the entry with the id and returns the table's generation
// without it. os.ErrNotExist if there is none.
func (c *Client) Delete(ctx context.Context, id uint32) (generation uint64, err error) {
	return c.change(ctx, opEntryDel, func(e *netlink.AttributeEncoder) { e.Uint32(uapi.AttrEntryID, id) })
}

func (c *Client) change(ctx context.Context, o op, put func(*netlink.AttributeEncoder)) (uint64, error) {
	b, err := c.do(ctx, o, put)
	if err != nil {
		return 0, err
	}
	generation := uint64(0)
	a := nldump.Parse(b)
	for a.Next() {
		if a.Type() == uapi.AttrEntryGeneration {
			generation = a.Uint()
		}
	}
	if a.Err() != nil {
		return 0, fmt.Errorf("%s: %w: %w", o.name, ErrBadReply, a.Err())
	}
	if generation == 0 { // which no generation is
		return 0, fmt.Errorf("%s: %w: no generation", o.name, ErrBadReply)
	}
	return generation, nil
}

// Fill makes many synthetic entries, all or none. os.ErrExist if an id is
// taken, ENOSPC if the table's limit would be passed, ERANGE if an id would pass
// the largest.
//
// When ctx is done, Fill returns, but what the kernel has begun it goes on with.
// The death of the process ends that, and leaves none of the entries. A program
// that is to take a signal meanwhile keeps its first thread free for it
// (runtime.LockOSThread in an init function, and main only waits): the kernel
// wakes that one, not one that is in a long system call.
func (c *Client) Fill(ctx context.Context, o FillOptions) (Filled, error) {
	b, err := c.do(ctx, opTableFill, func(e *netlink.AttributeEncoder) {
		e.Uint32(uapi.AttrFillCount, o.Count)
		putUint(e, uapi.AttrFillSeed, o.Seed)
		e.Uint32(uapi.AttrFillIDStart, o.IDStart)
		if o.IDStride != 0 {
			e.Uint32(uapi.AttrFillIDStride, o.IDStride)
		}
		e.Uint32(uapi.AttrFillPayloadMin, o.PayloadMin)
		if o.PayloadMax != 0 {
			e.Uint32(uapi.AttrFillPayloadMax, o.PayloadMax)
		}
	})
	if err != nil {
		return Filled{}, err
	}
	return decodeFilled(b)
}

// Flush deletes all entries.
func (c *Client) Flush(ctx context.Context) (Flushed, error) {
	b, err := c.do(ctx, opTableFlush, func(*netlink.AttributeEncoder) {})
	if err != nil {
		return Flushed{}, err
	}
	t, err := decodeTable(b)
	return Flushed{Count: t.Count, Generation: t.Generation}, err
}

// Table returns the table's size, generation, limits and counters.
func (c *Client) Table(ctx context.Context) (Table, error) {
	b, err := c.do(ctx, opTableGet, func(*netlink.AttributeEncoder) {})
	if err != nil {
		return Table{}, err
	}
	return decodeTable(b)
}
