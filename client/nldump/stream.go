// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"sync"
)

// A Stream reads dumps from one socket, one after the other. It is for one
// goroutine at a time; only Close may be called from any.
type Stream struct {
	dial func() (Socket, error) // nil if the socket came from the caller
	cfg  Config
	size int    // of a page; grows with what did not fit
	own  buffer // for pages that are lent

	mu     sync.Mutex // guards what Close looks at
	sock   Socket     // nil until the next dump opens another
	closed bool

	running  bool // a loop is
	open     bool // the kernel has, or may have, more of the last dump
	deadline *deadline
	dump     Dump // the one that runs, or ran last
	stats    Stats

	// What check and receive know of the open dump.
	seq, port uint32
	asked     bool   // the socket has had a request
	second    bool   // it has had two
	before    uint32 // if so, the sequence number of the one before
	begun     bool   // a record has come
	single    bool   // of a Do: a message without NLM_F_MULTI has come
	done      bool   // the end has come, and what is in the queue is read
	lost      error  // why the end may be lost: a page was cut or malformed, or had no room

	progress    progress
	key, newKey []byte // of the last record, and of the one at hand
	keyed       bool   // key is that of a record
	generation  uint64 // of the last record, by Dump.Generation
	dated       bool   // there was one
}

// Dial opens a socket of the netlink family (unix.NETLINK_ROUTE,
// unix.NETLINK_GENERIC, …) and returns a Stream on it. The error is an
// os.ErrPermission if the caller may not enter Config.NetNS or set so large a
// Config.ReceiveBuffer.
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

// New returns a Stream that reads from sock and owns it from then on. It uses
// those parts of Config that are about reading; the socket is as the caller made
// it. AbandonClose is refused, because the Stream cannot open another socket.
// After an error, sock is still the caller's.
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
	return &Stream{sock: sock, cfg: cfg, size: max(cfg.BufferSize, goodSize(os.Getpagesize())), progress: progress{seed: maphash.MakeSeed()}}
}

// Close closes the socket. If a dump is open, the kernel abandons it and frees its
// memory. A loop that waits for the kernel ends with os.ErrClosed, and so does each
// later one. Closing a Stream again is an os.ErrClosed.
func (s *Stream) Close() error {
	s.mu.Lock()
	again := s.closed
	sock := s.sock
	s.closed = true
	s.mu.Unlock()
	switch {
	case again:
		return os.ErrClosed
	case sock == nil:
		return nil
	}
	return sock.Close()
}

func (s *Stream) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Config returns the configuration, with the defaults filled in.
func (s *Stream) Config() Config { return s.cfg }

// Stats returns the figures of the dump that runs, or of the last one.
func (s *Stream) Stats() Stats { return s.stats }

// Idle tells whether the stream can take a new dump: it is not closed, and it had no
// dump yet, or the loop of the last one is over, and either the dump was read to its
// end or its socket was closed (AbandonClose).
func (s *Stream) Idle() bool { return !s.open && !s.running && !s.isClosed() }

var errClosed = fmt.Errorf("nldump: %w", os.ErrClosed)

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
		return errClosed
	}
	s.sock, s.asked = sock, false
	return nil
}

// disconnect closes the socket, and its dump with it, if the stream can open
// another one.
func (s *Stream) disconnect() bool {
	if s.dial == nil {
		return false
	}
	s.mu.Lock()
	sock := s.sock
	s.sock = nil
	s.mu.Unlock()
	_ = sock.Close() // fails only if Close was here before
	s.open = false
	return true
}
