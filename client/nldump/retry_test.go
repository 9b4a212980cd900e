// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// retry returns the records after Retry, all records of all passes, and how
// often a pass began.
func retry(ctx context.Context, s *nldump.Stream, attempts int) (got, all []byte, begun int, err error) {
	err = s.Retry(ctx, nldump.Dump{Request: request()}, attempts, func(attempt int) {
		if begun++; attempt != begun {
			panic("attempts are counted from 1")
		}
		got = nil
	}, func(m nldump.Message) error {
		got, all = append(got, m.Data[0]), append(all, m.Data[0])
		return nil
	})
	return got, all, begun, err
}

func TestRetry(t *testing.T) {
	page := script.Page
	whole := steps(page(rec(0, 1), rec(0, 2)), page(rec(0, 3), done()))
	overrun := script.Step{Err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}
	for _, tt := range []struct {
		name    string
		scripts [][]script.Step // one for each socket
		want    []byte
		all     []byte // what was delivered in all passes
		begun   int
		err     error
	}{
		{name: "at once", scripts: [][]script.Step{whole}, want: []byte{1, 2, 3}, all: []byte{1, 2, 3}, begun: 1},
		{name: "empty", scripts: [][]script.Step{steps(page(done()))}, begun: 1},
		{name: "interrupted", scripts: [][]script.Step{steps(page(rec(0, 7)), page(rec(0, 8), rec(intr, 9))), whole},
			want: []byte{1, 2, 3}, all: []byte{7, 1, 2, 3}, begun: 2},
		{name: "interrupted at the end", scripts: [][]script.Step{append(steps(page(rec(0, 7)), page(script.Done(intr, 0))), whole...)},
			want: []byte{1, 2, 3}, all: []byte{7, 1, 2, 3}, begun: 2},
		{name: "overrun", scripts: [][]script.Step{steps(page(rec(0, 7)), overrun), whole},
			want: []byte{1, 2, 3}, all: []byte{7, 1, 2, 3}, begun: 2},
		{name: "truncated", scripts: [][]script.Step{steps(page(rec(0, 7)), tooLarge()), steps(tooLarge(), page(done()))},
			want: []byte{200}, all: []byte{7, 200}, begun: 2},
		{name: "all in vain", scripts: [][]script.Step{steps(page(rec(intr, 7))), steps(page(rec(0, 8)), page(rec(intr, 9))), steps(page(rec(intr, 9)))},
			all: []byte{8}, begun: 3, err: nldump.ErrInterrupted},
		{name: "refused", scripts: [][]script.Step{steps(page(rec(0, 7), script.Done(0, unix.EIO)))}, want: []byte{7}, all: []byte{7}, begun: 1, err: unix.EIO},
		{name: "malformed", scripts: [][]script.Step{steps(page(rec(0, 7), rec(0, 8)[:12]))}, want: []byte{7}, all: []byte{7}, begun: 1, err: nldump.ErrMalformed},
		{name: "no socket", scripts: [][]script.Step{steps(page(rec(intr, 7)))}, begun: 2, err: unix.EMFILE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, k := dialScripts(t, nldump.Config{BufferSize: nldump.MinBufferSize}, tt.scripts...)
			got, all, begun, err := retry(t.Context(), s, 3)
			if !slices.Equal(got, tt.want) || !slices.Equal(all, tt.all) || begun != tt.begun || !errors.Is(err, tt.err) {
				t.Errorf("got %v of %v, begun %d times, %v", got, all, begun, err)
			}
			if (tt.err == nldump.ErrInterrupted) != (err != nil && strings.Contains(err.Error(), "gave up after 3 attempts")) {
				t.Errorf("error %q", err)
			}
			if len(k.dialed) != len(tt.scripts) {
				t.Errorf("%d sockets, want %d", len(k.dialed), len(tt.scripts))
			}
			for i, closed := range k.closed() {
				if i < len(k.dialed)-1 && !closed {
					t.Errorf("socket %d stayed open", i)
				}
			}
			if free := !errors.Is(err, nldump.ErrMalformed); s.Idle() != free {
				t.Errorf("idle %v", s.Idle())
			}
		})
	}
}

// The rest of a failed pass is read to its end, and none of it is delivered.
func TestRetryOnOneSocket(t *testing.T) {
	page := script.Page
	s, sock := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize},
		page(rec(0, 7)), page(rec(intr, 8)), page(rec(0, 9)), page(done()),
		page(rec(0, 8)), tooLarge(), page(done()),
		page(rec(0, 1), done()))
	got, all, begun, err := retry(t.Context(), s, 3)
	if !slices.Equal(got, []byte{1}) || !slices.Equal(all, []byte{7, 8, 1}) || begun != 3 || err != nil {
		t.Errorf("got %v of %v, begun %d times, %v", got, all, begun, err)
	}
	if n := len(sock.Sent()); n != 3 {
		t.Errorf("%d requests", n)
	}
	// After an overrun, the end may never come.
	s, _ = script.Stream(nldump.Config{}, script.Step{Err: unix.ENOBUFS}, script.Step{Wait: true})
	if _, _, begun, err := retry(t.Context(), s, 3); begun != 1 || !errors.Is(err, nldump.ErrOverrun) {
		t.Errorf("begun %d times, %v", begun, err)
	}
	// Another attempt would be truncated, too.
	s, _ = dialScripts(t, nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: 5000}, steps(tooLarge()), steps(tooLarge()))
	if _, _, begun, err := retry(t.Context(), s, 3); begun != 1 || !errors.Is(err, nldump.ErrTruncated) {
		t.Errorf("begun %d times, %v", begun, err)
	}
	// A dump that cannot be read to its end cannot be repeated.
	s, _ = script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize}, tooLarge(), script.Step{Err: unix.EIO})
	if _, _, begun, err := retry(t.Context(), s, 3); begun != 1 || !errors.Is(err, unix.EIO) {
		t.Errorf("begun %d times, %v", begun, err)
	}
}

// If Retry opens another socket, it does not drain the old one, even if the
// stream drains abandoned dumps.
func TestRetryDoesNotDrain(t *testing.T) {
	for _, how := range []nldump.Abandon{nldump.AbandonPark, nldump.AbandonClose, nldump.AbandonDrain} {
		s, _ := dialScripts(t, nldump.Config{Abandon: how},
			steps(script.Page(rec(intr, 7)), script.Step{Wait: true}), steps(script.Page(rec(0, 1), done())))
		if got, _, begun, err := retry(t.Context(), s, 2); err != nil || begun != 2 || !slices.Equal(got, []byte{1}) {
			t.Errorf("%v: got %v, begun %d times, %v", how, got, begun, err)
		}
	}
}

// The caller's own error is returned unchanged.
func TestRetryRecordFails(t *testing.T) {
	s, _ := dialScripts(t, closing, steps(script.Page(rec(0, 1), rec(0, 2))))
	n := 0
	err := s.Retry(t.Context(), nldump.Dump{Request: request()}, 5, func(int) {}, func(nldump.Message) error {
		n++
		return nldump.ErrInterrupted
	})
	if err != nldump.ErrInterrupted || n != 1 || !s.Idle() {
		t.Errorf("got %v after %d records, idle %v", err, n, s.Idle())
	}
}

func TestRetryEnds(t *testing.T) {
	s, sock := script.Stream(nldump.Config{})
	if _, _, begun, err := retry(t.Context(), s, 0); err == nil || begun != 0 || len(sock.Sent()) != 0 {
		t.Errorf("no attempt: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, begun, err := retry(ctx, s, 5); !errors.Is(err, context.Canceled) || begun != 1 {
		t.Errorf("cancelled: %v, begun %d times", err, begun)
	}
}

// Retry does not resume, because a resumed dump would count as interrupted.
func TestRetryDoesNotResume(t *testing.T) {
	s, _ := dialScripts(t, nldump.Config{BufferSize: nldump.MinBufferSize},
		steps(script.Page(rec(0, 1)), tooLarge()), steps(script.Page(rec(0, 1)), tooLarge(), script.Page(done())))
	var got []byte
	err := s.Retry(t.Context(), nldump.Dump{Key: keyOf, Resume: after}, 2, func(int) { got = nil }, func(m nldump.Message) error {
		got = append(got, m.Data[0])
		return nil
	})
	if err != nil || !slices.Equal(got, []byte{1, 200}) {
		t.Errorf("got %v, %v", got, err)
	}
}
