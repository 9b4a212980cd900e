// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/sockets"
	"bulkdump/client/nldump"
)

// Config says how to connect a Client. The zero value is usable.
type Config struct {
	// NetNS is a file descriptor of the network namespace that has the table;
	// 0 means the caller's namespace. It must stay open as long as the Client,
	// which opens sockets when it needs them. Entering another namespace needs
	// CAP_SYS_ADMIN.
	NetNS int
}

// A Client talks to the bulkdump family of one network namespace. Several
// goroutines may call its methods at once.
type Client struct {
	sockets sockets.Dialer

	family atomic.Uint32 // the family's number; it changes when the module is loaded again

	// turn holds one token, which a request takes until it has its reply. It is
	// a channel because the wait for it must end with the context.
	turn chan struct{}
	req  *genetlink.Conn // guarded by turn; nil if a late reply may come to the last one

	ended chan struct{} // closed with the client

	mu     sync.Mutex // guards what follows; never held while waiting
	closed bool
	open   map[io.Closer]struct{} // dumps' and Watchers' sockets
	idle   []*nldump.Stream       // those of them that no dump uses
}

// Dial connects to the family. If the kernel does not have it, the error is
// ErrNoFamily.
func Dial(cfg Config) (*Client, error) {
	return dial(sockets.Dialer{
		Requests: func() (*genetlink.Conn, error) {
			// Strict is NETLINK_EXT_ACK and NETLINK_GET_STRICT_CHK. Without
			// NETLINK_CAP_ACK: the library expects the request in an
			// acknowledgement (message.go:checkMessage).
			return genetlink.Dial(&netlink.Config{NetNS: cfg.NetNS, Strict: true})
		},
		Dump: func(c nldump.Config) (*nldump.Stream, error) {
			c.NetNS = cfg.NetNS
			return nldump.Dial(unix.NETLINK_GENERIC, c)
		},
		Events: func(size int, groups ...uint32) (nldump.PollSocket, error) {
			return joinGroups(cfg.NetNS, size, groups)
		},
	})
}

// For the tests of packages that use a Client.
func init() {
	sockets.Dial = func(d sockets.Dialer) (any, error) { return dial(d) }
}

func dial(d sockets.Dialer) (*Client, error) {
	c := &Client{
		sockets: d,
		turn:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
		open:    make(map[io.Closer]struct{}),
	}
	if err := c.resolve(context.Background()); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes all sockets. Running requests and dumps, and Watchers, end with
// ErrClosed. Close does not wait for a request that the kernel is working on: a
// fill continues and makes its entries, unless the process dies. It does wait for
// a request whose context cannot end, and for a page that the kernel is building.
// Closing again does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	open := c.open
	c.open, c.idle, c.closed = nil, nil, true
	close(c.ended)
	c.mu.Unlock()

	var errs []error
	for s := range open {
		errs = append(errs, s.Close())
	}
	c.turn <- struct{}{} // comes when the request that holds it has ended
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

// resolve asks the kernel for the family's number.
func (c *Client) resolve(ctx context.Context) error {
	f, err := c.getFamily(ctx)
	if err == nil {
		c.family.Store(uint32(f.ID))
	}
	return err
}

func (c *Client) getFamily(ctx context.Context) (genetlink.Family, error) {
	f, err := ask(ctx, c, func(conn *genetlink.Conn) (genetlink.Family, error) {
		return conn.GetFamily(FamilyName)
	})
	if errors.Is(err, os.ErrNotExist) {
		return f, ErrNoFamily
	}
	if err != nil {
		return f, fmt.Errorf("family %s: %w", FamilyName, err)
	}
	return f, nil
}

// retry runs fn, and runs it again if it failed because the module was loaded
// again and the family has another number now. The kernel refuses an unknown
// number with a bare ENOENT (genetlink.c:genl_rcv_msg); the family explains each
// ENOENT of its own.
func (c *Client) retry(ctx context.Context, fn func() error) error {
	for {
		family := c.family.Load()
		err := fn()
		if k := (*Error)(nil); !errors.As(err, &k) || k.Errno != unix.ENOENT || k.Message != "" || k.Done {
			return err
		}
		if err := c.resolve(ctx); err != nil {
			return err
		}
		// Another caller may have resolved the new number, so this compares with
		// the number that fn had.
		if c.family.Load() == family {
			return err
		}
	}
}

// idleMax is how many sockets are kept for later dumps.
const idleMax = 4

// acquire returns an idle stream, or a new one. Its buffer has exactly the size
// asked for: the kernel remembers the largest buffer that a socket was read with
// (nlk->max_recvmsg_len) and makes pages of that size, which a smaller buffer
// would truncate. A stream with a pool is always new, and is not kept.
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
	return s, c.adopt(s)
}

// adopt has Close close the socket. If the client is closed already, adopt closes
// it.
func (c *Client) adopt(s io.Closer) error {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.open[s] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = s.Close()
		return ErrClosed
	}
	return nil
}

// closeSocket closes a socket, unless that was done before.
func (c *Client) closeSocket(s io.Closer) error {
	c.mu.Lock()
	_, open := c.open[s]
	delete(c.open, s)
	c.mu.Unlock()
	if !open {
		return nil
	}
	return s.Close()
}

// takeIdle returns an idle stream with a buffer of the size, or nil.
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
	return s, nil
}

// release takes a stream back. It closes a stream whose dump was not read to its
// end, and the kernel ends that dump (af_netlink.c:netlink_release).
func (c *Client) release(s *nldump.Stream) {
	surplus := s
	c.mu.Lock()
	if s.Idle() && !c.closed && s.Config().Pool == nil {
		c.idle = append(c.idle, s)
		surplus = nil
		if len(c.idle) > idleMax {
			surplus = c.idle[0]
			c.idle = slices.Delete(c.idle, 0, 1)
		}
	}
	c.mu.Unlock()
	if surplus != nil {
		_ = c.closeSocket(surplus)
	}
}
