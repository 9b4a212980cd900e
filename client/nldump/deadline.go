// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"time"
)

// A deadline wakes a reader that waits for a page: when its context is done, and
// when it has waited too long. Nothing else sets the socket's read deadline.
type deadline struct {
	ctx   context.Context
	sock  Socket
	limit time.Duration // the longest wait for a page; 0 is for ever
	over  time.Time     // when the wait is too long, if there is a limit

	forget func() (pending bool) // ends the watch over the context
	woken  chan struct{}         // closed when the context has woken the reader
}

// watch returns a deadline that holds until its stop.
func watch(ctx context.Context, sock Socket, limit time.Duration) *deadline {
	d := &deadline{ctx: ctx, sock: sock, limit: limit, woken: make(chan struct{})}
	d.forget = context.AfterFunc(ctx, func() {
		defer close(d.woken)
		_ = sock.SetReadDeadline(time.Unix(1, 0)) // fails only if closed, which wakes the reader too
	})
	return d
}

// stop leaves the socket without a deadline.
func (d *deadline) stop() {
	if !d.forget() {
		<-d.woken
	} else if d.limit == 0 {
		return // there was none
	}
	_ = d.sock.SetReadDeadline(time.Time{})
}

// begin begins a wait.
func (d *deadline) begin() error { return d.wait(d.limit) }

// outside calls a function of the reader's, whose time is no wait.
func (d *deadline) outside(f func()) error {
	left := time.Until(d.over)
	f()
	return d.wait(left)
}

func (d *deadline) wait(left time.Duration) error {
	if d.limit == 0 {
		return nil
	}
	d.over = time.Now().Add(left)
	// This may overwrite the deadline of a context that is done, so whoever
	// waits looks at the context after it.
	return d.sock.SetReadDeadline(d.over)
}
