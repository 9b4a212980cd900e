// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// FuzzPage reads a dump of one arbitrary page. It must not panic. Data must be
// inside the page. There is at most one error, of a known kind, and no success
// without an NLMSG_DONE.
func FuzzPage(f *testing.F) {
	f.Add(script.Page(rec(0, 1), rec(intr, 2), done()).Page)
	f.Add(script.Page(script.Message(unix.NLMSG_ERROR, tlvs|capped, script.Errno(unix.EINVAL),
		make([]byte, 16), script.Text(1, "why"), script.U32(2, 24))).Page)
	f.Add(script.Done(tlvs, unix.EIO, script.Text(1, "why")))
	f.Fuzz(func(t *testing.T, page []byte) {
		s, _ := script.Stream(nldump.Config{}, script.Page(page))
		total := 0
		var last error
		for m, err := range s.Records(t.Context(), request()) {
			if last != nil {
				t.Fatal("something came after an error")
			}
			if last = err; err == nil {
				total += len(m.Data) + unix.SizeofNlMsghdr
			}
		}
		if total > len(page) {
			t.Fatalf("%d bytes of records in a page of %d", total, len(page))
		}
		var k *nldump.KernelError
		known := errors.As(last, &k) || last == nil
		for _, e := range []error{script.ErrEnd, io.ErrUnexpectedEOF, nldump.ErrInterrupted, nldump.ErrTruncated,
			nldump.ErrOverrun, nldump.ErrMalformed, nldump.ErrProtocol} {
			known = known || errors.Is(last, e)
		}
		if !known {
			t.Fatalf("an error of no known kind: %v", last)
		}
		doneSent := bytes.Contains(page, []byte{unix.NLMSG_DONE, 0}) || bytes.Contains(page, []byte{0, unix.NLMSG_DONE})
		if (last == nil || errors.Is(last, nldump.ErrInterrupted)) && (!doneSent || !s.Idle()) {
			t.Fatal("a success without an end")
		}
	})
}

// FuzzPages reads a dump of two arbitrary pages, by record and by page. Records
// and error must be the same, and no page may be lost.
func FuzzPages(f *testing.F) {
	f.Add(script.Page(rec(0, 1), rec(intr, 2)).Page, done())
	f.Add(script.Page(rec(0, 1), done()).Page, rec(0, 2))
	f.Add(rec(0, 2), script.Page(rec(0, 1)[:12]).Page)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		script2 := steps(script.Page(first), script.Page(second))
		type record struct {
			m    nldump.Message
			data string
		}
		var want, got []record
		var wantErr, gotErr error
		s, _ := script.Stream(nldump.Config{}, script2...)
		for m, err := range s.Records(t.Context(), request()) {
			if wantErr = err; err == nil {
				want = append(want, record{m, string(m.Data)})
			}
		}
		pool := nldump.NewPool(1)
		p, _ := script.Stream(nldump.Config{Pool: pool}, script2...)
		for page, err := range p.Pages(t.Context(), nldump.Dump{Request: request()}) {
			n := len(got)
			for m := range page.Records() {
				got = append(got, record{m, string(m.Data)})
			}
			if gotErr = err; page.Len() != len(got)-n {
				t.Fatalf("a page of %d records says %d", len(got)-n, page.Len())
			}
			page.Release()
		}
		for _, all := range [][]record{want, got} {
			for i := range all {
				all[i].m.Data = nil
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
			t.Fatalf("by page %v, %v; by record %v, %v", got, gotErr, want, wantErr)
		}
		if p.Stats() != s.Stats() || p.Idle() != s.Idle() || pool.Held() != 0 {
			t.Fatalf("%+v and %+v, %d pages held", p.Stats(), s.Stats(), pool.Held())
		}
	})
}

// FuzzAttrs walks arbitrary bytes and reads each value with each accessor. It
// must not panic, and must account for all bytes or return an error.
func FuzzAttrs(f *testing.F) {
	f.Add(append(script.U32(1, 7), script.Attr(2|unix.NLA_F_NESTED, script.U64(3, 9))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		walked := 0
		a := nldump.Parse(b)
		for a.Next() {
			for name, x := range accessors {
				at := a // a copy: an error stays with it
				if x.get(&at); at.Err() != nil && !errors.Is(at.Err(), nldump.ErrMalformed) {
					t.Fatalf("%s: %v", name, at.Err())
				}
			}
			inNest := 0
			for _, e := range a.Nest() {
				inNest += 4 + len(e.Bytes())
			}
			if a.Err() != nil {
				break // leaves the nest, if it is one
			}
			if inNest > len(a.Bytes()) {
				t.Fatalf("%d bytes in a nest of %d", inNest, len(a.Bytes()))
			}
			walked += (len(a.Bytes()) + 4 + 3) &^ 3
			if n := a.Nested(); n.Next() && len(n.Bytes()) > len(a.Bytes())-4 {
				t.Fatal("an attribute beyond its nest")
			}
			_ = a.Text()
		}
		if a.Err() == nil && (walked < len(b) || walked > len(b)+3) {
			t.Fatalf("%d bytes walked of %d", walked, len(b))
		}
		if a.Err() != nil && !errors.Is(a.Err(), nldump.ErrMalformed) {
			t.Fatal(a.Err())
		}
	})
}
