// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// What happens to a dump that is not read to its end.

var closing = nldump.Config{Abandon: nldump.AbandonClose, BufferSize: nldump.MinBufferSize}

func TestAbandonCloses(t *testing.T) {
	overrun := script.Step{Err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}
	for name, leave := range map[string]func(*nldump.Stream){
		"break": func(s *nldump.Stream) {
			for range s.Records(t.Context(), request()) {
				break
			}
		},
		"panic": func(s *nldump.Stream) {
			defer func() { _ = recover() }()
			for range s.Records(t.Context(), request()) {
				panic("in the loop")
			}
		},
		"error": func(s *nldump.Stream) {
			if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) {
				t.Errorf("got %v, want ErrOverrun", err)
			}
		},
		"cancel": func(s *nldump.Stream) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range s.Records(ctx, request()) {
				cancel()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, k := dialScripts(t, closing, steps(script.Page(rec(0, 1), rec(0, 2)), overrun), steps(script.Page(rec(0, 3), done())))
			leave(s)
			if !slices.Equal(k.closed(), []bool{true}) || !s.Idle() {
				t.Fatalf("closed %v, idle %v", k.closed(), s.Idle())
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Drain(over); err != nil {
				t.Errorf("Drain of nothing: %v", err)
			}
			if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{3}) {
				t.Errorf("the next dump: %v, %v", got, err)
			}
			if err := s.Close(); err != nil || !slices.Equal(k.closed(), []bool{true, true}) {
				t.Errorf("Close: %v, closed %v", err, k.closed())
			}
		})
	}
}

// If the page at hand has the end of the dump, there is nothing to abandon.
func TestAbandonKeepsAFinishedDump(t *testing.T) {
	for _, how := range []nldump.Abandon{nldump.AbandonClose, nldump.AbandonDrain} {
		s, k := dialScripts(t, nldump.Config{Abandon: how}, steps(script.Page(rec(0, 1), done())))
		for range s.Records(t.Context(), request()) {
			break
		}
		if k.dialed[0].Closed() || !s.Idle() {
			t.Errorf("closed %v, idle %v", k.dialed[0].Closed(), s.Idle())
		}
	}
}

// TestCloseAfterAbandon closes a stream that has no socket.
func TestCloseAfterAbandon(t *testing.T) {
	s, k := dialScripts(t, closing, steps(script.Page(rec(0, 1))), steps(script.Page(done())))
	for range s.Records(t.Context(), request()) {
		break
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a dump after Close: %v", err)
	}
	for _, c := range k.closed() {
		if !c {
			t.Error("a socket stayed open")
		}
	}
}

// TestCloseWhileConnecting closes the stream while it opens another socket.
func TestCloseWhileConnecting(t *testing.T) {
	s, k := dialScripts(t, closing, steps(script.Page(rec(0, 1))), steps(script.Page(done())))
	for range s.Records(t.Context(), request()) {
		break
	}
	k.before = func() {
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) || !slices.Equal(k.closed(), []bool{true, true}) {
		t.Errorf("got %v, closed %v", err, k.closed())
	}
}

// The socket is closed only once.
func TestCloseInLoopThenLeave(t *testing.T) {
	s, _ := dialScripts(t, closing, steps(script.Page(rec(0, 1))))
	for range s.Records(t.Context(), request()) {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		break
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
}

func TestConnectFails(t *testing.T) {
	s, _ := dialScripts(t, closing, steps(script.Page(rec(0, 1))))
	for range s.Records(t.Context(), request()) {
		break
	}
	if _, err := read(t.Context(), s); !errors.Is(err, unix.EMFILE) || !s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}

func TestAbandonDrains(t *testing.T) {
	s, sock := script.Stream(nldump.Config{Abandon: nldump.AbandonDrain},
		script.Page(rec(0, 1)), script.Page(done()),
		script.Page(rec(0, 1)), script.Page(rec(0, 2)), script.Page(done()), script.Page(rec(0, 3), done()))
	func() {
		defer func() { _ = recover() }()
		for range s.Records(t.Context(), request()) {
			panic("in the loop")
		}
	}()
	for range s.Records(t.Context(), request()) {
		break
	}
	if !s.Idle() {
		t.Fatal("not drained")
	}
	if n := s.Stats().Records; n != 1 {
		t.Errorf("%d records counted, want the 1 delivered", n)
	}
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{3}) {
		t.Errorf("the next dump: %v, %v", got, err)
	}
	if sock.Closed() {
		t.Error("closed")
	}
}

// AbandonDrain does not drain after an error or after the end of the context,
// because more pages may never come.
func TestAbandonParks(t *testing.T) {
	cfg := nldump.Config{Abandon: nldump.AbandonDrain, BufferSize: nldump.MinBufferSize}
	s, _ := script.Stream(cfg, script.Page(rec(0, 1), script.Message(unix.NLMSG_OVERRUN, 0)), script.Step{Wait: true})
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) || s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
	s, _ = script.Stream(cfg, script.Page(rec(0, 1)), script.Step{Wait: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range s.Records(ctx, request()) {
		cancel()
		break
	}
	if s.Idle() {
		t.Error("idle, though the drain had no time")
	}
}

// The kernel has no memory for the first page. It has started the dump
// nevertheless, and the dump stays.
func TestMemoryOut(t *testing.T) {
	refusal := script.Page(script.Message(unix.NLMSG_ERROR, capped, script.Errno(unix.ENOBUFS), make([]byte, 16)))
	s, k := dialScripts(t, closing, steps(refusal), steps(script.Page(done())))
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) || !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("got %v", err)
	}
	if !k.dialed[0].Closed() {
		t.Error("the socket, which is busy for good, was kept")
	}
	s, _ = script.Stream(nldump.Config{}, refusal)
	if _, err := read(t.Context(), s); err == nil || s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}
