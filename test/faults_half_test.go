// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"os"
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
	failing := injectHalf(t)
	lacked := 0
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			s := openRaw(t, client.FamilyName, 4<<10) // larger pages come from elsewhere
			clear(s.buf)                              // its memory is already mapped
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursor)), attrU32(attrEncoding, uint32(encoding)))
			ids, n := s.readFailing(failing)
			lacked += n
			slices.Sort(ids)
			if len(ids) != count || len(slices.Compact(ids)) != count {
				t.Errorf("%v, %v: %d records, %d of them different, want %d", cursor, encoding, len(ids), len(slices.Compact(ids)), count)
			}
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

// injectHalf returns what runs a system call in which half of the allocations fail.
func injectHalf(t *testing.T) (failing func(call func())) {
	t.Helper()
	injectFaults(t) // restores all at the end
	// In this order, so that no other thread's allocation fails at any time.
	for _, f := range [][2]string{{"task-filter", "Y"}, {"interval", "1"}, {"probability", "50"}, {"times", "-1"}} {
		setFault(t, debugfs+failSlab+"/"+f[0], f[1])
	}
	task, err := os.OpenFile("/proc/thread-self/make-it-fail", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = task.Close() })
	set := func(on string) {
		if _, err := task.WriteAt([]byte(on), 0); err != nil {
			t.Fatal(err)
		}
	}
	return func(call func()) {
		set("1")
		call()
		set("0")
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
