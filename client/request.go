// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

var (
	opEntryGet   = op{"entry-get", cmdEntryGet, namesEntry}
	opEntryNew   = op{"entry-new", cmdEntryNew, namesEntry}
	opEntrySet   = op{"entry-set", cmdEntrySet, namesEntry}
	opEntryDel   = op{"entry-del", cmdEntryDel, namesEntry}
	opTableGet   = op{"table-get", cmdTableGet, namesTable}
	opTableFill  = op{"table-fill", cmdTableFill, namesFill}
	opTableFlush = op{"table-flush", cmdTableFlush, namesTable}
)

// message encodes a request of the operation.
func (o op) message(put func(*netlink.AttributeEncoder)) (genetlink.Message, error) {
	m := genetlink.Message{Header: genetlink.Header{Command: o.cmd, Version: familyVersion}}
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
	err = c.retry(ctx, func() error {
		return o.fail(c.withConn(ctx, func(conn *genetlink.Conn) (err error) {
			replies, err = conn.Execute(m, uint16(c.family.Load()), netlink.Request)
			return err
		}), raw)
	})
	if err != nil {
		return nil, err
	}
	if len(replies) != 1 || replies[0].Header.Command != o.cmd {
		return nil, fmt.Errorf("%s: %w: %d messages, or another command", o.name, ErrBadReply, len(replies))
	}
	return replies[0].Data, nil
}

// withConn runs fn with the socket for requests, alone. The context bounds the
// wait for the socket and for the reply; what the kernel does for a request it
// does within the system call that sends it, which a context cannot end. If fn
// fails with anything but an errno of the kernel's, a reply may be on its way
// still, so the socket is closed, and the next request opens another.
func (c *Client) withConn(ctx context.Context, fn func(*genetlink.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.isClosed() {
		return ErrClosed
	}
	if c.req == nil {
		conn, err := c.dialRequests()
		if err != nil {
			return err
		}
		c.req = conn
	}
	err := c.runUntil(ctx, fn)
	if err != nil && !isKernels(err) {
		_ = c.req.Close()
		c.req = nil
		if ctx.Err() != nil {
			err = ctx.Err()
		}
	}
	return err
}

// runUntil runs fn on the socket; its wait for a reply ends with the context.
func (c *Client) runUntil(ctx context.Context, fn func(*genetlink.Conn) error) error {
	ran := make(chan struct{})
	conn := c.req
	cancel := context.AfterFunc(ctx, func() {
		defer close(ran)
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !cancel() {
			<-ran
			_ = conn.SetReadDeadline(time.Time{})
		}
	}()
	return fn(conn)
}
