// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Dumps with options that depend on the family.

// keyOf returns the number in a record made by rec.
func keyOf(dst []byte, m nldump.Message) ([]byte, error) { return append(dst, m.Data[0]), nil }

// after returns the request for the records after a key.
func after(key []byte) (nldump.Message, error) {
	req := request()
	req.Data = append([]byte("after "), key...)
	return req, nil
}

// readDump reads a dump, as read does, with options.
func readDump(ctx context.Context, s *nldump.Stream, d nldump.Dump) (got []byte, err error) {
	for m, e := range s.Dump(ctx, d) {
		if err != nil {
			return got, errors.New("something was yielded after an error")
		}
		if err = e; e == nil {
			got = append(got, m.Data[0])
		}
	}
	return got, err
}

// tooLarge returns a page that does not fit into a buffer of 8 KiB.
func tooLarge() script.Step {
	return script.Page(script.Record(0, []byte{200, 0, 0, 0}, make([]byte, 5000)))
}

func TestKey(t *testing.T) {
	page := script.Page
	failed := errors.New("no key")
	for _, tt := range []struct {
		name  string
		steps []script.Step
		key   func([]byte, nldump.Message) ([]byte, error)
		want  []byte
		err   error
		text  string
	}{
		{name: "rises", steps: steps(page(rec(0, 1), rec(0, 2)), page(rec(0, 9), done())), key: keyOf, want: []byte{1, 2, 9}},
		{name: "rises, interrupted", steps: steps(page(rec(0, 1), rec(intr, 2), done())), key: keyOf, want: []byte{1, 2}, err: nldump.ErrInterrupted},
		{name: "equal", steps: steps(page(rec(0, 1), rec(0, 1), rec(0, 2)), page(done())), key: keyOf, want: []byte{1}, err: nldump.ErrNoProgress, text: "key 01 after 01"},
		{name: "equal, next page", steps: steps(page(rec(0, 1), rec(0, 2)), page(rec(0, 2), rec(0, 3)), page(done())), key: keyOf, want: []byte{1, 2}, err: nldump.ErrNoProgress},
		{name: "falls", steps: steps(page(rec(0, 1), rec(0, 3)), page(rec(0, 2)), page(done())), key: keyOf, want: []byte{1, 3}, err: nldump.ErrNoProgress, text: "key 02 after 03"},
		{name: "round in a circle", steps: steps(page(rec(0, 1)), page(rec(0, 2)), page(rec(0, 3)), page(rec(0, 1)), page(rec(0, 2))), key: keyOf, want: []byte{1, 2, 3}, err: nldump.ErrNoProgress},
		{name: "no key", steps: steps(page(rec(0, 1), rec(0, 2)), page(done())), want: []byte{1}, err: failed,
			key: func(dst []byte, m nldump.Message) ([]byte, error) {
				if m.Data[0] == 2 {
					return nil, failed
				}
				return keyOf(dst, m)
			}},
		{name: "empty keys", steps: steps(page(rec(0, 1), rec(0, 2)), page(done())), want: []byte{1}, err: nldump.ErrNoProgress,
			key: func(dst []byte, _ nldump.Message) ([]byte, error) { return dst, nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := script.Stream(nldump.Config{}, tt.steps...)
			got, err := readDump(t.Context(), s, nldump.Dump{Request: request(), Key: tt.key})
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
			if tt.text != "" && !bytes.Contains([]byte(err.Error()), []byte(tt.text)) {
				t.Errorf("error %q, want %q in it", err, tt.text)
			}
		})
	}
}

// The first key of a dump may have any value.
func TestKeyIsOfOneDump(t *testing.T) {
	one := script.Page(rec(0, 1), rec(0, 2), done())
	s, _ := script.Stream(nldump.Config{}, one, one)
	for range 2 {
		if _, err := readDump(t.Context(), s, nldump.Dump{Key: keyOf}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResume goes on after a page that did not fit, on a socket of the caller.
// To free that socket, the rest of the first dump must be read.
func TestResume(t *testing.T) {
	s, sock := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize},
		script.Page(rec(0, 1), rec(0, 2)), tooLarge(), script.Page(rec(0, 201)), script.Page(done()),
		script.Page(rec(0, 3)), tooLarge(), script.Page(rec(0, 201), done()))
	got, err := readDump(t.Context(), s, nldump.Dump{Request: request(), Key: keyOf, Resume: after})
	if !slices.Equal(got, []byte{1, 2, 3, 200, 201}) {
		t.Errorf("got %v", got)
	}
	if !errors.Is(err, nldump.ErrInterrupted) || errors.Is(err, nldump.ErrTruncated) {
		t.Errorf("error %v, want ErrInterrupted: the table may have changed between the two", err)
	}
	sent := sock.Sent()
	if len(sent) != 2 || !bytes.Equal(sent[1].Data, []byte("after \x02")) || sent[1].Flags != unix.NLM_F_REQUEST|unix.NLM_F_DUMP|unix.NLM_F_ACK {
		t.Errorf("sent %+v", sent)
	}
	if st := s.Stats(); st.Resumed != 1 || st.Records != 5 || st.Interrupted {
		t.Errorf("stats %+v", st)
	}
	if !s.Idle() {
		t.Error("not idle")
	}
}

// If the stream can open another socket, it does not read the rest.
func TestResumeOnAnotherSocket(t *testing.T) {
	s, k := dialScripts(t, nldump.Config{BufferSize: nldump.MinBufferSize},
		steps(script.Page(rec(0, 1)), tooLarge()),
		steps(tooLarge(), script.Page(rec(0, 201)), script.Page(done())))
	got, err := readDump(t.Context(), s, nldump.Dump{Request: request(), Key: keyOf, Resume: after})
	if !slices.Equal(got, []byte{1, 200, 201}) || !errors.Is(err, nldump.ErrInterrupted) {
		t.Errorf("got %v, %v", got, err)
	}
	if !slices.Equal(k.closed(), []bool{true, false}) {
		t.Errorf("closed %v", k.closed())
	}
}

// Before the first record there is no key, so the dump starts again.
func TestResumeFromTheStart(t *testing.T) {
	s, k := dialScripts(t, nldump.Config{BufferSize: nldump.MinBufferSize},
		steps(tooLarge()), steps(tooLarge(), script.Page(done())))
	req := request()
	req.Data = []byte("all")
	got, err := readDump(t.Context(), s, nldump.Dump{Request: req, Key: keyOf, Resume: after})
	if !slices.Equal(got, []byte{200}) || !errors.Is(err, nldump.ErrInterrupted) {
		t.Errorf("got %v, %v", got, err)
	}
	if again := k.dialed[1].Sent()[0]; string(again.Data) != "all" {
		t.Errorf("sent %q", again.Data)
	}
}

func TestResumeFails(t *testing.T) {
	failed := errors.New("cannot start there")
	no := func([]byte) (nldump.Message, error) { return nldump.Message{}, failed }
	small := nldump.Config{BufferSize: nldump.MinBufferSize}
	none := nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: 5000}
	first := script.Page(rec(0, 1))
	for _, tt := range []struct {
		name    string
		cfg     nldump.Config
		scripts [][]script.Step
		resume  func([]byte) (nldump.Message, error)
		err     error
		grown   bool
	}{
		{name: "not asked for", cfg: small, scripts: [][]script.Step{{first, tooLarge()}}, err: nldump.ErrTruncated, grown: true},
		{name: "larger than the buffer may be", cfg: none, scripts: [][]script.Step{{first, tooLarge()}}, resume: after, err: nldump.ErrTruncated},
		{name: "no request", cfg: small, scripts: [][]script.Step{{first, tooLarge()}}, resume: no, err: failed},
		{name: "no socket", cfg: small, scripts: [][]script.Step{{first, tooLarge()}}, resume: after, err: unix.EMFILE},
		{name: "starts too early", cfg: small, scripts: [][]script.Step{{first, tooLarge()}, {first, script.Page(done())}}, resume: after, err: nldump.ErrNoProgress},
		{name: "refused", cfg: small, scripts: [][]script.Step{{first, tooLarge()},
			{script.Page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.EINVAL), make([]byte, 16)))}}, resume: after, err: unix.EINVAL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := dialScripts(t, tt.cfg, tt.scripts...)
			got, err := readDump(t.Context(), s, nldump.Dump{Key: keyOf, Resume: tt.resume})
			if !slices.Equal(got, []byte{1}) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v; want %v", got, err, tt.err)
			}
			var cut *nldump.TruncatedError
			if errors.As(err, &cut) && cut.Grown != tt.grown {
				t.Errorf("grown %v", cut.Grown)
			}
		})
	}
}

// While the stream drains a dump, another page does not fit. Dropped pages may
// be cut.
func TestResumeDrainsWhatIsCut(t *testing.T) {
	s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: 8 << 10},
		script.Page(rec(0, 1)), tooLarge(), script.Step{Page: make([]byte, 9000)}, script.Page(done()),
		script.Page(rec(0, 2), done()))
	got, err := readDump(t.Context(), s, nldump.Dump{Key: keyOf, Resume: after})
	if !slices.Equal(got, []byte{1, 2}) || !errors.Is(err, nldump.ErrInterrupted) || !s.Idle() {
		t.Errorf("got %v, %v, idle %v", got, err, s.Idle())
	}
}

func TestResumeNeedsKey(t *testing.T) {
	s, sock := script.Stream(nldump.Config{})
	if _, err := readDump(t.Context(), s, nldump.Dump{Resume: after}); err == nil || len(sock.Sent()) != 0 {
		t.Errorf("got %v, %d requests", err, len(sock.Sent()))
	}
}

// After a page that did not fit, the next dump has a buffer of that size or a
// little more, but not more than allowed.
func TestBufferGrows(t *testing.T) {
	for max, want := range map[int]int{0: 8 << 10, 5100: 5100, 5020: 5020} {
		s, err := nldump.DialWith((&sockets{scripts: [][]script.Step{steps(tooLarge()), steps(tooLarge(), script.Page(done()))}}).dial,
			nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: max, Abandon: nldump.AbandonClose})
		if err != nil {
			t.Fatal(err)
		}
		_, err = read(t.Context(), s)
		var cut *nldump.TruncatedError
		if !errors.As(err, &cut) || *cut != (nldump.TruncatedError{Size: 5020, Buffer: 4096, Grown: true}) {
			t.Fatalf("up to %d: %v", max, err)
		}
		if got, err := read(t.Context(), s); err != nil || !slices.Equal(got, []byte{200}) {
			t.Errorf("up to %d: %v, %v", max, got, err)
		}
		if n := nldump.BufferSize(s); n != want {
			t.Errorf("up to %d: buffer of %d, want %d", max, n, want)
		}
	}
}
