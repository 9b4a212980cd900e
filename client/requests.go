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

// Get returns the entry with the id, or os.ErrNotExist.
func (c *Client) Get(ctx context.Context, id uint32) (Entry, error) {
	return c.get(ctx, func(e *netlink.AttributeEncoder) { e.Uint32(uapi.AttrEntryID, id) })
}

// GetByName returns the entry with the name, or os.ErrNotExist. Of several, it
// returns the one with the smallest id.
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

// New makes the entry e, and returns the generation that the table has with it.
// It ignores e.Stats and e.Generation. The error is os.ErrExist if the id is
// taken.
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

// Set changes an entry, and returns the generation that the table has after it.
// The error is os.ErrNotExist if there is no entry with the id and ch.Create is
// not set.
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

// Delete deletes the entry with the id, and returns the generation that the table
// has without it. The error is os.ErrNotExist if there is no such entry.
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
	if generation == 0 { // no table has this one
		return 0, fmt.Errorf("%s: %w: no generation", o.name, ErrBadReply)
	}
	return generation, nil
}

// Fill makes many synthetic entries, all or none. The error is os.ErrExist if an
// id is taken, ENOSPC if the table would exceed its limit, and ERANGE if an id
// would exceed the largest one.
//
// When ctx is done, Fill returns, but the kernel goes on with what it has begun.
// Only the death of the process ends that, and it leaves none of the entries. If
// your program must take signals meanwhile, keep its first thread free for them
// (call runtime.LockOSThread in an init function, and let main only wait): the
// kernel wakes that thread, not one that is in a long system call.
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
	f, err := decodeFill(b)
	return f.Filled, err
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

// message encodes a request of the operation; raw is all of it after the netlink
// header.
func (o op) message(put func(*netlink.AttributeEncoder)) (m genetlink.Message, raw []byte, err error) {
	m.Header = genetlink.Header{Command: o.cmd, Version: uapi.Version}
	e := netlink.NewAttributeEncoder()
	put(e)
	if m.Data, err = e.Encode(); err == nil {
		raw, err = m.MarshalBinary()
	}
	if err != nil {
		return m, nil, fmt.Errorf("%s: %w", o.name, err)
	}
	return m, raw, nil
}

// do sends a request and returns the attributes of the reply.
func (c *Client) do(ctx context.Context, o op, put func(*netlink.AttributeEncoder)) ([]byte, error) {
	m, raw, err := o.message(put)
	if err != nil {
		return nil, err
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

// ask gives fn the socket for requests, which no other fn has at that time, and
// returns fn's result. It returns at once when the context is done or the client
// is closed. The kernel carries a request out within the system call that sends
// it, and only the death of the process ends that call. So ask leaves the call
// behind, and the next request opens another socket. It also opens another one if
// fn failed with anything but an errno from the kernel: a reply may still come.
//
// If the context cannot end, fn runs in the caller's goroutine, for callers whose
// thread matters: its rights, or its number in a trace. Close waits for that fn.
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
	c.req = nil // until fn has returned without harm to it
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
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // ends a wait for the reply
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

// putUint encodes YNL's "uint": 4 bytes if the value fits, otherwise 8.
func putUint(e *netlink.AttributeEncoder, typ uint16, v uint64) {
	if v <= math.MaxUint32 {
		e.Uint32(typ, uint32(v))
	} else {
		e.Uint64(typ, v)
	}
}

// putName encodes a name. It refuses a NUL inside, which would cut the name short
// in the kernel. The kernel checks the length.
func putName(e *netlink.AttributeEncoder, typ uint16, name string) {
	e.Do(typ, func() ([]byte, error) {
		if strings.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("name %q has a NUL in it: %w", name, unix.EINVAL)
		}
		return append([]byte(name), 0), nil
	})
}
