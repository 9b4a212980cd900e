// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Stream reads dumps from one socket, one after the other. It is for one
// goroutine at a time; only Close may be called from any.
type Stream struct {
	dial func() (Socket, error) // nil if the socket came from the caller
	cfg  Config
	size int    // of a page; grows with what did not fit
	own  buffer // for pages that are lent
	seed maphash.Seed

	mu     sync.Mutex // guards what Close looks at
	sock   Socket     // nil until the next dump opens another
	closed bool

	running   bool // a loop is
	open      bool // the kernel has, or may have, a dump of ours that is not read to its end
	seq, port uint32
	stats     Stats

	lastPage  uint64 // hash of the page before: its length and its ends
	lastWhole uint64 // of all of it; 0 if it was not looked at
	repeats   int    // how often it came again

	key, newKey []byte // of the last record, and of the one at hand
	keyed       bool   // key is that of a record
}

// Dial opens a socket of the netlink family (unix.NETLINK_ROUTE,
// unix.NETLINK_GENERIC, …) and returns a Stream on it. The error is an
// os.ErrPermission if that namespace, or that receive buffer, is not for the
// caller.
func Dial(family int, cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return dialStream(func() (Socket, error) { return dialSocket(family, cfg) }, cfg)
}

// dialStream returns a stream that opens its sockets with dial.
func dialStream(dial func() (Socket, error), cfg Config) (*Stream, error) {
	sock, err := dial()
	if err != nil {
		return nil, err
	}
	s := newStream(sock, cfg)
	s.dial = dial
	return s, nil
}

// New returns a Stream that reads from sock, which it owns from now on. Of
// Config it uses what is about reading; what is about sockets is the caller's,
// so AbandonClose is refused: there would be no way to open another.
func New(sock Socket, cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Abandon == AbandonClose {
		return nil, errors.New("nldump: AbandonClose is for streams of Dial")
	}
	return newStream(sock, cfg), nil
}

func newStream(sock Socket, cfg Config) *Stream {
	return &Stream{sock: sock, cfg: cfg, size: cfg.BufferSize, seed: maphash.MakeSeed()}
}

// Close closes the socket. If a dump is open, the kernel abandons it and frees
// what it holds. A loop that waits for the kernel ends with os.ErrClosed.
// Closing again is an error.
func (s *Stream) Close() error {
	s.mu.Lock()
	again := s.closed
	sock := s.sock
	s.closed = true
	s.mu.Unlock()
	switch {
	case sock != nil:
		return sock.Close()
	case again:
		return os.ErrClosed
	}
	return nil
}

// Config returns the configuration, defaults filled in.
func (s *Stream) Config() Config { return s.cfg }

// Stats returns the figures of the last dump, or of the one that runs.
func (s *Stream) Stats() Stats { return s.stats }

// Idle tells whether the stream can take a new dump: there was none yet, or
// the last one's loop is over, and it was read to its end, or its socket was
// closed under it (AbandonClose).
func (s *Stream) Idle() bool { return !s.open && !s.running }

// Records sends req as a dump request (NLM_F_REQUEST and NLM_F_DUMP are added,
// sequence and port id filled in) and yields the messages of the dump. A
// Message is valid until the next iteration. An error is yielded once and ends
// the loop; ErrInterrupted comes after all records. If the last dump was not
// read to its end, or its loop is still running, the only thing yielded is
// ErrBusy.
func (s *Stream) Records(ctx context.Context, req Message) iter.Seq2[Message, error] {
	return s.Dump(ctx, Dump{Request: req})
}

// Drain reads an open dump to its end and drops what comes. It returns an
// error only if the end was not reached; then Close is all that is left. In the
// loop that reads the dump it is ErrBusy.
func (s *Stream) Drain(ctx context.Context) error {
	if s.running {
		return ErrBusy
	}
	return s.drain(ctx)
}

func (s *Stream) drain(ctx context.Context) error {
	if !s.open {
		return nil
	}
	stop := s.watch(ctx)
	defer stop()
	for s.open {
		p, err := s.receive(ctx, s.own.grow(s.size))
		if err == nil {
			_, _, err = s.check(p, nil)
		}
		if err != nil && s.open {
			return err
		}
	}
	return nil
}

// start sends the request. The kernel builds the first page in it
// (af_netlink.c:__netlink_dump_start), and reports a refusal as a message.
func (s *Stream) start(ctx context.Context, req Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	req.Flags |= unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	sent, err := s.sock.Send(req)
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	s.open = true
	s.seq, s.port = sent.Seq, sent.PortID
	s.lastPage, s.lastWhole, s.repeats = 0, 0, 0
	return nil
}

// connect opens a socket if there is none.
func (s *Stream) connect() error {
	if s.sock != nil {
		return nil
	}
	sock, err := s.dial()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = sock.Close()
		return fmt.Errorf("nldump: %w", os.ErrClosed)
	}
	s.sock = sock
	return nil
}

// disconnect closes the socket, and with it the dump, if another can be opened
// in its place.
func (s *Stream) disconnect() bool {
	if s.dial == nil {
		return false
	}
	s.mu.Lock()
	sock := s.sock
	s.sock = nil
	s.mu.Unlock()
	_ = sock.Close() // fails only if Close did so before
	s.open = false
	return true
}

// release frees the stream of an open dump, at the least cost.
func (s *Stream) release(ctx context.Context) error {
	if !s.open || s.disconnect() {
		return nil
	}
	return s.drain(ctx)
}

// watch makes Recv give up when ctx is done. The function that it returns ends
// that, and leaves the socket without a deadline.
func (s *Stream) watch(ctx context.Context) (stop func()) {
	sock := s.sock
	ran := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ran)
		_ = sock.SetReadDeadline(time.Unix(1, 0)) // fails only if closed, which ends Recv too
	})
	return func() {
		if !cancel() {
			<-ran
		} else if s.cfg.StallTimeout == 0 {
			return
		}
		_ = sock.SetReadDeadline(time.Time{})
	}
}
