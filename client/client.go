// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Config says how a Client is connected. The zero value is good.
type Config struct {
	// NetNS is a file descriptor of the network namespace whose table is
	// meant; 0 means the caller's. It must stay open as long as the Client,
	// which opens sockets as it needs them. Entering another namespace needs
	// CAP_SYS_ADMIN.
	NetNS int
}

// A Client talks to the bulkdump family of one network namespace. Its methods
// may be called from several goroutines at once.
type Client struct {
	dialRequests func() (*genetlink.Conn, error)
	dialDump     func(nldump.Config) (*nldump.Stream, error)

	family atomic.Uint32 // the family's number, which a new load of the module changes

	// turn holds one token, taken for a whole request and its reply. A
	// channel, because waiting for it must end with the context.
	turn chan struct{}
	req  *genetlink.Conn // nil if the last request left it in doubt; guarded by turn

	mu     sync.Mutex // guards what follows; never held while waiting
	closed bool
	idle   []*nldump.Stream
	active map[*nldump.Stream]struct{}
}

// Dial connects to the family. If the kernel does not have it, the error is
// ErrNoFamily.
func Dial(cfg Config) (*Client, error) {
	return dial(
		func() (*genetlink.Conn, error) {
			// Strict is NETLINK_EXT_ACK and NETLINK_GET_STRICT_CHK. Not
			// NETLINK_CAP_ACK: the library looks for the extended
			// acknowledgement where it is without (message.go:checkMessage).
			return genetlink.Dial(&netlink.Config{NetNS: cfg.NetNS, Strict: true})
		},
		func(c nldump.Config) (*nldump.Stream, error) {
			c.NetNS = cfg.NetNS
			return nldump.Dial(unix.NETLINK_GENERIC, c)
		})
}

func dial(requests func() (*genetlink.Conn, error), dump func(nldump.Config) (*nldump.Stream, error)) (*Client, error) {
	c := &Client{
		dialRequests: requests,
		dialDump:     dump,
		turn:         make(chan struct{}, 1),
		active:       make(map[*nldump.Stream]struct{}),
	}
	if _, err := c.resolve(context.Background()); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes all sockets. Dumps that run end with ErrClosed. Closing again
// does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	streams := c.idle
	for s := range c.active {
		streams = append(streams, s)
	}
	c.idle, c.closed = nil, true
	c.mu.Unlock()

	var errs []error
	for _, s := range streams {
		errs = append(errs, s.Close())
	}
	// A request that runs ends soon: the kernel answers within the system call.
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.req != nil {
		errs = append(errs, c.req.Close())
		c.req = nil
	}
	return errors.Join(errs...)
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// resolve asks the kernel for the family's number and tells whether it differs
// from what was known.
func (c *Client) resolve(ctx context.Context) (changed bool, err error) {
	var f genetlink.Family
	err = c.withConn(ctx, func(conn *genetlink.Conn) (err error) {
		f, err = conn.GetFamily(FamilyName)
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return false, ErrNoFamily
	}
	if err != nil {
		return false, fmt.Errorf("family %s: %w", FamilyName, err)
	}
	return c.family.Swap(uint32(f.ID)) != uint32(f.ID), nil
}

// retry runs fn, and once more if it failed because the family has got another
// number: the module was loaded anew. The kernel refuses an unknown number with
// a bare ENOENT (genetlink.c:genl_rcv_msg); the family explains each of its own.
func (c *Client) retry(ctx context.Context, fn func() error) error {
	err := fn()
	if k := (*Error)(nil); !errors.As(err, &k) || k.Errno != unix.ENOENT || k.Message != "" || k.Done {
		return err
	}
	changed, rerr := c.resolve(ctx)
	if rerr != nil {
		return rerr
	}
	if !changed {
		return err
	}
	return fn()
}
