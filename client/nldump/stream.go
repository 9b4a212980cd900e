// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"time"

	"github.com/mdlayher/netlink"
)

// A Stream reads dumps from one socket, one after the other, through one
// buffer.
type Stream struct {
	sock Socket
	cfg  Config
	buf  []byte
	seed maphash.Seed

	open      bool // the kernel has, or may have, a dump of ours that is not read to its end
	seq, port uint32
	stats     Stats

	lastPage uint64 // hash of the page before
	repeats  int    // how often it came again
}

// Dial opens a socket of the netlink family (unix.NETLINK_ROUTE,
// unix.NETLINK_GENERIC, …) and returns a Stream on it.
func Dial(family int, cfg Config) (*Stream, error) {
	if _, err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	c, err := netlink.Dial(family, &netlink.Config{NetNS: cfg.NetNS})
	if err != nil {
		return nil, fmt.Errorf("nldump: %w", err)
	}
	sock, err := Open(c)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return New(sock, cfg)
}

// New returns a Stream that reads from sock, which it owns from now on.
func New(sock Socket, cfg Config) (*Stream, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Stream{sock: sock, cfg: cfg, buf: make([]byte, cfg.BufferSize), seed: maphash.MakeSeed()}, nil
}

// Close closes the socket. If a dump is open, the kernel abandons it and frees
// what it holds. A Records loop that waits for the kernel ends with an error.
func (s *Stream) Close() error { return s.sock.Close() }

// Config returns the configuration, defaults filled in.
func (s *Stream) Config() Config { return s.cfg }

// Stats returns the figures of the last dump, or of the one that runs.
func (s *Stream) Stats() Stats { return s.stats }

// Idle tells whether the socket can take a new dump: there was none yet, or
// the last one was read to its end.
func (s *Stream) Idle() bool { return !s.open }

// Records sends req as a dump request (NLM_F_REQUEST and NLM_F_DUMP are added,
// sequence and port id filled in) and yields the messages of the dump. A
// Message is valid until the next iteration. An error is yielded once and ends
// the loop; ErrInterrupted comes after all records. If the last dump was not
// read to its end, the only thing yielded is ErrBusy.
func (s *Stream) Records(ctx context.Context, req netlink.Message) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		err := s.start(ctx, req)
		if err == nil {
			stop := s.watch(ctx)
			defer stop()
			err = s.each(ctx, func(m Message) bool { return yield(m, nil) })
		}
		if err != nil {
			yield(Message{}, err)
		}
	}
}

// Drain reads an open dump to its end and drops what comes. It returns an
// error only if the end was not reached; then Close is all that is left.
func (s *Stream) Drain(ctx context.Context) error {
	stop := s.watch(ctx)
	defer stop()
	if err := s.each(ctx, func(Message) bool { return true }); s.open {
		return err
	}
	return nil
}

// start sends the request. The kernel builds the first page in it
// (af_netlink.c:__netlink_dump_start), and reports a refusal as a message.
func (s *Stream) start(ctx context.Context, req netlink.Message) error {
	if s.open {
		return ErrBusy
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	req.Header.Flags |= netlink.Request | netlink.Dump
	req.Header.Length, req.Header.Sequence, req.Header.PID = 0, 0, 0
	sent, err := s.sock.Send(req)
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	s.open = true
	s.seq, s.port = sent.Header.Sequence, sent.Header.PID
	s.stats = Stats{}
	s.lastPage, s.repeats = 0, 0
	return nil
}

// watch makes Recv give up when ctx is done. The function that it returns ends
// that, and leaves the socket without a deadline.
func (s *Stream) watch(ctx context.Context) (stop func()) {
	ran := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ran)
		_ = s.sock.SetReadDeadline(time.Unix(1, 0)) // fails only if closed, which ends Recv too
	})
	return func() {
		if !cancel() {
			<-ran
			_ = s.sock.SetReadDeadline(time.Time{})
		}
	}
}
