// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/mdlayher/netlink"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// idleMax is how many sockets are kept for later dumps.
const idleMax = 4

// A yield function gets each record with a nil error, until it returns false.
// It is that of the caller's loop, with nothing between.
type yield = func(*Record, error) bool

// records runs a dump on a stream of its own and hands each record over.
func (c *Client) records(ctx context.Context, o DumpOptions, yield yield) error {
	s, err := c.acquire(nldump.Config{BufferSize: o.BufferSize})
	if err != nil {
		return err
	}
	defer c.release(s)
	return c.pass(ctx, s, o, yield)
}

// pass is records on that stream.
func (c *Client) pass(ctx context.Context, s *nldump.Stream, o DumpOptions, yield yield) error {
	raw, err := o.Request()
	if err != nil {
		return err
	}
	d := decoder{yield: yield}
	defer func() {
		if o.Stats != nil {
			*o.Stats = s.Stats()
			o.Stats.Records = d.records
		}
	}()
	return c.retry(ctx, func() error {
		d.family = uint16(c.family.Load())
		for p, err := range s.Pages(ctx, nldump.Dump{Request: dumpRequest(d.family, raw)}) {
			if err != nil {
				return failDump(err, raw)
			}
			if more, err := d.page(p); err != nil || !more {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err // also if that page was the last
			}
		}
		return nil
	})
}

func dumpRequest(family uint16, raw []byte) nldump.Message {
	return nldump.Message{Type: family, Data: raw}
}

// failDump turns an error of the stream's into one of this package.
func failDump(err error, raw []byte) error {
	if errors.Is(err, os.ErrClosed) {
		err = ErrClosed
	}
	return opEntryGet.fail(err, raw)
}

// A decoder makes records out of a dump's pages.
type decoder struct {
	family  uint16
	yield   yield
	records uint64 // that it got
	record  Record // that it gets
}

// page hands over the records of a page, and tells whether more are wanted.
func (d *decoder) page(p nldump.Page) (more bool, err error) {
	ms := p.Messages() // not of the for statement, which would copy it each time
	for len(ms) > 0 {
		if ms.Type() != d.family {
			return false, errForeign
		}
		if decodeUsual(ms.Bytes(), &d.record) {
			d.records++
			if !d.yield(&d.record, nil) {
				return false, nil
			}
		} else if more, err := d.decodeUnusual(ms.Data()); err != nil || !more {
			return false, err
		}
		ms = ms.Next()
	}
	return true, nil
}

var errForeign = fmt.Errorf("%s: %w: record of another family or command", opEntryGet.name, ErrBadReply)

// decodeUnusual is for a page of columns, and for a record that is not as usual.
func (d *decoder) decodeUnusual(b []byte) (more bool, err error) {
	if len(b) < genlHeaderLen || b[0] != uapi.CmdEntryGet {
		return false, errForeign
	}
	b = b[genlHeaderLen:]
	if a := nldump.Parse(b); a.Next() && a.Type() == uapi.AttrEntryColumns {
		more, err = d.decodeColumns(a.Nested())
	} else if err = decodeRecord(b, &d.record); err == nil {
		d.records++
		more = d.yield(&d.record, nil)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", opEntryGet.name, err)
	}
	return more, nil
}

// Request encodes the dump's request: all behind the netlink header, for those
// who read the dump with package nldump themselves.
func (o DumpOptions) Request() ([]byte, error) {
	m, err := opEntryGet.message(o.put)
	if err != nil {
		return nil, err
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opEntryGet.name, err)
	}
	return raw, nil
}

// put encodes the dump's request.
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

// acquire returns a stream that is idle, or a new one. Its buffer is of exactly
// the size asked for: the kernel remembers the largest buffer that a socket was
// read with (nlk->max_recvmsg_len) and makes pages of that size, which a
// smaller one would truncate. One with a pool is always new, and not kept.
func (c *Client) acquire(cfg nldump.Config) (*nldump.Stream, error) {
	cfg.BufferSize = cmp.Or(cfg.BufferSize, nldump.DefaultBufferSize)
	if cfg.Pool == nil {
		if s, err := c.takeIdle(cfg.BufferSize); s != nil || err != nil {
			return s, err
		}
	}
	s, err := c.sockets.Dump(cfg)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.active[s] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = s.Close()
		return nil, ErrClosed
	}
	return s, nil
}

// takeIdle returns an idle stream with a buffer of the size, nil if there is
// none.
func (c *Client) takeIdle(size int) (*nldump.Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	i := slices.IndexFunc(c.idle, func(s *nldump.Stream) bool { return s.Config().BufferSize == size })
	if i < 0 {
		return nil, nil
	}
	s := c.idle[i]
	c.idle = slices.Delete(c.idle, i, i+1)
	c.active[s] = struct{}{}
	return s, nil
}

// release takes a stream back. One whose dump was not read to its end is
// closed, upon which the kernel ends the dump (af_netlink.c:netlink_release).
func (c *Client) release(s *nldump.Stream) {
	c.mu.Lock()
	delete(c.active, s)
	keep := s.Idle() && !c.closed && s.Config().Pool == nil
	if keep {
		c.idle = append(c.idle, s)
	}
	var surplus *nldump.Stream
	if len(c.idle) > idleMax {
		surplus = c.idle[0]
		c.idle = slices.Delete(c.idle, 0, 1)
	}
	c.mu.Unlock()
	if !keep {
		_ = s.Close()
	}
	if surplus != nil {
		_ = surplus.Close()
	}
}
