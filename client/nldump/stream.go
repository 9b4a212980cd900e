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
	dump      Dump // the one that runs, or ran last
	seq, port uint32
	before    uint32 // the sequence number of the request before
	begun     bool   // a record of the open dump has come
	stats     Stats

	// lost is why the open dump's end may have gone by unseen: a page was cut,
	// or could not be walked, or had no room. See receive.
	lost error
	// done: the end has come, and what is in the queue is read; single: of a Do, a
	// message without NLM_F_MULTI.
	done, single bool

	lastPage  uint64    // hash of the page before: its length and its ends
	lastWhole uint64    // of all of it; 0 if it was not looked at
	repeated  int       // records that came again since
	stalled   time.Time // when the wait for a page ends; of no use without a timeout
	empty     int       // pages in a row without a byte

	key, newKey []byte // of the last record, and of the one at hand
	keyed       bool   // key is that of a record
	generation  uint64 // of the last record, by Dump.Generation
	dated       bool   // there was one
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
// so AbandonClose is refused: there would be no way to open another. After an
// error, sock is still the caller's.
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

// Records sends req as a dump request (NLM_F_REQUEST, NLM_F_DUMP and NLM_F_ACK
// are added, sequence and port id filled in) and yields the messages of the dump. A
// Message is valid until the next iteration. An error is yielded once and ends
// the loop; ErrInterrupted comes after all records. If the last dump was not
// read to its end, or its loop is still running, the only thing yielded is
// ErrBusy.
func (s *Stream) Records(ctx context.Context, req Message) iter.Seq2[Message, error] {
	return s.Dump(ctx, Dump{Request: req})
}

// Do sends a request that is no dump and yields the messages that answer it,
// however many there are, to the kernel's acknowledgement. A refusal is a
// [KernelError]. It is Dump with a Dump.Do. A loop that is left before its end
// leaves the rest of the answer, the acknowledgement at least: see Early end.
func (s *Stream) Do(ctx context.Context, req Message) iter.Seq2[Message, error] {
	return s.Dump(ctx, Dump{Request: req, Do: true})
}

// Drain reads an open dump to its end and drops what comes. It returns an
// error only if the end was not reached; then Close is all that is left. In the
// loop that reads the dump it is ErrBusy.
//
// Drain does not wait for an end that went by in a page that was cut
// ([ErrTruncated]) or malformed: the kernel builds a page when the one before is
// read, so if none is there, the dump is over. A Socket that is no [PollSocket]
// cannot tell, so there Drain is an error at once. After an [ErrOverrun] it reads
// all that waits, also what is behind the end.
func (s *Stream) Drain(ctx context.Context) error {
	if s.running {
		return fmt.Errorf("%w: its loop is still running", ErrBusy)
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
		if _, ok := s.sock.(PollSocket); s.lost != nil && (!ok || s.dump.NoAck) {
			return fmt.Errorf("nldump: the dump's end may be lost: close the stream: %w", s.lost)
		}
		p, err := s.receive(ctx, s.own.grow(s.size))
		records := 0
		if err == nil {
			_, records, err = s.check(p, false)
		}
		if s.open && (err == nil || errors.Is(err, ErrMalformed)) {
			err = s.checkProgress(p, records)
		}
		if s.open && err != nil && !errors.Is(err, ErrTruncated) {
			return err
		}
	}
	return nil
}

// start sends the request. The kernel builds the first page in it
// (af_netlink.c:__netlink_dump_start), and reports a refusal as a message.
func (s *Stream) start(ctx context.Context, req Message, buffer func() ([]byte, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	if err := s.prime(ctx, buffer); err != nil {
		return err
	}
	req.Flags |= unix.NLM_F_REQUEST
	if !s.dump.Do {
		req.Flags |= unix.NLM_F_DUMP
	}
	if !s.dump.NoAck {
		req.Flags |= unix.NLM_F_ACK
	}
	sent, err := s.sock.Send(req)
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	s.open, s.lost, s.done, s.single = true, nil, false, false
	s.before, s.seq, s.port, s.begun = s.seq, sent.Seq, sent.PortID, false
	s.lastPage, s.empty = 0, 0
	return nil
}

// prime reads something into the page buffer before the socket's first dump.
// The kernel makes pages as large as the largest buffer that the socket was
// read with (af_netlink.c:netlink_recvmsg), so without it the first page is one
// of NLMSG_GOODSIZE, and a first record that does not fit in there ends some
// dumps of rtnetlink's as if they were whole.
//
// What is read is the acknowledgement of a request that does nothing. It is
// there when Send returns, so nothing waits. A protocol that does not answer
// has no dumps. Answers to what others asked on the socket before are dropped.
func (s *Stream) prime(ctx context.Context, buffer func() ([]byte, error)) error {
	c, ok := s.sock.(*conn)
	if !ok || c.primed {
		return nil
	}
	buf, err := buffer()
	if err != nil {
		return err
	}
	sent, err := c.Send(Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK})
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	if err := s.stallIn(ctx, s.cfg.StallTimeout); err != nil {
		return err
	}
	for !c.primed {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := c.Poll(buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			c.primed = true
		case err != nil:
			return s.receiveError(ctx, err)
		case d.foreign():
			if err := s.takeForeign(ctx, d, buf); err != nil {
				return err
			}
		default:
			m, _, err := NextMessage(buf[:min(d.Len, len(buf))])
			c.primed = err == nil && m.Seq == sent.Seq
		}
	}
	return ctx.Err()
}

var errClosed = fmt.Errorf("nldump: %w", os.ErrClosed)

// connect opens a socket if there is none.
func (s *Stream) connect() error {
	if s.sock != nil {
		return nil
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	sock, err := s.dial()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = sock.Close()
		return errClosed
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
