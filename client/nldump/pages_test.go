// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Pages that are kept beyond their iteration.

// numbersOf returns the numbers of a page's records.
func numbersOf(p nldump.Page) (got []byte) {
	for m := range p.Records() {
		got = append(got, m.Data[0])
	}
	return got
}

// threePages is a dump with one page without a record, and with messages of the
// netlink layer before, between and after the records.
func threePages() []script.Step {
	noop := script.Message(unix.NLMSG_NOOP, 0)
	return steps(script.Page(rec(0, 1), noop, noop, rec(0, 2), noop), script.Page(noop),
		script.Page(noop, rec(0, 3)), script.Page(rec(intr, 4), done()))
}

func TestPages(t *testing.T) {
	pool := nldump.NewPool(1)
	s, _ := script.Stream(nldump.Config{Pool: pool}, threePages()...)
	var got [][]byte
	var last error
	for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request()}) {
		if last = err; err == nil {
			got = append(got, numbersOf(p))
		} else if p.Len() != 0 || numbersOf(p) != nil {
			t.Error("an error with records")
		}
		p.Release() // with the error, it is the zero Page
	}
	if want := [][]byte{{1, 2}, {3}, {4}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !errors.Is(last, nldump.ErrInterrupted) || pool.Held() != 0 {
		t.Errorf("%v, %d pages held", last, pool.Held())
	}
}

// Len counts all records of a page. It counts records with equal headers in a
// run, up to the page's end or up to a message that is not a record.
func TestPageLen(t *testing.T) {
	alike := slices.Concat(rec(0, 1), rec(0, 2), rec(0, 3))
	s, _ := script.Stream(nldump.Config{Pool: nldump.NewPool(1)},
		script.Page(alike), script.Page(alike, script.Message(unix.NLMSG_NOOP, 0), rec(0, 4)), script.Page(done()))
	want := [][]byte{{1, 2, 3}, {1, 2, 3, 4}}
	for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request()}) {
		if got := numbersOf(p); err != nil || p.Len() != len(want[0]) || !bytes.Equal(got, want[0]) {
			t.Errorf("%d records, %v: %v, want %v", p.Len(), got, err, want[0])
		}
		want = want[1:]
		p.Release()
	}
}

// TestPagesAreHeld looks at all pages after the end of the dump.
func TestPagesAreHeld(t *testing.T) {
	pool := nldump.NewPool(4) // one page has only the end
	s, _ := script.Stream(nldump.Config{Pool: pool}, append(threePages()[:3], script.Page(done()))...)
	var held []nldump.Page
	for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request()}) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	if pool.Held() != 2 {
		t.Errorf("%d pages held, want 2", pool.Held())
	}
	var got [][]byte
	for _, p := range held {
		if got = append(got, numbersOf(p)); p.Len() != len(got[len(got)-1]) {
			t.Errorf("%d records, of %d", len(got[len(got)-1]), p.Len())
		}
		p.Release()
	}
	if len(got) != 2 || !bytes.Equal(got[0], []byte{1, 2}) || !bytes.Equal(got[1], []byte{3}) || pool.Held() != 0 {
		t.Errorf("got %v; %d pages held", got, pool.Held())
	}
	if st := s.Stats(); st.Records != 3 || st.Pages != 2 {
		t.Errorf("stats %+v", st)
	}
}

// If all pages are held, the loop waits for one, until its context ends.
func TestPagesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := nldump.NewPool(0)                                                          // at least 1
		s, _ := script.Stream(nldump.Config{Pool: pool, StallTimeout: 1}, threePages()...) // waiting here is not a stall
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		n := 0
		for p, err := range s.Pages(ctx, nldump.Dump{Request: request()}) {
			switch n++; n {
			case 1:
				time.AfterFunc(time.Minute, p.Release)
			case 2: // for ever
			case 3:
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Hour {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			}
			if n == 2 && time.Since(start) != time.Minute {
				t.Errorf("the second page after %v", time.Since(start))
			}
		}
		if n != 3 || pool.Held() != 1 {
			t.Errorf("%d iterations, %d pages held", n, pool.Held())
		}
	})
}

// The good records of a page come before its error, and the stream keeps no
// page.
func TestPagesErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []script.Step
		want  [][]byte
		err   error
	}{
		{"malformed", steps(script.Page(rec(0, 1), rec(0, 2)[:12])), [][]byte{{1}}, nldump.ErrMalformed},
		{"refused", steps(script.Page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.EINVAL), make([]byte, 16)))), nil, unix.EINVAL},
		{"truncated", steps(script.Page(rec(0, 1)), tooLarge()), [][]byte{{1}}, nldump.ErrTruncated},
		{"key", steps(script.Page(rec(0, 2), rec(0, 1))), [][]byte{{2}}, nldump.ErrNoProgress},
		{"no end", steps(script.Page(rec(0, 2))), [][]byte{{2}}, script.ErrEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := nldump.NewPool(2)
			s, _ := script.Stream(nldump.Config{Pool: pool, BufferSize: nldump.MinBufferSize}, tt.steps...)
			var got [][]byte
			var last error
			for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request(), Key: keyOf}) {
				if last = err; err == nil {
					got = append(got, numbersOf(p))
				}
				p.Release()
			}
			if !slices.EqualFunc(got, tt.want, slices.Equal) || !errors.Is(last, tt.err) || pool.Held() != 0 {
				t.Errorf("got %v, %v, %d held; want %v, %v", got, last, pool.Held(), tt.want, tt.err)
			}
		})
	}
}

// Each page is valid until the next one, or until its release.
func TestPagesWithoutPool(t *testing.T) {
	for _, release := range []bool{false, true} {
		s, _ := script.Stream(nldump.Config{}, threePages()...)
		var got [][]byte
		var last error
		var before nldump.Page
		for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request()}) {
			if len(got) > 0 && !panics(func() { before.Len() }) {
				t.Errorf("page %d is valid after the next one was made", len(got))
			}
			if last = err; err == nil {
				got, before = append(got, numbersOf(p)), p
			}
			if release {
				p.Release()
				if err == nil && !panics(func() { p.Len() }) {
					t.Errorf("page %d is valid after its release", len(got))
				}
			}
		}
		if want := [][]byte{{1, 2}, {3}, {4}}; !slices.EqualFunc(got, want, slices.Equal) || !errors.Is(last, nldump.ErrInterrupted) {
			t.Errorf("got %v, %v; want %v", got, last, want)
		}
		if s.Stats().Records != 4 || !s.Idle() {
			t.Errorf("%+v, idle %v", s.Stats(), s.Idle())
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// Messages yields the same as Records, including a record with only a header,
// and an unpadded one at the end of a page.
func TestMessages(t *testing.T) {
	bare := script.Message(script.Type, unix.NLM_F_MULTI)
	unpadded := rec(0, 7)[:unix.SizeofNlMsghdr+1]
	binary.NativeEndian.PutUint32(unpadded, uint32(len(unpadded)))
	pages := append(threePages()[:3], script.Page(rec(0, 5), bare), script.Page(rec(0, 6), unpadded), script.Page(done()))
	s, _ := script.Stream(nldump.Config{}, pages...)
	for p, err := range s.Pages(t.Context(), nldump.Dump{Request: request()}) {
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		ms := p.Messages()
		for want := range p.Records() {
			if len(ms) == 0 {
				t.Fatalf("no record, want %+v", want)
			}
			b := ms.Bytes()
			if ms.Type() != want.Type || !bytes.Equal(ms.Data(), want.Data) || !reflect.DeepEqual(ms.Message(), want) {
				t.Errorf("%+v, want %+v", ms.Message(), want)
			}
			if m, rest, err := nldump.NextMessage(b); err != nil || len(rest) > 0 || !reflect.DeepEqual(m, want) {
				t.Errorf("%+v in its bytes, and %d more, want %+v", m, len(rest), want)
			}
			if cap(ms.Data()) != len(ms.Data()) || cap(b) != len(b) {
				t.Errorf("one can append to a record of %d bytes: %d, with its header %d", len(ms.Data()), cap(ms.Data()), cap(b))
			}
			n++
			ms = ms.Next()
		}
		if n != p.Len() || len(ms) > 0 {
			t.Errorf("%d records of %d, and %d bytes", n, p.Len(), len(ms))
		}
	}
	if ms := (nldump.Page{}).Messages(); len(ms) > 0 {
		t.Error("the zero page has a record")
	}
}

// TestPagesResume grows the pool's buffers.
func TestPagesResume(t *testing.T) {
	pool := nldump.NewPool(1)
	s, _ := dialScripts(t, nldump.Config{Pool: pool, BufferSize: nldump.MinBufferSize},
		steps(script.Page(rec(0, 1)), tooLarge()), steps(tooLarge(), script.Page(done())))
	var got []byte
	for p, err := range s.Pages(t.Context(), nldump.Dump{Key: keyOf, Resume: after}) {
		if err != nil && !errors.Is(err, nldump.ErrInterrupted) {
			t.Fatal(err)
		}
		got = append(got, numbersOf(p)...)
		p.Release()
	}
	if !bytes.Equal(got, []byte{1, 200}) {
		t.Errorf("got %v", got)
	}
}

// TestPagesBreak leaves the loop with a page in hand.
func TestPagesBreak(t *testing.T) {
	pool := nldump.NewPool(2)
	s, k := dialScripts(t, nldump.Config{Pool: pool, Abandon: nldump.AbandonClose}, threePages())
	for p := range s.Pages(t.Context(), nldump.Dump{}) {
		defer p.Release()
		break
	}
	if pool.Held() != 1 || !k.dialed[0].Closed() {
		t.Errorf("%d pages held, closed %v", pool.Held(), k.closed())
	}
}

// sized notes the sizes of the buffers that it is read with.
type sized struct {
	*script.Socket
	sizes []int
}

func (s *sized) Recv(b []byte) (nldump.Datagram, error) {
	s.sizes = append(s.sizes, len(b))
	return s.Socket.Recv(b)
}

// If a stream with small pages gets a large buffer, it does not read with the
// whole buffer, because the kernel would make its pages as large.
func TestPoolIsShared(t *testing.T) {
	pool := nldump.NewPool(1)
	for _, size := range []int{nldump.DefaultBufferSize, nldump.MinBufferSize} {
		sock := &sized{Socket: script.New(script.Page(rec(0, 1), done()))}
		s, err := nldump.New(sock, nldump.Config{Pool: pool, BufferSize: size})
		if err != nil {
			t.Fatal(err)
		}
		for p, err := range s.Pages(t.Context(), nldump.Dump{}) {
			if err != nil {
				t.Fatal(err)
			}
			p.Release()
		}
		if !slices.Equal(sock.sizes, []int{size}) {
			t.Errorf("read with %v, want %d", sock.sizes, size)
		}
	}
}

// Goroutines decode pages while the loop reads them. There are as many buffers
// as goroutines, and twice as many pages.
func TestPagesInGoroutines(t *testing.T) {
	const workers, pages = 4, 200
	pool := nldump.NewPool(workers)
	s, _ := script.Stream(nldump.Config{Pool: pool}, bigDump(pages, 10)...)
	work := make(chan nldump.Page)
	var mu sync.Mutex
	seen := map[uint32]int{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for p := range work {
				var ids []uint32
				for m := range p.Records() {
					a := m.Attrs(0)
					if a.Find(1) {
						ids = append(ids, a.Uint32())
					}
				}
				p.Release()
				mu.Lock()
				for _, id := range ids {
					seen[id]++
				}
				mu.Unlock()
			}
		})
	}
	for p, err := range s.Pages(t.Context(), nldump.Dump{}) {
		if err != nil {
			t.Fatal(err)
		}
		work <- p
	}
	close(work)
	group.Wait()
	for id := range uint32(pages * 10) {
		if seen[id] != 1 {
			t.Fatalf("record %d was seen %d times", id, seen[id])
		}
	}
	if len(seen) != pages*10 || pool.Held() != 0 {
		t.Errorf("%d records, %d pages held", len(seen), pool.Held())
	}
}

// onePage returns a page that is held.
func onePage(t *testing.T, pool *nldump.Pool) (page nldump.Page) {
	s, _ := script.Stream(nldump.Config{Pool: pool}, script.Page(rec(0, 1), rec(0, 2), done()))
	for p, err := range s.Pages(t.Context(), nldump.Dump{}) {
		if err != nil {
			t.Fatal(err)
		}
		page = p
	}
	return page
}

// Each misuse panics, and the same code without it does not.
func TestPageMisuse(t *testing.T) {
	for name, use := range map[string]func(p nldump.Page){
		"Release":  func(p nldump.Page) { p.Release() },
		"Records":  func(p nldump.Page) { numbersOf(p) },
		"Messages": func(p nldump.Page) { p.Messages() },
		"Len":      func(p nldump.Page) { p.Len() },
	} {
		for _, misused := range []bool{false, true} {
			p := onePage(t, nldump.NewPool(1))
			if misused {
				p.Release()
			}
			if got := panics(func() { use(p) }); got != misused {
				t.Errorf("%s: misused %v, panic %v", name, misused, got)
			}
		}
	}
	// Also if its buffer has become another page, or if it is released in the
	// loop.
	pool := nldump.NewPool(1)
	p := onePage(t, pool)
	p.Release()
	other := onePage(t, pool)
	for name, use := range map[string]func(){
		"stale": func() { p.Len() },
		"at the end of a loop": func() {
			s, _ := script.Stream(nldump.Config{}, script.Page(rec(0, 1)), script.Page(done()))
			for p := range s.Pages(t.Context(), nldump.Dump{}) {
				for range p.Records() {
					p.Release()
				}
			}
		},
		"in loop": func() {
			released := false
			for range other.Records() {
				if !released {
					other.Release()
				}
				released = true
			}
		},
	} {
		if !panics(use) {
			t.Errorf("%s: no panic", name)
		}
	}
}

// TestPoison keeps a record longer than its page.
func TestPoison(t *testing.T) {
	for _, poison := range []bool{false, true} {
		pool := nldump.NewPool(1)
		pool.Poison = poison
		p := onePage(t, pool)
		var kept nldump.Message
		for m := range p.Records() {
			kept = m
		}
		p.Release()
		a := kept.Attrs(0)
		for a.Next() {
		}
		if spoilt := kept.Data[0] != 2 && errors.Is(a.Err(), nldump.ErrMalformed); spoilt != poison {
			t.Errorf("poison %v: % x, %v", poison, kept.Data, a.Err())
		}
	}
	if nldump.NewPool(1).Poison != nldump.RaceEnabled {
		t.Error("poison where there is no race detector, or none where there is")
	}
}
