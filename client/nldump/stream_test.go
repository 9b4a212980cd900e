// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	intr     = unix.NLM_F_DUMP_INTR
	filtered = unix.NLM_F_DUMP_FILTERED
	tlvs     = 0x200 // NLM_F_ACK_TLVS
	capped   = 0x100 // NLM_F_CAPPED
)

// rec returns a record with one number.
func rec(flags uint16, n byte) []byte { return script.Record(flags, []byte{n, 0, 0, 0}) }

// plain returns a record without NLM_F_MULTI.
func plain(n byte) []byte { return script.Message(script.Type, 0, []byte{n, 0, 0, 0}) }

func done() []byte { return script.Done(0, 0) }

// request returns any request; the scripts ignore it.
func request() nldump.Message { return nldump.Message{Type: script.Type} }

// read runs a dump to its end and returns the numbers of its records.
func read(ctx context.Context, s *nldump.Stream) (got []byte, err error) {
	for m, e := range s.Records(ctx, request()) {
		if e != nil {
			if err != nil {
				return got, errors.New("a second error was yielded")
			}
			err = e
			continue
		}
		if got = append(got, m.Data[0]); len(got) > 100 {
			return got, errors.New("the dump does not end")
		}
	}
	return got, err
}

func TestRecords(t *testing.T) {
	page := script.Page
	oneAttr := script.Text(unix.NLMSGERR_ATTR_MSG, "bad id")
	offset := script.U32(unix.NLMSGERR_ATTR_OFFS, 20)
	echo := script.Message(script.Type, 0x301, []byte{1, 1, 0, 0})
	for _, tt := range []struct {
		name  string
		steps []script.Step
		want  []byte // the records
		err   error  // nil: a complete dump
		text  string // in the error's text
		busy  bool   // the dump is still open in the kernel afterwards
	}{
		{name: "empty", steps: []script.Step{page(done())}},
		{name: "one page", steps: []script.Step{page(rec(0, 1), rec(0, 2), done())}, want: []byte{1, 2}},
		{name: "pages", steps: []script.Step{page(rec(0, 1)), page(rec(0, 2), rec(0, 3)), page(rec(0, 4), done())}, want: []byte{1, 2, 3, 4}},
		{name: "odd lengths", steps: []script.Step{page(script.Record(0, []byte{1, 0}), script.Record(0, []byte{2}), done())}, want: []byte{1, 2}},
		{name: "DONE alone", steps: []script.Step{page(rec(0, 1)), page(done())}, want: []byte{1}},
		{name: "DONE without errno", steps: []script.Step{page(script.Message(unix.NLMSG_DONE, unix.NLM_F_MULTI))}},
		{name: "NOOP", steps: []script.Step{page(script.Message(unix.NLMSG_NOOP, 0), rec(0, 1), done())}, want: []byte{1}},
		{name: "multicast between", steps: []script.Step{page(rec(0, 1)), {Page: rec(0, 9), Group: 4}, page(done())}, want: []byte{1}},
		{name: "foreign sender", steps: []script.Step{{Page: page(rec(0, 9), done()).Page, From: 99}, page(rec(0, 1), done())}, want: []byte{1}},
		{name: "foreign and too large", steps: []script.Step{{Page: make([]byte, 5000), From: 99}, page(done())}},
		{name: "same page again, not too often", steps: []script.Step{page(rec(0, 1)), page(rec(0, 1)), page(rec(0, 1)), page(done())}, want: []byte{1, 1, 1}},

		{name: "INTR on a record", steps: []script.Step{page(rec(0, 1)), page(rec(intr, 2), rec(0, 3)), page(rec(0, 4), done())}, want: []byte{1, 2, 3, 4}, err: nldump.ErrInterrupted},
		{name: "INTR on DONE", steps: []script.Step{page(rec(0, 1)), page(script.Done(intr, 0))}, want: []byte{1}, err: nldump.ErrInterrupted},
		{name: "errno in DONE", steps: []script.Step{page(rec(0, 1), script.Done(0, unix.EMSGSIZE))}, want: []byte{1}, err: unix.EMSGSIZE, text: "ended early, after 1 records"},
		{name: "errno and INTR in DONE", steps: []script.Step{page(script.Done(intr, unix.EIO))}, err: unix.EIO, text: "failed before its first record"},
		{name: "record larger than a page", steps: []script.Step{page(script.Done(0, unix.EMSGSIZE))}, err: unix.EMSGSIZE, text: "read with a larger buffer"},
		{name: "EMSGSIZE of the request", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.EMSGSIZE), echo))}, err: unix.EMSGSIZE},
		{name: "the socket dumps already", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.EBUSY), echo))}, err: unix.EBUSY, text: "use another socket"},
		{name: "extack in DONE", steps: []script.Step{page(script.Done(tlvs, unix.ESTALE, oneAttr, offset))}, err: unix.ESTALE, text: "bad id (attribute at offset 20)"},
		{name: "refused", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.ENOENT), echo))}, err: os.ErrNotExist},
		{name: "refused with extack", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, tlvs, script.Errno(unix.EPERM), echo, oneAttr))}, err: os.ErrPermission, text: "bad id"},
		{name: "refused with extack, capped", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, tlvs|capped, script.Errno(unix.EEXIST), echo[:16], oneAttr))}, err: os.ErrExist, text: "bad id"},
		{name: "attribute missing", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, tlvs|capped, script.Errno(unix.EINVAL), echo[:16], script.U32(5, 3), script.U32(6, 24)))}, err: unix.EINVAL, text: "attribute 3 is missing"},
		{name: "acknowledged", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(0), echo))}, err: nldump.ErrProtocol, text: "a body that is too short"},
		{name: "errno of ipset's own", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(4097), echo))}, err: unix.Errno(4097)},
		{name: "errno that has no opposite", steps: []script.Step{page(script.Message(unix.NLMSG_ERROR, 0, []byte{0, 0, 0, 0x80}))}, err: nldump.ErrMalformed},
		{name: "errno above 0", steps: []script.Step{page(script.Message(unix.NLMSG_DONE, unix.NLM_F_MULTI, []byte{0, 0, 0, 1}))}, err: nldump.ErrMalformed},
		{name: "errno of 2 bytes", steps: []script.Step{page(script.Poke(script.Message(unix.NLMSG_ERROR, 0, []byte{0, 0, 0, 0}), 0, 18))}, err: nldump.ErrMalformed},

		{name: "truncated", steps: []script.Step{{Page: append(rec(0, 1), make([]byte, 4090)...)}, page(done())}, err: nldump.ErrTruncated, text: "page of 4110 bytes, buffer of 4096", busy: true},
		{name: "empty datagram", steps: []script.Step{page(rec(0, 1)), page(), page(rec(0, 2), done())}, want: []byte{1, 2}},
		{name: "empty datagram first", steps: []script.Step{page(), page(), page(rec(0, 2), done())}, want: []byte{2}},
		{name: "empty datagrams without end", steps: []script.Step{page(rec(0, 1)), {Again: true}}, want: []byte{1}, err: nldump.ErrNoProgress, busy: true},
		{name: "overrun", steps: []script.Step{page(rec(0, 1)), {Err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}}, want: []byte{1}, err: nldump.ErrOverrun, text: "no buffer space", busy: true},
		{name: "NLMSG_OVERRUN", steps: []script.Step{page(rec(0, 1), script.Message(unix.NLMSG_OVERRUN, 0))}, want: []byte{1}, err: nldump.ErrOverrun, busy: true},
		{name: "read fails", steps: []script.Step{{Err: unix.EBADF}}, err: unix.EBADF, busy: true},
		{name: "wrong sequence", steps: []script.Step{page(rec(0, 1), script.Poke(rec(0, 2), 8, 66), rec(0, 3))}, want: []byte{1}, err: nldump.ErrProtocol, text: "sequence 66 for port 42, want 7 for 42; it answers another request", busy: true},
		{name: "DONE of wrong sequence", steps: []script.Step{page(script.Poke(done(), 8, 66))}, err: nldump.ErrProtocol, busy: true},
		{name: "wrong port", steps: []script.Step{page(script.Poke(rec(0, 1), 12, 66))}, err: nldump.ErrProtocol, text: "for port 66", busy: true},
		{name: "wrong port on the second", steps: []script.Step{page(rec(0, 1), script.Poke(rec(0, 2), 12, 66))}, want: []byte{1}, err: nldump.ErrProtocol, text: "for port 66", busy: true},
		{name: "second shorter than a header", steps: []script.Step{page(rec(0, 1), script.Poke(rec(0, 2), 0, 15), done())}, want: []byte{1}, err: nldump.ErrMalformed, text: "message of 15 bytes", busy: true},
		{name: "second beyond the page", steps: []script.Step{page(rec(0, 1), script.Poke(rec(0, 2), 0, 99))}, want: []byte{1}, err: nldump.ErrMalformed, text: "message of 99 bytes", busy: true},
		{name: "no MULTI", steps: []script.Step{page(plain(1), plain(2)), page(plain(3), done())}, want: []byte{1, 2, 3}},
		{name: "MULTI now and then", steps: []script.Step{page(rec(0, 1), plain(2)), page(plain(3), rec(0, 4), plain(5), done())}, want: []byte{1, 2, 3, 4, 5}},
		{name: "no address", steps: []script.Step{page(script.Poke(script.Poke(rec(0, 1), 8, 0), 12, 0))}, err: nldump.ErrProtocol, text: "set Dump.Unaddressed", busy: true},
		{name: "reserved type", steps: []script.Step{page(script.Message(9, unix.NLM_F_MULTI))}, err: nldump.ErrProtocol, text: "reserved type 9", busy: true},
		{name: "cursor stands still", steps: []script.Step{{Page: rec(0, 1), Again: true}}, want: bytes.Repeat([]byte{1}, 22), err: nldump.ErrNoProgress, busy: true},
		{name: "short header", steps: []script.Step{page(rec(0, 1), rec(0, 2)[:12])}, want: []byte{1}, err: nldump.ErrMalformed, text: "12 bytes after the last message", busy: true},
		{name: "2 bytes", steps: []script.Step{page(rec(0, 1), []byte{16, 0})}, want: []byte{1}, err: nldump.ErrMalformed, busy: true},
		{name: "length below the header's", steps: []script.Step{page(script.Poke(rec(0, 1), 0, 15))}, err: nldump.ErrMalformed, busy: true},
		{name: "length beyond the page", steps: []script.Step{page(script.Poke(rec(0, 1), 0, 21))}, err: nldump.ErrMalformed, busy: true},
		{name: "length of 4 GiB", steps: []script.Step{page(script.Poke(rec(0, 1), 3, 0xff))}, err: nldump.ErrMalformed, busy: true},
		{name: "more after DONE", steps: []script.Step{page(rec(0, 1), done(), rec(0, 2))}, want: []byte{1}, err: nldump.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize, RepeatLimit: 21}, tt.steps...)
			got, err := read(t.Context(), s)
			if !slices.Equal(got, tt.want) {
				t.Errorf("records %v, want %v", got, tt.want)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %q in it", err, tt.text)
			}
			if s.Idle() == tt.busy {
				t.Errorf("idle %v, want %v", s.Idle(), !tt.busy)
			}
			if st := s.Stats(); st.Records != uint64(len(got)) {
				t.Errorf("stats say %d records, got %d", st.Records, len(got))
			}
		})
	}
}

func TestStats(t *testing.T) {
	s, _ := script.Stream(nldump.Config{},
		script.Page(rec(0, 1)), script.Step{Page: rec(0, 9), From: 99}, script.Page(), script.Page(rec(filtered, 2), rec(intr, 3)), script.Page(done()))
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrInterrupted) {
		t.Fatal(err)
	}
	want := nldump.Stats{Reads: 5, Pages: 2, Records: 3, Bytes: 20 + 40 + 20, LargestPage: 40, EmptyPages: 1, Foreign: 1, Interrupted: true, Filtered: true}
	if got := s.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// TestStatsOfLastDump shows that each dump starts from zero.
func TestStatsOfLastDump(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(rec(intr, 1), done()), script.Page(done()))
	if _, err := read(t.Context(), s); !errors.Is(err, nldump.ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := read(t.Context(), s); err != nil {
		t.Errorf("the second dump: %v", err)
	}
	if got, want := s.Stats(), (nldump.Stats{Reads: 1, Bytes: 20, LargestPage: 20}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// The bytes after the errno are not attributes, because NLM_F_ACK_TLVS is not
// set.
func TestTLVsNotAnnounced(t *testing.T) {
	why := script.Text(unix.NLMSGERR_ATTR_MSG, "why")
	for _, m := range [][]byte{
		script.Done(0, unix.EIO, why),
		script.Message(unix.NLMSG_ERROR, capped, script.Errno(unix.EIO), make([]byte, 16), why),
	} {
		s, _ := script.Stream(nldump.Config{}, script.Page(m))
		_, err := read(t.Context(), s)
		var k *nldump.KernelError
		if !errors.As(err, &k) || k.Message != "" {
			t.Errorf("got %v", err)
		}
	}
}

// TestKernelErrorFields checks how the attributes of a refusal are decoded.
func TestKernelErrorFields(t *testing.T) {
	s, _ := script.Stream(nldump.Config{}, script.Page(script.Done(tlvs, unix.EINVAL,
		script.Text(1, "why"), script.U32(2, 24), script.U32(5, 3), script.U32(6, 28))))
	_, err := read(t.Context(), s)
	var got *nldump.KernelError
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	want := nldump.KernelError{Errno: unix.EINVAL, Message: "why", Offset: 24, MissingType: 3, MissingNest: 28, Done: true}
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}
