// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// A reader's own functions and unlikely answers must not break a stream.

// Without memory for the first page, only a dump stays open; the request of a
// Do is over.
func TestDoRefusedForMemory(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(script.Message(unix.NLMSG_ERROR, capped, script.Errno(unix.ENOBUFS), make([]byte, 16))))
	var refused *nldump.KernelError
	if _, err := readDump(t.Context(), s, nldump.Dump{Do: true}); !errors.As(err, &refused) || errors.Is(err, nldump.ErrOverrun) || !s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}

// The answer to a Do may be a dump, which has no acknowledgement.
func TestDoAnsweredByADump(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1), done()), script.Step{Wait: true})
	if got, err := readDump(t.Context(), s, nldump.Dump{Do: true}); err != nil || !slices.Equal(got, []byte{1}) || !s.Idle() {
		t.Errorf("got %v, %v, idle %v", got, err, s.Idle())
	}
}

// A later answer without NLM_F_MULTI may be several messages in one datagram.
func TestDoOfOnePage(t *testing.T) {
	for _, generation := range []func(nldump.Message) (uint64, error){nil, func(nldump.Message) (uint64, error) { return 0, nil }} {
		s, _ := script.Stream(nldump.Config{}, script.Page(plain(1), plain(2), plain(3)))
		got, err := readDump(t.Context(), s, nldump.Dump{Do: true, NoAck: true, Generation: generation})
		if err != nil || !slices.Equal(got, []byte{1, 2, 3}) || !s.Idle() {
			t.Errorf("got %v, %v, idle %v", got, err, s.Idle())
		}
	}
}

// Foreign panics twice: in the loop, and while the rest is drained.
func TestForeignPanics(t *testing.T) {
	event := script.Step{Page: rec(0, 7), Group: 4}
	s, _ := script.Stream(nldump.Config{Abandon: nldump.AbandonDrain}, event, event, script.Page(done()), script.Page(done()))
	func() {
		defer func() { _ = recover() }()
		_, _ = readDump(t.Context(), s, nldump.Dump{Foreign: func(nldump.Datagram, []byte) { panic("in Foreign") }})
	}()
	if err := s.Drain(t.Context()); err != nil || !s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
}

// Time spent in Foreign does not count towards the stall timeout.
func TestForeignIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := script.Step{Page: rec(0, 7), Group: 4}
		s, _ := script.Stream(nldump.Config{StallTimeout: stall}, event, event, event, script.Page(rec(0, 1), done()))
		defer s.Close()
		d := nldump.Dump{Foreign: func(nldump.Datagram, []byte) { time.Sleep(stall) }}
		if got, err := readDump(t.Context(), s, d); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

// Only the reader's own time is left out: datagrams that are none of the dump do not
// prolong the wait for its next page.
func TestForeignDoNotHideAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		event := script.Step{Page: rec(0, 7), Group: 4, After: stall * 2 / 3}
		s, _ := script.Stream(nldump.Config{StallTimeout: stall}, event, event, event, script.Page(rec(0, 1), done()))
		defer s.Close()
		start := time.Now()
		d := nldump.Dump{Foreign: func(nldump.Datagram, []byte) { time.Sleep(stall) }}
		if got, err := readDump(t.Context(), s, d); !errors.Is(err, nldump.ErrStalled) {
			t.Errorf("got %v, %v", got, err)
		}
		if took := time.Since(start); took != 2*stall {
			t.Errorf("took %v, want %v: one wait, and one call", took, 2*stall)
		}
	})
}

// Repeated pages count even with empty pages between them.
func TestEmptyPagesBetween(t *testing.T) {
	n := 0
	s, sock := script.Stream(nldump.Config{RepeatLimit: 10})
	sock.Next = func() script.Step {
		if n++; n%2 == 0 {
			return script.Page()
		}
		return script.Page(rec(0, 1))
	}
	if got, err := read(t.Context(), s); !errors.Is(err, nldump.ErrNoProgress) || len(got) > 12 {
		t.Errorf("%d records, %v", len(got), err)
	}
	if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrNoProgress) {
		t.Errorf("Drain: %v", err)
	}
	// A few empty pages in a row are not an error, even if that happens often.
	none := script.Page()
	s, _ = script.Stream(nldump.Config{RepeatLimit: 3},
		none, none, script.Page(rec(0, 1)), none, none, script.Page(rec(0, 2)), none, none, script.Page(done()))
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{1, 2}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// Endless empty pages are soon an error.
func TestEmptyPagesWithoutEnd(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Step{Again: true})
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrNoProgress) || s.Stats().EmptyPages != 1<<12 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
}

// The reader's own errors are returned unchanged and never cause a retry.
func TestErrorsOfTheReader(t *testing.T) {
	cut := &nldump.TruncatedError{Size: 5000, Buffer: 4096, Grown: true}
	for _, failed := range []error{cut, fmt.Errorf("no key: %w", cut), nldump.ErrInterrupted, nldump.ErrOverrun} {
		key := func(dst []byte, _ nldump.Message) ([]byte, error) { return dst, failed }
		s, sock := script.Stream(nldump.Config{}, script.Page(rec(0, 1), done()))
		if _, err := readDump(t.Context(), s, nldump.Dump{Key: key, Resume: after}); !errors.Is(err, failed) || len(sock.Sent()) != 1 {
			t.Errorf("%v: got %v after %d requests", failed, err, len(sock.Sent()))
		}
		s, k := dialScripts(t, nldump.Config{}, steps(script.Page(rec(0, 1), done())))
		err := s.Retry(t.Context(), nldump.Dump{Key: key}, 3, func(int) {}, func(nldump.Message) error { return nil })
		if !errors.Is(err, failed) || len(k.dialed) != 1 || len(k.dialed[0].Sent()) != 1 {
			t.Errorf("%v: Retry: %v, %d sockets", failed, err, len(k.dialed))
		}
	}
}

// A closed stream does not open a socket.
func TestClosedStreamDoesNotDial(t *testing.T) {
	s, k := dialScripts(t, closing, steps(script.Page(rec(0, 1))))
	for range s.Records(t.Context(), request()) {
		break
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := read(context.Background(), s); !errors.Is(err, os.ErrClosed) || len(k.dialed) != 1 {
		t.Errorf("got %v, %d sockets", err, len(k.dialed))
	}
}

// numbered is a Socket that numbers its own requests.
type numbered struct {
	*script.Socket
	n uint32
}

func (s *numbered) Send(m nldump.Message) (nldump.Message, error) {
	m, err := s.Socket.Send(m)
	s.n++
	m.Seq = s.n
	return m, err
}

// A dump may be acknowledged in its middle, or after its end. Then the next
// dump reads the acknowledgement.
func TestDumpThatIsAcknowledged(t *testing.T) {
	of := func(seq byte, m []byte) []byte { return script.Poke(m, 8, seq) }
	ack := script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16))
	refused := script.Message(unix.NLMSG_ERROR, capped, script.Errno(unix.EPERM), make([]byte, 16))
	s, err := nldump.New(&numbered{Socket: script.New(
		script.Page(of(1, rec(0, 1))), script.Page(of(1, ack)), script.Page(of(1, rec(0, 2)), of(1, done())),
		script.Page(of(2, rec(0, 3)), of(2, done())),
		script.Page(of(2, ack)), script.Page(of(3, rec(0, 4)), of(3, done())),
		script.Page(of(3, refused)),
	)}, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{{1, 2}, {3}, {4}} {
		if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, want) {
			t.Errorf("dump %d: %v, %v; want %v", i+1, got, err, want)
		}
	}
	// Any other late message for an earlier request is an error.
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrProtocol) {
		t.Errorf("an error of the request before: %v", err)
	}
}

// The cursor of a nest stays at the member that was found. Find without an
// attribute finds nothing.
func TestFindInANest(t *testing.T) {
	a := at(slices.Concat(script.U32(1, 5), script.U32(2, 6), script.Attr(3, script.U32(1, 77)))...)
	rounds := 0
	for typ, n := range a.Nest() {
		if rounds++; typ == 3 && n.Find(1) {
			t.Errorf("found %d", n.Uint32())
		}
		if n.Next() {
			t.Error("the member has another behind it")
		}
		if inner := n.Nested(); typ == 3 && inner.Find(1) {
			t.Error("Find moved the cursor away, and left a value")
		}
	}
	if rounds != 3 || a.Err() != nil {
		t.Errorf("%d members, %v", rounds, a.Err())
	}
	b := nldump.Parse(script.U32(1, 5))
	if b.Flag() || b.Find(9) || b.Flag() || b.Type() != 0 || b.Err() != nil {
		t.Errorf("a flag at no attribute: type %d, %v", b.Type(), b.Err())
	}
}

// A function of the reader's panics on the page that has the dump's end. Nobody
// waits for that end.
func TestKeyPanicsOnTheLastPage(t *testing.T) {
	for _, how := range []nldump.Abandon{nldump.AbandonPark, nldump.AbandonDrain} {
		s, _ := script.Stream(nldump.Config{Abandon: how}, script.Page(rec(0, 1), done()), script.Step{Wait: true})
		func() {
			defer func() {
				if r := recover(); r != "key" {
					t.Errorf("%d: recovered %v", how, r)
				}
			}()
			d := nldump.Dump{Request: request(), Key: func([]byte, nldump.Message) ([]byte, error) { panic("key") }}
			for range s.Dump(t.Context(), d) {
			}
		}()
		if err := s.Drain(t.Context()); err != nil || !s.Idle() {
			t.Errorf("%d: Drain: %v, idle %v", how, err, s.Idle())
		}
	}
}

// Drain within a Drain, in the hook for foreign datagrams, is refused.
func TestDrainInDrain(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1)), script.Step{Page: rec(0, 9), Group: 3},
		script.Page(rec(0, 2), done()), script.Step{Wait: true})
	var inner error
	d := nldump.Dump{Request: request(), Foreign: func(nldump.Datagram, []byte) { inner = s.Drain(t.Context()) }}
	for _, err := range s.Dump(t.Context(), d) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := s.Drain(t.Context()); err != nil || !s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
	if !errors.Is(inner, nldump.ErrBusy) {
		t.Errorf("Drain in Drain: %v, want ErrBusy", inner)
	}
}
