// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Dumps that are left early.

func TestBreak(t *testing.T) {
	s, sock := script.Stream(nldump.Config{},
		script.Page(rec(0, 1), rec(0, 2)), script.Page(rec(0, 3)), script.Page(done()), // left after 1
		script.Page(rec(0, 4), done())) // the next dump
	for m := range s.Records(t.Context(), request()) {
		if m.Data[0] != 1 {
			t.Errorf("record %d", m.Data[0])
		}
		break
	}
	if s.Idle() {
		t.Error("idle before the dump's end")
	}
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if n := len(sock.Sent()); n != 1 {
		t.Errorf("%d requests sent, want 1: none while busy", n)
	}
	if err := s.Drain(t.Context()); err != nil || !s.Idle() {
		t.Fatalf("Drain: %v, idle %v", err, s.Idle())
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("Drain of an idle stream: %v", err)
	}
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{4}) {
		t.Errorf("after Drain: %v, %v", got, err)
	}
}

// TestBreakOnLastPage leaves a dump whose end is in the page at hand. Nothing
// more will come, so there is nothing to drain.
func TestBreakOnLastPage(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1), rec(0, 2), script.Done(intr, 0)))
	for _, err := range s.Records(t.Context(), request()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if !s.Idle() {
		t.Error("not idle, though NLMSG_DONE was in the page")
	}
	if n := s.Stats().Records; n != 1 {
		t.Errorf("%d records counted, want the 1 delivered", n)
	}
}

// TestBusyInLoop starts another dump within a loop whose dump has already
// ended. The page at hand must not change.
func TestBusyInLoop(t *testing.T) {
	s, sock := script.Stream(nldump.Config{}, script.Page(rec(0, 1), rec(0, 2), done()), script.Page(rec(0, 8), rec(0, 9), done()))
	var got []byte
	for m, err := range s.Records(t.Context(), request()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Data[0])
		if s.Idle() {
			t.Error("idle in the loop")
		}
		if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrBusy) {
			t.Errorf("another dump: %v, want ErrBusy", err)
		}
		if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrBusy) {
			t.Errorf("Drain: %v, want ErrBusy", err)
		}
	}
	if !slices.Equal(got, []byte{1, 2}) || len(sock.Sent()) != 1 {
		t.Errorf("got %v, %d requests", got, len(sock.Sent()))
	}
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{8, 9}) {
		t.Errorf("after the loop: %v, %v", got, err)
	}
}

func TestDrain(t *testing.T) {
	for _, tt := range []struct {
		name string
		step script.Step
		err  error
	}{
		{"interrupted", script.Page(script.Done(intr, 0)), nil},
		{"ended by an error", script.Page(script.Done(0, 5)), nil},
		{"overrun", script.Step{Err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}, nldump.ErrOverrun},
		{"of another", script.Page(script.Poke(done(), 8, 66)), nldump.ErrProtocol},
		{"fails", script.Step{Err: unix.EIO}, unix.EIO},
		// The end may have been in them. If so, nothing more comes.
		{"truncated", script.Step{Page: make([]byte, 5000)}, nil},
		{"malformed", script.Page(rec(0, 2), rec(0, 3)[:12]), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize}, script.Page(rec(0, 1)), tt.step, script.Step{Wait: true})
			for range s.Records(t.Context(), request()) {
				break
			}
			if err := s.Drain(t.Context()); !errors.Is(err, tt.err) || s.Idle() != (tt.err == nil) {
				t.Errorf("got %v, idle %v; want %v", err, s.Idle(), tt.err)
			}
		})
	}
}

func TestCancelBlocked(t *testing.T) {
	s, sock := script.Stream(nldump.Config{}, script.Page(rec(0, 1)), script.Step{Wait: true})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-sock.Waiting
		cancel()
	}()
	got, err := read(ctx, s)
	if !errors.Is(err, context.Canceled) || !slices.Equal(got, []byte{1}) {
		t.Errorf("got %v, %v", got, err)
	}
	if sock.Deadline() {
		t.Error("the deadline stayed set")
	}
	if s.Idle() {
		t.Error("idle in the middle of a dump")
	}
}

// TestCancelInPage cancels between two records of one page.
func TestCancelInPage(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1), rec(0, 2), done()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []byte
	var last error
	for m, err := range s.Records(ctx, request()) {
		if last = err; err == nil {
			got = append(got, m.Data[0])
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || !slices.Equal(got, []byte{1}) {
		t.Errorf("got %v, %v", got, last)
	}
	if !s.Idle() {
		t.Error("not idle, though NLMSG_DONE was in the page")
	}
}

// TestCancelUnderFlood cancels while an endless stream of other datagrams
// comes, so no read ever waits.
func TestCancelUnderFlood(t *testing.T) {
	s, sock := script.Stream(nldump.Config{}, script.Step{Page: rec(0, 1), From: 99, Again: true})
	ctx, cancel := context.WithCancel(t.Context())
	flood := &flooded{Socket: sock, cancel: cancel}
	s, err := nldump.New(flood, s.Config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	if flood.reads != 3 {
		t.Errorf("%d reads, want none after the cancel", flood.reads)
	}
}

// flooded ignores deadlines and cancels at the third read.
type flooded struct {
	*script.Socket
	cancel func()
	reads  int
}

func (f *flooded) Recv(b []byte) (nldump.Datagram, error) {
	f.reads++
	if f.reads == 3 {
		f.cancel()
	}
	if f.reads > 1000 {
		return nldump.Datagram{}, errors.New("still reading")
	}
	return f.Socket.Recv(b)
}

// SetReadDeadline does nothing.
func (f *flooded) SetReadDeadline(time.Time) error { return nil }

func TestCancelledBefore(t *testing.T) {
	s, sock := script.Stream(nldump.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx, s); !errors.Is(err, context.Canceled) || len(sock.Sent()) != 0 || !s.Idle() {
		t.Errorf("got %v, %d requests, idle %v", err, len(sock.Sent()), s.Idle())
	}
}

func TestCloseBlocked(t *testing.T) {
	s, sock := script.Stream(nldump.Config{}, script.Step{Wait: true})
	go func() {
		<-sock.Waiting
		_ = s.Close()
	}()
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	// The dump was open, and went with the socket.
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) || s.Idle() {
		t.Errorf("got %v, want ErrClosed; idle %v", err, s.Idle())
	}
	if err := s.Drain(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Drain: got %v, want ErrClosed", err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close again: got %v, want ErrClosed", err)
	}
}

func TestSendFails(t *testing.T) {
	s, _ := script.Stream(nldump.Config{})
	_ = s.Close()
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) || s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}

// An overrun is not forgotten over a later page that is cut or malformed. After it,
// an empty queue does not mean that the dump is over.
func TestOverrunIsNotForgotten(t *testing.T) {
	cut := script.Step{Page: make([]byte, 5000)}
	broken := script.Page(rec(0, 1), rec(0, 2)[:12])
	overrun := script.Message(unix.NLMSG_OVERRUN, 0)
	for name, steps := range map[string][]script.Step{
		"cut":                {{Err: unix.ENOBUFS}, cut},
		"malformed":          {{Err: unix.ENOBUFS}, broken},
		"malformed, at once": {script.Page(overrun, rec(0, 2)[:12])},
	} {
		s, sock := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize}, append(steps, script.Step{Wait: true})...)
		if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrOverrun) || s.Idle() {
			t.Errorf("%s: Drain: %v, idle %v", name, err, s.Idle())
		}
		_ = sock.Close()
	}
	// Two of them are as one.
	s, _ := dialScripts(t, nldump.Config{}, steps(script.Page(overrun, overrun)), steps(script.Page(rec(0, 1), done())))
	if got, _, begun, err := retry(t.Context(), s, 2); err != nil || begun != 2 || !slices.Equal(got, []byte{1}) {
		t.Errorf("Retry: got %v, begun %d times, %v", got, begun, err)
	}
}

// A later answer without NLM_F_MULTI is over, also if what follows it in the
// datagram is malformed.
func TestDoOfOneMalformedPage(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(plain(1), plain(2)[:12]), script.Page(plain(3)))
	d := nldump.Dump{Do: true, NoAck: true}
	if got, err := readDump(t.Context(), s, d); !errors.Is(err, nldump.ErrMalformed) || !slices.Equal(got, []byte{1}) || !s.Idle() {
		t.Errorf("got %v, %v, idle %v", got, err, s.Idle())
	}
	if got, err := readDump(t.Context(), s, d); err != nil || !slices.Equal(got, []byte{3}) {
		t.Errorf("the next one: %v, %v", got, err)
	}
}

// There is no request before the first one on a socket, so a late acknowledgement
// is of another's request.
func TestAcknowledgementOfNoRequest(t *testing.T) {
	of := func(seq byte, m []byte) []byte { return script.Poke(m, 8, seq) }
	ack := script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16))
	socks := []*numbered{
		{n: 7, Socket: script.New(script.Page(of(0, ack)), script.Page(of(8, rec(0, 1)), of(8, done())))},
		{n: 20, Socket: script.New(script.Page(of(8, ack)), script.Page(of(21, rec(0, 1)), of(21, done())))},
	}
	s, err := nldump.DialWith(func() (sock nldump.Socket, err error) {
		sock, socks = socks[0], socks[1:]
		return sock, nil
	}, closing)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if got, err := read(t.Context(), s); !errors.Is(err, nldump.ErrProtocol) || len(got) > 0 {
			t.Errorf("socket %d: %v, %v", n, got, err)
		}
	}
}

// Drain drops what the page says, unless it is of another request.
func TestDrainDropsWhatItReads(t *testing.T) {
	ack := script.Page(script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16)))
	for name, tt := range map[string]struct {
		page script.Step
		err  error
	}{
		"errno in DONE, before the acknowledgement":   {script.Page(script.Done(0, unix.EIO)), nil},
		"errno in DONE, and malformed":                {script.Page(script.Done(0, unix.EIO), plain(2)[:12]), nil},
		"errno that is malformed":                     {script.Page(script.Message(unix.NLMSG_DONE, 0, []byte{1, 0, 0, 0})), nil},
		"a message of another request":                {script.Page(script.Poke(plain(2), 8, 66)), nldump.ErrProtocol},
		"a message of another request, and malformed": {script.Page(script.Poke(plain(2), 8, 66), plain(2)[:12]), nldump.ErrProtocol},
		"malformed":  {script.Page(plain(2), plain(2)[:12]), nil},
		"an overrun": {script.Page(script.Message(unix.NLMSG_OVERRUN, 0)), nldump.ErrOverrun},
	} {
		s, _ := script.Stream(nldump.Config{}, script.Page(plain(1)), tt.page, ack)
		for range s.Do(t.Context(), request()) {
			break
		}
		if err := s.Drain(t.Context()); !errors.Is(err, tt.err) || s.Idle() != (tt.err == nil) {
			t.Errorf("%s: %v, idle %v", name, err, s.Idle())
		}
	}
}
