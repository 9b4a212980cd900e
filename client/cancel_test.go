// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestKernelRequestCancelled waits for a reply that never comes, on a real
// socket: the kernel says nothing to NLMSG_NOOP
// (af_netlink.c:netlink_rcv_skb).
func TestKernelRequestCancelled(t *testing.T) {
	conns := 0
	c := &Client{turn: make(chan struct{}, 1), ended: make(chan struct{})}
	c.sockets.Requests = func() (*genetlink.Conn, error) {
		conns++
		return genetlink.Dial(&netlink.Config{Strict: true})
	}
	nothing := func(*genetlink.Conn) (none struct{}, err error) { return none, nil }
	if _, err := ask(t.Context(), c, nothing); err != nil {
		t.Skipf("no generic netlink here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := ask(ctx, c, func(conn *genetlink.Conn) ([]genetlink.Message, error) {
		go cancel()
		return conn.Execute(genetlink.Message{}, unix.NLMSG_NOOP, netlink.Request)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	// A late reply may be on its way to the old socket, so there is a new one.
	f, err := ask(t.Context(), c, func(conn *genetlink.Conn) (genetlink.Family, error) {
		return conn.GetFamily("nlctrl")
	})
	if err != nil || f.ID != unix.GENL_ID_CTRL || conns != 2 {
		t.Errorf("the next request: %+v, %v, %d sockets", f, err, conns)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
