// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// ErrOverrun is [nldump.ErrOverrun]: events were lost, because they came faster
// than they were read.
var ErrOverrun = nldump.ErrOverrun

// WatchOptions says how events are received. The zero value is good.
type WatchOptions struct {
	// ReceiveBuffer is the size of the socket's receive queue in bytes, for
	// the events that come while none is read: nldump.Config.ReceiveBuffer. An
	// event takes about 1 KiB of it, and its payload. 0 means the system's
	// default.
	ReceiveBuffer int
}

// Watch yields the changes of the table as they come, from the loop's start
// on. ErrOverrun says that events were lost there, and the loop may go on; see
// Watcher.Events. Any other error ends it: that of the context, ErrNoFamily
// when the module is unloaded, ErrClosed.
//
// For a subscription that stands before something else is done, see OpenWatch.
func (c *Client) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w, err := c.OpenWatch(ctx, o)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer w.Close()
		w.Events(ctx)(yield)
	}
}

// A Watcher is a subscription to the table's changes. It is for one goroutine
// at a time; only Close may be called from any.
type Watcher struct {
	c      *Client
	sock   nldump.PollSocket
	buf    []byte
	rest   []byte // of the last datagram
	family uint16
	lost   bool // the kernel said ENOBUFS, and may drop events until the queue was empty
	err    error
}

// OpenWatch subscribes, on a socket of its own. Each change that is made after
// it returns comes as an event, and what a dump says that is started then is
// not older.
func (c *Client) OpenWatch(ctx context.Context, o WatchOptions) (*Watcher, error) {
	sock, family, err := c.subscribe(ctx, o.ReceiveBuffer)
	if err != nil {
		return nil, err
	}
	w := &Watcher{c: c, sock: sock, family: family, buf: make([]byte, nldump.DefaultBufferSize)}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.watchers[w] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = sock.Close()
		return nil, ErrClosed
	}
	return w, nil
}

// Close ends the subscription. A loop over Events ends with ErrClosed. Closing
// again does nothing.
func (w *Watcher) Close() error {
	w.c.mu.Lock()
	_, open := w.c.watchers[w]
	delete(w.c.watchers, w)
	w.c.mu.Unlock()
	if !open {
		return nil
	}
	return w.sock.Close()
}

// Reloaded tells whether the client has found out, by a request or a dump, that
// the module was loaded again since the subscription: these are the events of
// another table. It may be called from any goroutine.
func (w *Watcher) Reloaded() bool { return w.c.family.Load() != uint32(w.family) }

// Events yields the events in the order of their generations. Without a loss
// none is left out; a fill that the kernel had to undo leaves a gap in the
// generations all the same.
//
// When the receive queue overflows, those that are in it are yielded, then
// ErrOverrun once. The loop may go on: each change that is made after the error
// was yielded comes as an event again, or is lost to another ErrOverrun. So a
// dump with Since that is started after it, from the last generation before it,
// tells what is missing.
//
// Any other error ends the loop, and all later ones too, but for that of the
// context: another loop with another context goes on where this one left. So
// does one that comes after a break.
func (w *Watcher) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer w.watch(ctx)()
		for {
			e, err := w.next(ctx)
			if !yield(e, err) || err != nil && !errors.Is(err, ErrOverrun) {
				return
			}
		}
	}
}

// watch makes Recv give up when ctx is done, until stop is called.
func (w *Watcher) watch(ctx context.Context) (stop func()) {
	ran := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ran)
		_ = w.sock.SetReadDeadline(time.Unix(1, 0)) // fails only if closed, which ends Recv too
	})
	return func() {
		if !cancel() {
			<-ran
			_ = w.sock.SetReadDeadline(time.Time{})
		}
	}
}

// next waits for the next event. An error other than ErrOverrun and that of the
// context stays.
func (w *Watcher) next(ctx context.Context) (Event, error) {
	for w.err == nil {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		if len(w.rest) == 0 {
			if err := w.receive(ctx); err != nil {
				return Event{}, err
			}
			continue
		}
		m, rest, err := nldump.NextMessage(w.rest)
		w.rest = rest
		if err != nil {
			w.err = err
			break
		}
		e, err := w.decode(m)
		if err != nil {
			w.err = err
			break
		}
		if e.Kind != 0 {
			return e, nil
		}
	}
	return Event{}, w.err
}

func (w *Watcher) decode(m nldump.Message) (Event, error) {
	switch {
	case m.Type == unix.GENL_ID_CTRL && isFarewell(m.Data, w.family):
		return Event{}, ErrNoFamily
	case m.Type == w.family:
		return decodeEvent(m.Data)
	}
	return Event{}, nil
}

// receive reads the next datagram of the kernel's.
//
// After ENOBUFS the kernel adds nothing to the queue until it was read empty,
// and says nothing more of what it drops until then (af_netlink.c:
// netlink_overrun, netlink_rcv_wake). So the loss is told when the queue is
// empty, or when it overflowed anew, which it cannot but after it was.
func (w *Watcher) receive(ctx context.Context) error {
	recv := w.sock.Recv
	if w.lost {
		recv = w.sock.Poll
	}
	d, err := recv(w.buf)
	switch cause := ctx.Err(); {
	case cause != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return cause
	case errors.Is(err, unix.EAGAIN):
		w.lost = false
		return ErrOverrun
	case errors.Is(err, unix.ENOBUFS):
		again := w.lost
		w.lost = true
		if again {
			return ErrOverrun
		}
	case errors.Is(err, os.ErrClosed):
		w.err = ErrClosed
	case err != nil:
		w.err = fmt.Errorf("events: %w", err)
	case d.From != 0: // not the kernel
	case d.Len > len(w.buf):
		w.err = fmt.Errorf("events: %w", &nldump.TruncatedError{Size: d.Len, Buffer: len(w.buf)})
	default:
		w.rest = w.buf[:d.Len]
	}
	return nil
}
