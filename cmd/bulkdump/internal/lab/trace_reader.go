// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/internal/term"
)

// loopKernel is what Trace needs besides the table.
type loopKernel interface {
	netns() (uint32, error) // the number of the network namespace
	collect(name string) (collector, error)
	open(ReaderOptions) (loopSocket, error)
	now() uint64 // CLOCK_MONOTONIC in microseconds
}

// A loopSocket is a socket whose state can be seen.
type loopSocket interface {
	nldump.Socket
	family() uint16               // the family's number
	peek(buf []byte) (int, error) // Recv that takes nothing away
	rmem() (uint32, error)        // memory of what waits
}

// A watcher is a reader that notes each of its system calls. It sits between a
// Stream and its socket.
type watcher struct {
	loopSocket
	ctx     context.Context
	kernel  loopKernel
	options ReaderOptions
	change  func(reads int) error // before a read; nil for nothing
	nr      int
	self    loop.Reader
	calls   []loop.Call
	reads   int
}

// run dumps the table in a thread of its own, by which the kernel's events are told
// apart.
func (w *watcher) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.self.TID = unix.Gettid()
	body, err := w.options.Dump.Request()
	if err != nil {
		return err
	}
	s, err := nldump.New(w, nldump.Config{BufferSize: w.options.Dump.BufferSize})
	if err != nil {
		return err
	}
	req := nldump.Message{Type: w.family(), Data: body}
	for m, err := range s.Records(w.ctx, req) {
		switch {
		case errors.Is(err, nldump.ErrInterrupted):
			if !slices.ContainsFunc(w.calls, func(c loop.Call) bool { return c.Interrupted }) {
				w.last().Interrupted = true // not on a record, so on DONE
			}
			return nil
		case err != nil:
			return fmt.Errorf("reader %s: %w", w.self.Name, err)
		case m.Flags&unix.NLM_F_DUMP_INTR != 0:
			w.last().Interrupted = true
		}
	}
	return nil
}

// last is the read that brought what the stream yields.
func (w *watcher) last() *loop.Call { return &w.calls[len(w.calls)-1] }

// Send notes the request.
func (w *watcher) Send(m nldump.Message) (sent nldump.Message, err error) {
	err = w.call(loop.Send, func() (int, error) {
		sent, err = w.loopSocket.Send(m)
		return 0, err
	})
	w.self.PortID, w.self.Seq = sent.PortID, sent.Seq
	return sent, err
}

// Recv peeks, if the options say so, and reads. Before each, time passes.
func (w *watcher) Recv(buf []byte) (d nldump.Datagram, err error) {
	if w.options.Peek {
		if err := w.doSomethingElse(); err != nil {
			return d, err
		}
		err := w.call(loop.Peek, func() (int, error) { return w.peek(buf) })
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return d, err
		}
	}
	for {
		if err := w.doSomethingElse(); err != nil {
			return d, err
		}
		err := w.call(loop.Read, func() (int, error) {
			d, err = w.loopSocket.Recv(buf)
			return d.Len, err
		})
		// Nothing is lost: the page that found no room was not built. It will be
		// when what waits has been read (af_netlink.c:netlink_dump).
		if errors.Is(err, unix.ENOBUFS) && w.last().RMem > 0 {
			continue
		}
		w.reads++
		return d, err
	}
}

// doSomethingElse lets the delay pass. In the middle of it, the table may change.
func (w *watcher) doSomethingElse() error {
	if err := w.pause(); err != nil {
		return err
	}
	if w.change != nil {
		if err := w.change(w.reads); err != nil {
			return err
		}
	}
	return w.pause()
}

// pause lets half of the delay pass.
func (w *watcher) pause() error {
	if w.options.Delay == 0 {
		return nil
	}
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-time.After(w.options.Delay / 2):
		return nil
	}
}

// call notes one system call.
func (w *watcher) call(what string, fn func() (int, error)) error {
	c := loop.Call{Reader: w.nr, What: what, From: w.kernel.now()}
	n, err := fn()
	c.To, c.Bytes = w.kernel.now(), n
	if err != nil {
		c.Error = term.Visible(err.Error())
		if errno := unix.Errno(0); errors.As(err, &errno) {
			c.Error = unix.ErrnoName(errno)
		}
	}
	rmem, rmemErr := w.rmem()
	c.RMem = rmem
	w.calls = append(w.calls, c)
	return errors.Join(err, rmemErr)
}
