// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Requests that are not dumps, and dumps of families that behave differently.

func TestRequestKinds(t *testing.T) {
	page := script.Page
	ack := script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16))
	refused := script.Message(unix.NLMSG_ERROR, capped, script.Errno(unix.EPERM), make([]byte, 16))
	// address sets sequence number and port id of a message.
	address := func(seq, port byte, m []byte) []byte { return script.Poke(script.Poke(m, 8, seq), 12, port) }
	const request, dump, acknowledge = unix.NLM_F_REQUEST, unix.NLM_F_DUMP, unix.NLM_F_ACK
	for _, tt := range []struct {
		name  string
		dump  nldump.Dump
		flags uint16 // of the request
		steps []script.Step
		want  []byte
		err   error
		busy  bool
	}{
		{"dump", nldump.Dump{}, request | dump | acknowledge, steps(page(rec(0, 1), done())), []byte{1}, nil, false},

		{"one answer", nldump.Dump{Do: true}, request | acknowledge, steps(page(plain(1)), page(ack)), []byte{1}, nil, false},
		{"several", nldump.Dump{Do: true}, request | acknowledge, steps(page(plain(1)), page(plain(2)), page(ack)), []byte{1, 2}, nil, false},
		{"none", nldump.Dump{Do: true}, request | acknowledge, steps(page(ack)), nil, nil, false},
		{"DONE before the acknowledgement", nldump.Dump{Do: true}, request | acknowledge,
			steps(page(rec(0, 1), rec(0, 2)), page(rec(0, 3), done()), page(ack)), []byte{1, 2, 3}, nil, false},
		{"refused", nldump.Dump{Do: true}, request | acknowledge, steps(page(refused)), nil, unix.EPERM, false},
		{"refused after some", nldump.Dump{Do: true}, request | acknowledge, steps(page(plain(1)), page(refused)), []byte{1}, unix.EPERM, false},
		{"more after the acknowledgement", nldump.Dump{Do: true}, request | acknowledge, steps(page(ack, plain(1))), nil, nldump.ErrMalformed, false},

		{"answered later", nldump.Dump{Do: true, NoAck: true}, request, steps(page(rec(0, 1)), page(rec(0, 2)), page(done())), []byte{1, 2}, nil, false},
		{"answered later, by one", nldump.Dump{Do: true, NoAck: true}, request, steps(page(plain(1))), []byte{1}, nil, false},
		{"a dump without acknowledgement", nldump.Dump{NoAck: true}, request | dump, steps(page(plain(1), rec(0, 2), done())), []byte{1, 2}, nil, false},

		{"no address", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(address(0, 0, rec(0, 1)), address(script.Seq, 0, rec(0, 2)), address(0, script.Port, rec(0, 3)), rec(0, 4), done())), []byte{1, 2, 3, 4}, nil, false},
		{"numbered by the family", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(rec(0, 1), address(script.Seq+1, script.Port, rec(0, 2)), address(script.Seq+2, 0, rec(0, 3))),
				page(rec(0, 4), address(script.Seq+1, script.Port, rec(0, 5)), done())), []byte{1, 2, 3, 4, 5}, nil, false},
		{"the end of another answer", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(address(script.Seq-1, script.Port, rec(0, 9)), address(script.Seq-1, script.Port, done()))), []byte{9}, nldump.ErrProtocol, true},
		{"the end of no answer", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(address(0, 0, done()))), nil, nldump.ErrProtocol, true},
		{"refusal of another request", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(address(script.Seq-1, script.Port, refused))), nil, nldump.ErrProtocol, true},
		{"an end without port id", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(rec(0, 1), address(script.Seq, 0, done()))), []byte{1}, nil, false},
		{"another port id", nldump.Dump{Unaddressed: true}, request | dump | acknowledge,
			steps(page(address(0, 1, rec(0, 1)))), nil, nldump.ErrProtocol, true},
		{"not said to be without", nldump.Dump{}, request | dump | acknowledge,
			steps(page(address(0, 0, rec(0, 1)))), nil, nldump.ErrProtocol, true},
		{"not said to be numbered", nldump.Dump{}, request | dump | acknowledge,
			steps(page(rec(0, 1), address(script.Seq+1, script.Port, rec(0, 2)))), []byte{1}, nldump.ErrProtocol, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, sock := script.Stream(nldump.Config{}, tt.steps...)
			got, err := readDump(t.Context(), s, tt.dump)
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) || s.Idle() == tt.busy {
				t.Errorf("got %v, %v, idle %v; want %v, %v", got, err, s.Idle(), tt.want, tt.err)
			}
			if sent := sock.Sent(); len(sent) != 1 || sent[0].Flags != tt.flags {
				t.Errorf("sent %+v, want flags %#x", sent, tt.flags)
			}
		})
	}
}

// The error about a message from elsewhere mentions Dump.Unaddressed if and
// only if that option would accept the message.
func TestUnaddressedIsNamedWhereItHelps(t *testing.T) {
	for _, m := range [][]byte{rec(0, 1), done()} {
		for _, seq := range []byte{script.Seq, 0, 66} {
			for _, port := range []byte{script.Port, 0, 66} {
				refusal := func(unaddressed bool) error {
					s, _ := script.Stream(nldump.Config{}, script.Page(script.Poke(script.Poke(m, 8, seq), 12, port)), script.Page(done()))
					_, err := readDump(t.Context(), s, nldump.Dump{Unaddressed: unaddressed})
					return err
				}
				strict, lax := refusal(false), refusal(true)
				helps := strict != nil && lax == nil
				if strict != nil && strings.Contains(strict.Error(), "set Dump.Unaddressed") != helps {
					t.Errorf("%v; with the option: %v", strict, lax)
				}
				if mine := seq == script.Seq && port == script.Port; mine != (strict == nil) {
					t.Errorf("sequence %d, port %d: %v", seq, port, strict)
				}
			}
		}
	}
}

// The rest of an answer is read, because the next request would take it for its
// own answer.
func TestDoIsReadToItsAcknowledgement(t *testing.T) {
	ack := script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16))
	s, _ := script.Stream(nldump.Config{Abandon: nldump.AbandonDrain},
		script.Page(plain(1)), script.Page(plain(2), done()), script.Page(ack), script.Page(rec(0, 3), done()))
	for range s.Do(t.Context(), request()) {
		break
	}
	if !s.Idle() {
		t.Fatal("not drained")
	}
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{3}) {
		t.Errorf("the next dump: %v, %v", got, err)
	}
}

func TestGeneration(t *testing.T) {
	page := script.Page
	// byNumber returns the tens of a record's number as the generation.
	byNumber := func(m nldump.Message) (uint64, error) {
		if m.Data[0] == 99 {
			return 0, unix.EBADMSG
		}
		return uint64(m.Data[0] / 10), nil
	}
	for _, tt := range []struct {
		name  string
		steps []script.Step
		want  []byte
		err   error
	}{
		{"stays", steps(page(rec(0, 11), rec(0, 12)), page(rec(0, 13), done())), []byte{11, 12, 13}, nil},
		{"0 is one, too", steps(page(rec(0, 1)), page(rec(0, 11), done())), []byte{1, 11}, nldump.ErrInterrupted},
		{"changes in a page", steps(page(rec(0, 11), rec(0, 21)), page(rec(0, 22), done())), []byte{11, 21, 22}, nldump.ErrInterrupted},
		{"changes between pages", steps(page(rec(0, 11)), page(rec(0, 21), done())), []byte{11, 21}, nldump.ErrInterrupted},
		{"and back", steps(page(rec(0, 11)), page(rec(0, 21)), page(rec(0, 12), done())), []byte{11, 21, 12}, nldump.ErrInterrupted},
		{"cannot be read", steps(page(rec(0, 11), rec(0, 99)), page(done())), []byte{11}, unix.EBADMSG},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{}, append(tt.steps, page(rec(0, 31), done()))...)
			got, err := readDump(t.Context(), s, nldump.Dump{Generation: byNumber})
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) || s.Stats().Interrupted != errors.Is(tt.err, nldump.ErrInterrupted) {
				t.Errorf("got %v, %v, %+v; want %v, %v", got, err, s.Stats(), tt.want, tt.err)
			}
			if !s.Idle() {
				return
			}
			// The next dump's is its own.
			if _, err := readDump(t.Context(), s, nldump.Dump{Generation: byNumber}); err != nil {
				t.Errorf("the next dump: %v", err)
			}
		})
	}
}

// After a wrong message, Generation is not called for the rest of the page.
func TestNothingIsAskedAfterAnError(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1), script.Poke(rec(0, 2), 8, 66), rec(0, 3), done()))
	var asked []byte
	_, err := readDump(t.Context(), s, nldump.Dump{Generation: func(m nldump.Message) (uint64, error) {
		asked = append(asked, m.Data[0])
		return uint64(m.Data[0]), nil
	}})
	if !errors.Is(err, nldump.ErrProtocol) || !slices.Equal(asked, []byte{1}) || s.Stats().Interrupted {
		t.Errorf("%v, asked about %v, %+v", err, asked, s.Stats())
	}
}

// TestGenerationRetries: a dump whose generation changed is repeated.
func TestGenerationRetries(t *testing.T) {
	s, _ := script.Stream(nldump.Config{},
		script.Page(rec(0, 11)), script.Page(rec(0, 21)), script.Page(rec(0, 22), done()),
		script.Page(rec(0, 21), rec(0, 22), done()))
	var got []byte
	d := nldump.Dump{Generation: func(m nldump.Message) (uint64, error) { return uint64(m.Data[0] / 10), nil }}
	err := s.Retry(t.Context(), d, 2, func(int) { got = nil }, func(m nldump.Message) error {
		got = append(got, m.Data[0])
		return nil
	})
	if err != nil || !slices.Equal(got, []byte{21, 22}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestForeign(t *testing.T) {
	event := script.Step{Page: rec(0, 7), Group: 4}
	other := script.Step{Page: rec(0, 8), From: 99}
	long := script.Step{Page: append(rec(0, 9), make([]byte, 5000)...), Group: 4}
	s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize},
		event, script.Page(rec(0, 1)), other, long, script.Page(rec(0, 2), done()))
	type foreign struct {
		d     nldump.Datagram
		first byte
		n     int
	}
	var got []foreign
	records, err := readDump(t.Context(), s, nldump.Dump{Foreign: func(d nldump.Datagram, b []byte) {
		m, _, err := nldump.NextMessage(b)
		if err != nil {
			t.Error(err)
		}
		got = append(got, foreign{d, m.Data[0], len(b)})
	}})
	want := []foreign{
		{nldump.Datagram{Len: 20, Group: 4}, 7, 20},
		{nldump.Datagram{Len: 20, From: 99}, 8, 20},
		{nldump.Datagram{Len: 5020, Group: 4}, 9, nldump.MinBufferSize},
	}
	if err != nil || !slices.Equal(records, []byte{1, 2}) || !slices.Equal(got, want) || s.Stats().Foreign != 3 {
		t.Errorf("records %v, %v; foreign %+v, want %+v; %+v", records, err, got, want, s.Stats())
	}
}

// The kernel's echo also carries the group that the event is sent to.
func TestEcho(t *testing.T) {
	ack := script.Page(script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16)))
	echo := script.Step{Page: plain(1), Group: 4}
	ofAnother := script.Step{Page: script.Poke(plain(2), 8, 66), Group: 4}
	forged := script.Step{Page: plain(3), From: 99}
	short := script.Step{Page: []byte{1, 2, 3}, Group: 4}
	for _, test := range []struct {
		flags uint16
		want  []byte
	}{{0, nil}, {unix.NLM_F_ECHO, []byte{1}}} {
		s, _ := script.Stream(nldump.Config{}, ofAnother, echo, forged, short, ack)
		d := nldump.Dump{Do: true, Request: nldump.Message{Type: script.Type, Flags: test.flags}}
		got, err := readDump(t.Context(), s, d)
		if foreign := uint64(4 - len(test.want)); err != nil || !slices.Equal(got, test.want) || s.Stats().Foreign != foreign {
			t.Errorf("flags %#x: got %v, %v, %+v", test.flags, got, err, s.Stats())
		}
	}

	// An echo that does not fit is reported as truncated, not taken for another
	// process's message.
	long := script.Step{Page: append(plain(1), make([]byte, 5000)...), Group: 4}
	s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize}, long, ack)
	d := nldump.Dump{Do: true, Request: nldump.Message{Type: script.Type, Flags: unix.NLM_F_ECHO}}
	if _, err := readDump(t.Context(), s, d); !errors.Is(err, nldump.ErrTruncated) {
		t.Errorf("too long: %v", err)
	}
}

// blind is a Socket that is not a PollSocket.
type blind struct{ nldump.Socket }

// If the end of a dump is in a page that was cut or malformed, it does not come
// again.
func TestLostEnd(t *testing.T) {
	cfg := nldump.Config{BufferSize: nldump.MinBufferSize}
	cut := script.Step{Page: append(append(rec(0, 1), make([]byte, 5000)...), done()...)}
	broken := script.Page(rec(0, 1), script.Poke(rec(0, 2), 0, 15), done())
	for name, step := range map[string]script.Step{"cut": cut, "malformed": broken} {
		// Like the kernel, the script has nothing more until the next request.
		s, sock := script.Stream(cfg, step, script.Step{Wait: true})
		if _, err := read(t.Context(), s); err == nil || s.Idle() {
			t.Errorf("%s: got %v, idle %v", name, err, s.Idle())
		}
		if err := s.Drain(t.Context()); err != nil || !s.Idle() {
			t.Errorf("%s: Drain: %v, idle %v", name, err, s.Idle())
		}
		_ = sock.Close()

		s, err := nldump.New(blind{script.New(step, script.Step{Wait: true})}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(t.Context(), s); err == nil {
			t.Errorf("%s: no error", name)
		}
		err = s.Drain(t.Context())
		if err == nil || s.Idle() || !errors.Is(err, nldump.ErrTruncated) && !errors.Is(err, nldump.ErrMalformed) {
			t.Errorf("%s, cannot look: Drain: %v, idle %v", name, err, s.Idle())
		}
	}

	// The next dump waits for its pages again.
	n := 0
	s, sock := script.Stream(cfg)
	sock.Next = func() script.Step {
		n++
		return []script.Step{cut, {Wait: true}, {Page: append(rec(0, 2), done()...), After: time.Millisecond}}[n-1]
	}
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrTruncated) {
		t.Errorf("got %v", err)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{2}) {
		t.Errorf("the next dump: %v, %v", got, err)
	}

	// A retry or resume after it does not wait either.
	n = 0
	next := func() script.Step {
		if n++; n%2 == 0 {
			return script.Step{Wait: true}
		}
		if n == 1 {
			return script.Step{Page: append(rec(0, 1), make([]byte, 5000)...)}
		}
		return script.Page(rec(0, 2), done())
	}
	s, sock = script.Stream(cfg)
	sock.Next = next
	if got, _, begun, err := retry(t.Context(), s, 3); err != nil || begun != 2 || !slices.Equal(got, []byte{2}) {
		t.Errorf("Retry: got %v, begun %d times, %v", got, begun, err)
	}
	n = 0
	s, sock = script.Stream(cfg)
	sock.Next = next
	if got, err := readDump(t.Context(), s, nldump.Dump{Key: keyOf, Resume: after}); !errors.Is(err, nldump.ErrInterrupted) || !slices.Equal(got, []byte{2}) {
		t.Errorf("Resume: got %v, %v", got, err)
	}
}

// If an answer is not built while it is read, an empty queue does not mean that
// it has ended.
func TestLostEndThatComesLater(t *testing.T) {
	s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize},
		script.Step{Page: append(rec(0, 1), make([]byte, 5000)...)}, script.Step{Wait: true})
	if _, err := readDump(t.Context(), s, nldump.Dump{Do: true, NoAck: true}); !errors.Is(err, nldump.ErrTruncated) {
		t.Errorf("got %v", err)
	}
	if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrTruncated) || s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
}

// A second dump that equals the first one is not a repetition.
func TestRepeatsAreOfOneDump(t *testing.T) {
	same := script.Page(rec(0, 1))
	dump := steps(same, same, same, same, script.Page(done()))
	s, _ := script.Stream(nldump.Config{RepeatLimit: 3}, append(dump, dump...)...)
	for range 2 {
		if got, err := read(t.Context(), s); err != nil || len(got) != 4 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// A dump whose cursor does not move has no end, so it cannot be drained.
func TestDrainOfAStuckDump(t *testing.T) {
	s, _ := script.Stream(nldump.Config{RepeatLimit: 5}, script.Step{Page: rec(0, 1), Again: true})
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
	if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrNoProgress) || s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
}

// A dump that found no room goes on when the queue is read. If the queue is
// empty, the dump stays parked.
func TestDrainAfterOverrun(t *testing.T) {
	overrun := script.Step{Err: unix.ENOBUFS}
	s, _ := script.Stream(nldump.Config{}, overrun, script.Page(rec(0, 1)), script.Page(done()), script.Step{Wait: true})
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) {
		t.Errorf("got %v", err)
	}
	if err := s.Drain(t.Context()); err != nil || !s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
	s, _ = script.Stream(nldump.Config{}, overrun, script.Step{Wait: true})
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrOverrun) {
		t.Errorf("got %v", err)
	}
	if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrOverrun) || s.Idle() {
		t.Errorf("Drain of nothing: %v, idle %v", err, s.Idle())
	}
}

// An overrun is remembered if the context ends at the same time.
func TestOverrunAsTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, sock := script.Stream(nldump.Config{})
	sock.Next = func() script.Step {
		if ctx.Err() != nil {
			return script.Step{Wait: true}
		}
		cancel()
		return script.Step{Err: unix.ENOBUFS}
	}
	if _, err := read(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Drain(soon); !errors.Is(err, nldump.ErrOverrun) || s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
}

// Drain reads until the queue is empty, because the kernel drops answers until
// then.
func TestDrainAfterOverrunEmptiesTheQueue(t *testing.T) {
	event := script.Step{Page: rec(0, 7), Group: 4}
	overrun := script.Step{Err: unix.ENOBUFS}
	ack := script.Message(unix.NLMSG_ERROR, capped, script.Errno(0), make([]byte, 16))
	for name, end := range map[string][]script.Step{
		"dump":             {script.Page(rec(0, 1), done())},
		"do":               {script.Page(plain(1)), script.Page(ack)},
		"do with its done": {script.Page(rec(0, 1), done()), script.Page(ack)},
	} {
		steps := slices.Concat([]script.Step{overrun}, end, []script.Step{event, overrun, event, {Wait: true}})
		s, _ := script.Stream(nldump.Config{}, steps...)
		foreign := 0
		d := nldump.Dump{Do: name != "dump", Foreign: func(nldump.Datagram, []byte) { foreign++ }}
		if _, err := readDump(t.Context(), s, d); !errors.Is(err, nldump.ErrOverrun) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Drain(t.Context()); !errors.Is(err, nldump.ErrOverrun) || s.Idle() {
			t.Errorf("%s: Drain, until it overflows again: %v, idle %v", name, err, s.Idle())
		}
		if err := s.Drain(t.Context()); err != nil || !s.Idle() || foreign != 2 {
			t.Errorf("%s: Drain: %v, idle %v, %d events", name, err, s.Idle(), foreign)
		}
	}
}
