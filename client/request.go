// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"bulkdump/client/internal/uapi"
)

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
