// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// FuzzPage reads a dump of one arbitrary page. Whatever it is: no panic, data
// inside the page only, one error at most and of a known kind, and no success
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

// FuzzAttrs walks arbitrary bytes: no panic, and either all bytes are accounted
// for or there is an error.
func FuzzAttrs(f *testing.F) {
	f.Add(append(script.U32(1, 7), script.Attr(2|unix.NLA_F_NESTED, script.U64(3, 9))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		walked := 0
		a := nldump.Parse(b)
		for a.Next() {
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
