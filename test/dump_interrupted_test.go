// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

const (
	attrColumns   = 15
	attrColumnsID = 1 // in attrColumns
)

// idsOf returns the ids in a message of a dump: one, or a column of them.
func idsOf(t testing.TB, m nldump.Message) (ids []uint32) {
	t.Helper()
	a := nldump.Parse(m.Data[4:])
	for a.Next() {
		switch a.Type() {
		case attrID:
			return []uint32{a.Uint32()}
		case attrColumns:
			column := a.Nested()
			for column.Next() {
				for b := column.Bytes(); column.Type() == attrColumnsID && len(b) > 0; b = b[4:] {
					ids = append(ids, binary.NativeEndian.Uint32(b))
				}
			}
			return ids
		}
	}
	t.Fatal("record without an id")
	return nil
}

// A kind is a way to request a dump: a cursor or a delta, and an encoding.
type kind struct {
	name     string
	cursor   client.Cursor
	delta    bool
	encoding client.Encoding
}

// eachKind runs fn for each kind, as a subtest.
func eachKind(t *testing.T, fn func(t *testing.T, k kind)) {
	for _, encoding := range encodings {
		for _, cursor := range cursors {
			k := kind{fmt.Sprintf("%v-%v", cursor, encoding), cursor, false, encoding}
			t.Run(k.name, func(t *testing.T) { fn(t, k) })
		}
		k := kind{fmt.Sprintf("since-%v", encoding), 0, true, encoding}
		t.Run(k.name, func(t *testing.T) { fn(t, k) })
	}
}

// attrs returns the attributes of a request for everything after the generation.
func (k kind) attrs(generation uint64) []byte {
	encoding := attrU32(attrEncoding, uint32(k.encoding))
	if k.delta {
		return append(attrU32(attrSince, uint32(generation)), encoding...)
	}
	return append(attrU32(attrCursor, uint32(k.cursor)), encoding...)
}

// options returns the same as attrs, for the client.
func (k kind) options(generation uint64) client.DumpOptions {
	o := client.DumpOptions{Cursor: k.cursor, Encoding: k.encoding}
	if k.delta {
		o.Since = &generation
	}
	return o
}

// A page of a dump as its reader sees it.
type page struct {
	ids    []uint32
	size   int   // size of its records, in bytes
	marked []int // its messages that have NLM_F_DUMP_INTR
	first  bool  // DONE is its first message
	done   *nldump.Message
}

func (s *rawSocket) page() (p page) {
	s.t.Helper()
	ms, _ := s.read()
	return pageOf(s.t, ms)
}

func pageOf(t testing.TB, ms []nldump.Message) (p page) {
	t.Helper()
	for i, m := range ms {
		if m.Flags&flagIntr != 0 {
			p.marked = append(p.marked, i)
		}
		if m.Type == unix.NLMSG_DONE {
			p.done, p.first = &m, i == 0
			continue
		}
		p.ids = append(p.ids, idsOf(t, m)...)
		p.size += (unix.SizeofNlMsghdr + len(m.Data) + 3) &^ 3
	}
	return p
}

// rest reads pages up to the last, and calls after with the number of each
// page.
func (s *rawSocket) rest(after func(page int)) (pages []page) {
	s.t.Helper()
	for {
		pages = append(pages, s.page())
		if p := pages[len(pages)-1]; p.done != nil {
			if v := verdictOf(s.t, *p.done); v.errno != 0 {
				s.t.Fatalf("the dump ended with %+v", v)
			}
			return pages
		}
		if len(pages) == 5000 {
			s.t.Fatalf("a dump without end: %d pages", len(pages))
		}
		after(len(pages) - 1)
	}
}

// stuff fills a socket with answers that nobody reads, until an error waits
// that reports those that did not fit.
func (s *rawSocket) stuff() {
	s.t.Helper()
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
		s.t.Fatal(err)
	}
	full := []unix.PollFd{{Fd: int32(s.fd)}}
	for n := 0; full[0].Revents&unix.POLLERR == 0; n++ {
		if n == 1000 {
			s.t.Fatal("the socket takes answers without end")
		}
		s.send(0xff, unix.NLM_F_REQUEST) // no family has this command: each answer is an error
		// Go's runtime sends signals to its threads, and a signal interrupts
		// poll.
		if _, err := unix.Poll(full, 0); err != nil && err != unix.EINTR {
			s.t.Fatal(err)
		}
	}
}

// parkBeforeFirstPage starts a dump when there is no room for its first page,
// so it waits between its start and that page. It returns the sequence number.
func (s *rawSocket) parkBeforeFirstPage(c *client.Client, attrs []byte) uint32 {
	s.t.Helper()
	s.stuff()
	before := state(s.t, c)
	seq := s.send(cmdEntryGet, flagDump, attrs)
	after := state(s.t, c)
	if after.DumpsStarted != before.DumpsStarted+1 || after.DumpsOpen != 1 || after.Scanned != before.Scanned {
		s.t.Fatalf("started dumps rose by %d, pages by %d, %d are open; want one that has no page", after.DumpsStarted-before.DumpsStarted, after.Pages-before.Pages, after.DumpsOpen)
	}
	return seq
}

// restOf reads the pages of the dump with a sequence number, and what comes
// before them. It counts the reads that failed with ENOBUFS, because there was
// no room for something.
func (s *rawSocket) restOf(seq uint32) (pages []page, lost int) {
	s.t.Helper()
	pages, lost = s.allOf(seq)
	if v := verdictOf(s.t, *pages[len(pages)-1].done); v.errno != 0 {
		s.t.Fatalf("the dump ended with %+v", v)
	}
	return pages, lost
}

// endOf reads all of that, and returns how the dump ended.
func (s *rawSocket) endOf(seq uint32) verdict {
	s.t.Helper()
	pages, _ := s.allOf(seq)
	return verdictOf(s.t, *pages[len(pages)-1].done)
}

func (s *rawSocket) allOf(seq uint32) (pages []page, lost int) {
	s.t.Helper()
	for {
		n, err := s.recv(0)
		if err == unix.ENOBUFS {
			lost++
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		ms := messages(s.t, slices.Clone(s.buf[:n]))
		if ms[0].Seq != seq {
			continue
		}
		p := pageOf(s.t, ms)
		pages = append(pages, p)
		if p.done != nil {
			return pages, lost
		}
	}
}

// wantMarks checks that only the first messages of these pages are marked.
func wantMarks(t *testing.T, pages []page, want ...int) {
	t.Helper()
	var got []int
	for i, p := range pages {
		if len(p.marked) > 0 {
			got = append(got, i)
		}
		if len(p.marked) > 1 || len(p.marked) == 1 && p.marked[0] != 0 {
			t.Errorf("page %d: messages %v are marked", i, p.marked)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("marked pages %v, want %v", got, want)
	}
}

// consistencyTable has entries for several pages of the smallest buffer, made after
// a generation.
func consistencyTable(t *testing.T) (c *client.Client, generation uint64) {
	t.Helper()
	return pagesTable(t, 400)
}

func pagesTable(t *testing.T, count uint32) (c *client.Client, generation uint64) {
	t.Helper()
	c = setup(t)
	generation = state(t, c).Generation
	fill(t, c, client.FillOptions{Count: smallPages(count), PayloadMin: 20, PayloadMax: 60})
	return c, generation
}

// touch changes an entry.
func touch(t *testing.T, c *client.Client, id uint32) {
	t.Helper()
	if _, err := c.Set(t.Context(), client.Change{ID: id, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
}

// Without a change, no message is marked, and every record comes.
// Rule 8.
func TestIntrNeverWithoutAChange(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := consistencyTable(t)
		touch(t, c, 0) // before the dump
		s := openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		pages := s.rest(func(int) {})
		wantMarks(t, pages)
		if len(pages) < 5 {
			t.Fatalf("%d pages: too few to prove anything", len(pages))
		}
		touch(t, c, 1) // after it
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		again := s.rest(func(int) {})
		wantMarks(t, again)
	})
}

// A change after the start and before the first page marks the first record.
// Rule 8.
func TestIntrOfAChangeBeforeTheFirstPage(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := consistencyTable(t)
		s := openRaw(t, client.FamilyName, smallBuffer)
		seq := s.parkBeforeFirstPage(c, k.attrs(generation))
		touch(t, c, 399)
		pages, _ := s.restOf(seq)
		wantMarks(t, pages, 0)
	})
}

// A change between two pages marks the first message that is built after it, and
// no other.
// Rule 8.
func TestIntrOfAChangeBetweenPages(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := consistencyTable(t)
		s := openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		pages := s.rest(func(page int) {
			if page == 1 || page == 3 {
				touch(t, c, 0)
			}
		})
		wantMarks(t, pages, 3, 5) // one page was already built each time
	})
}

// A change after which nothing is left to send marks only DONE.
// Rules 8, 20.
func TestIntrOnDoneAlone(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := pagesTable(t, 160) // three pages and some entries that are deleted
		s := openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		atRest := s.rest(func(int) {})
		s = openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		pages := s.rest(func(page int) {
			if page != 1 {
				return
			}
			for _, p := range atRest[page+2:] { // what is not on a page yet
				for _, id := range p.ids {
					if _, err := c.Delete(t.Context(), id); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
		if len(pages) != 4 || !pages[3].first {
			t.Fatalf("%d pages, want three with records and one of DONE", len(pages))
		}
		wantMarks(t, pages, 3)
		for i, p := range pages {
			if i < 3 && !slices.Equal(p.ids, atRest[i].ids) {
				t.Errorf("page %d has other records than without the change", i)
			}
		}
	})
}

// A change after the last record was built does not count for the dump.
// Rule 8.
func TestIntrNotAfterTheLastPage(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c, generation := consistencyTable(t)
		s := openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		atRest := s.rest(func(int) {})
		last := len(atRest) - 1
		if atRest[last].first {
			last--
		}
		s = openRaw(t, client.FamilyName, smallBuffer)
		s.send(cmdEntryGet, flagDump, k.attrs(generation))
		pages := s.rest(func(page int) {
			if page == last-1 {
				touch(t, c, 0)
			}
		})
		wantMarks(t, pages)
		if len(pages) != len(atRest) {
			t.Errorf("%d pages, without the change %d", len(pages), len(atRest))
		}
	})
}

// Any change between two pages is reported, and the dump still delivers every
// entry that was there throughout.
// Rule 8.
func TestChangeDuringDumpInterrupts(t *testing.T) {
	const count = 2000
	for _, tt := range []struct {
		name   string
		change func(context.Context, *client.Client) error
	}{
		{"new behind", func(ctx context.Context, c *client.Client) error {
			_, err := c.New(ctx, client.Entry{ID: 0, Name: "new"})
			return err
		}},
		{"new ahead", func(ctx context.Context, c *client.Client) error {
			_, err := c.New(ctx, client.Entry{ID: math.MaxUint32, Name: "new"})
			return err
		}},
		{"set", func(ctx context.Context, c *client.Client) error {
			_, err := c.Set(ctx, client.Change{ID: 1, Value: ptr(uint64(1))})
			return err
		}},
		{"set and back", func(ctx context.Context, c *client.Client) error {
			_, err1 := c.New(ctx, client.Entry{ID: 0, Name: "new"})
			_, err2 := c.Delete(ctx, 0)
			return errors.Join(err1, err2)
		}},
		{"delete", func(ctx context.Context, c *client.Client) error {
			_, err := c.Delete(ctx, 1)
			return err
		}},
		{"fill", func(ctx context.Context, c *client.Client) error {
			_, err := c.Fill(ctx, client.FillOptions{Count: 10, IDStart: 1 << 20})
			return err
		}},
		{"flush", func(ctx context.Context, c *client.Client) error {
			_, err := c.Flush(ctx)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := setup(t)
			fill(t, c, client.FillOptions{Count: count, IDStart: 1})
			before := state(t, c)
			n := 0
			var last error
			for _, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
				if last = err; err != nil {
					break
				}
				if n++; n == 1 {
					if err := tt.change(t.Context(), c); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !errors.Is(last, client.ErrInterrupted) {
				t.Errorf("error %v, want %v", last, client.ErrInterrupted)
			}
			if n < count && tt.name != "flush" {
				t.Errorf("%d records, want at least %d", n, count)
			}
			after := checkCounters(t, c)
			if got := after.DumpsInterrupted - before.DumpsInterrupted; got != 1 {
				t.Errorf("interrupted dumps rose by %d, want 1", got)
			}
			if got := after.DumpsFinished - before.DumpsFinished; got != 1 {
				t.Errorf("finished dumps rose by %d, want 1", got)
			}
		})
	}
}

// Only a change interrupts a dump: not lookups, refused changes or other dumps,
// and not changes before the dump or after it.
// Rule 8.
func TestNoInterruptWithoutChange(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000})
	before := state(t, c)
	n := 0
	for r, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%100 != 1 {
			continue
		}
		if _, err := c.Get(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := c.New(t.Context(), client.Entry{ID: r.ID, Name: "taken"}); !errors.Is(err, unix.EEXIST) {
			t.Fatalf("error %v, want EEXIST", err)
		}
		if _, err := c.Delete(t.Context(), 1<<20); !errors.Is(err, unix.ENOENT) {
			t.Fatalf("error %v, want ENOENT", err)
		}
		mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(1990))})
	}
	after := state(t, c)
	if n != 2000 || after.Generation != before.Generation || after.DumpsInterrupted != before.DumpsInterrupted {
		t.Errorf("%d records, generation rose by %d, interrupted dumps by %d", n,
			after.Generation-before.Generation, after.DumpsInterrupted-before.DumpsInterrupted)
	}
	makeEntry(t, c, client.Entry{ID: 1 << 20})
	mustDump(t, c, client.DumpOptions{})
}
