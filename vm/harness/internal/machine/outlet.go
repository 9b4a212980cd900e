// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// unreadAfter is how long a write lasts whose reader does not just take turns.
	unreadAfter = time.Second
	// readerPatience is how long a write may last once there is no time to lose.
	readerPatience = 10 * time.Second
)

// outlet is a writer that waits for its reader, like any other, but not for
// ever: after hurry was called it drops what nobody reads.
type outlet struct {
	to      io.Writer
	name    string
	began   atomic.Int64 // when the write that lasts began, in Unix nanoseconds; 0 if none does
	hurried chan struct{}
	once    sync.Once

	mu      sync.Mutex // a write is whole
	dropped bool
}

func NewOutlet(name string, to io.Writer) *outlet {
	return &outlet{to: to, name: name, hurried: make(chan struct{})}
}

func (o *outlet) Hurry() { o.once.Do(func() { close(o.hurried) }) }

// waits is how long the write has lasted that lasts now.
func (o *outlet) waits() time.Duration {
	if began := o.began.Load(); began != 0 {
		return time.Since(time.Unix(0, began))
	}
	return 0
}

func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped {
		return len(p), nil
	}
	o.began.Store(time.Now().UnixNano())
	defer o.began.Store(0)
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	mine := bytes.Clone(p) // the write may last longer than the call
	go func() {
		n, err := o.to.Write(mine)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-o.hurried:
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-time.After(readerPatience - o.waits()):
		o.dropped = true
		return len(p), nil
	}
}

// both writes to two writers, each whatever becomes of the other.
type both struct{ a, b io.Writer }

func (w both) Write(p []byte) (int, error) {
	_, errA := w.a.Write(p)
	_, errB := w.b.Write(p)
	return len(p), errors.Join(errA, errB)
}

// leaving is a writer whose reader may go away. That is no error, but told.
type leaving struct {
	io.Writer
	name string
	left chan<- string
	gone bool
}

func (w *leaving) Write(p []byte) (int, error) {
	if w.gone {
		return len(p), nil
	}
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.gone = true
		w.left <- w.name
		return len(p), nil
	}
	return n, err
}
