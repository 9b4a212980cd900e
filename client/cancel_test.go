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
	c := &Client{turn: make(chan struct{}, 1), dialRequests: func() (*genetlink.Conn, error) {
		conns++
		return genetlink.Dial(&netlink.Config{Strict: true})
	}}
	if err := c.withConn(t.Context(), func(*genetlink.Conn) error { return nil }); err != nil {
		t.Skipf("no generic netlink here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := c.withConn(ctx, func(conn *genetlink.Conn) error {
		go cancel()
		_, err := conn.Execute(genetlink.Message{}, unix.NLMSG_NOOP, netlink.Request)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	// A late reply may be on its way to the old socket, so there is a new one.
	var f genetlink.Family
	err = c.withConn(t.Context(), func(conn *genetlink.Conn) (err error) {
		f, err = conn.GetFamily("nlctrl")
		return err
	})
	if err != nil || f.ID != unix.GENL_ID_CTRL || conns != 2 {
		t.Errorf("the next request: %+v, %v, %d sockets", f, err, conns)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
