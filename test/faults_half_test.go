// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// While a dump is read, half of all allocations fail. A page that finds no memory is
// made later, at the same place. So each record comes once.
func TestFaultsInHalfOfTheReads(t *testing.T) {
	needFaults(t)
	const count = 2000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	failing := injectByChance(t, "50", "-1")
	lacked := 0
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			s := openRaw(t, client.FamilyName, smallBuffer) // larger pages come from elsewhere
			clear(s.buf)                                    // its memory is already mapped
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursor)), attrU32(attrEncoding, uint32(encoding)))
			ids, n := s.readFailing(failing)
			lacked += n
			wantOnceEach(t, fmt.Sprint(cursor, ", ", encoding), ids, count)
			s.close()
		}
	}
	figures(t, "%d pages found no memory at first", lacked)
	if lacked == 0 {
		t.Error("each page found memory")
	}
	if s := checkCounters(t, c); s.DumpsMemory != 0 {
		t.Errorf("%d bytes are left", s.DumpsMemory)
	}
}

// readFailing reads a dump to its end. It counts the pages that found no memory. The
// kernel tries again when something else is read from the socket, so it asks for an
// acknowledgement. Nothing that comes later is waited for.
func (s *rawSocket) readFailing(failing func(call func())) (ids []uint32, lacked int) {
	s.t.Helper()
	for {
		var n int
		var err error
		failing(func() { n, err = s.recv(unix.MSG_DONTWAIT) })
		if err == unix.ENOBUFS {
			lacked++
			noop := s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK, nil)
			binary.NativeEndian.PutUint16(noop[4:], unix.NLMSG_NOOP)
			err = unix.Sendto(s.fd, noop, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
			if err == nil {
				continue
			}
		}
		if err != nil {
			s.t.Fatalf("after %d records: %v", len(ids), err)
		}
		ms := messages(s.t, slices.Clone(s.buf[:n]))
		if ms[0].Type == unix.NLMSG_ERROR {
			if v := verdictOf(s.t, ms[0]); v.errno != 0 {
				s.t.Fatalf("after %d records: %+v", len(ids), v)
			}
			continue
		}
		p := pageOf(s.t, ms)
		ids = append(ids, p.ids...)
		if p.done != nil {
			if v := verdictOf(s.t, *p.done); v.errno != 0 {
				s.t.Fatalf("after %d records: %+v", len(ids), v)
			}
			return ids, lacked
		}
	}
}
