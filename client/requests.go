// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

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

var (
	opEntryGet   = op{"entry-get", uapi.CmdEntryGet, uapi.NamesEntry}
	opEntryNew   = op{"entry-new", uapi.CmdEntryNew, uapi.NamesEntry}
	opEntrySet   = op{"entry-set", uapi.CmdEntrySet, uapi.NamesEntry}
	opEntryDel   = op{"entry-del", uapi.CmdEntryDel, uapi.NamesEntry}
	opTableGet   = op{"table-get", uapi.CmdTableGet, uapi.NamesTable}
	opTableFill  = op{"table-fill", uapi.CmdTableFill, uapi.NamesFill}
	opTableFlush = op{"table-flush", uapi.CmdTableFlush, uapi.NamesTable}
)

// message encodes a request of the operation.
func (o op) message(put func(*netlink.AttributeEncoder)) (genetlink.Message, error) {
	m := genetlink.Message{Header: genetlink.Header{Command: o.cmd, Version: uapi.Version}}
	e := netlink.NewAttributeEncoder()
	put(e)
	var err error
	if m.Data, err = e.Encode(); err != nil {
		return m, fmt.Errorf("%s: %w", o.name, err)
	}
	return m, nil
}

// do sends a request and returns the attributes of the reply.
func (c *Client) do(ctx context.Context, o op, put func(*netlink.AttributeEncoder)) ([]byte, error) {
	m, err := o.message(put)
	if err != nil {
		return nil, err
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	var replies []genetlink.Message
	err = c.retry(ctx, func() (err error) {
		family := uint16(c.family.Load())
		replies, err = ask(ctx, c, func(conn *genetlink.Conn) ([]genetlink.Message, error) {
			return conn.Execute(m, family, netlink.Request)
		})
		return o.fail(err, raw)
	})
	if err != nil {
		return nil, err
	}
	if len(replies) != 1 || replies[0].Header.Command != o.cmd {
		return nil, fmt.Errorf("%s: %w: %d messages, or another command", o.name, ErrBadReply, len(replies))
	}
	return replies[0].Data, nil
}

// ask runs fn with the socket for requests, alone, and returns its result. It
// returns at once when the context is done or the client is closed. The kernel
// does what a request asks for within the system call that sends it, which
// nothing ends but the death of the process: then the call is left to itself,
// and the next request opens another socket. It also does if fn failed with
// anything but an errno of the kernel's: a reply may be on its way still.
//
// With a context that cannot end, fn runs in the caller's goroutine, for callers
// whose thread matters: its rights, or its number in a trace. Close waits for it.
func ask[T any](ctx context.Context, c *Client, fn func(*genetlink.Conn) (T, error)) (none T, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.ended:
		return none, ErrClosed
	}
	if c.isClosed() {
		return none, ErrClosed
	}
	conn := c.req
	c.req = nil // unless it turns out to be good
	if conn == nil {
		if conn, err = c.sockets.Requests(); err != nil {
			return none, err
		}
	}
	type answer struct {
		value T
		err   error
	}
	var a answer
	answered := make(chan answer, 1)
	if ctx.Done() == nil {
		a.value, a.err = fn(conn)
	} else {
		go func() {
			value, err := fn(conn)
			answered <- answer{value, err}
		}()
		select {
		case a = <-answered:
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.ended:
			err = ErrClosed
		}
	}
	if err != nil {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // a wait for the reply ends
		go func() {
			<-answered
			_ = conn.Close()
		}()
		return none, err
	}
	if a.err == nil || isKernels(a.err) {
		c.req = conn
	} else {
		_ = conn.Close()
	}
	return a.value, a.err
}

// putUint encodes YNL's "uint": 4 bytes if the value fits, else 8.
func putUint(e *netlink.AttributeEncoder, typ uint16, v uint64) {
	if v <= math.MaxUint32 {
		e.Uint32(typ, uint32(v))
	} else {
		e.Uint64(typ, v)
	}
}

// putName encodes a name. A NUL inside would cut it short in the kernel; its
// length is the kernel's to judge.
func putName(e *netlink.AttributeEncoder, typ uint16, name string) {
	e.Do(typ, func() ([]byte, error) {
		if strings.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("name %q has a NUL in it: %w", name, unix.EINVAL)
		}
		return append([]byte(name), 0), nil
	})
}
