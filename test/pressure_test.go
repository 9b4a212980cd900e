// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

var manyNamespaces = flag.Int("namespaces", 100, "how many namespaces come and go in the test of that")

// A thousand dumps are parked. Each holds a page and little else, everything else
// goes on, and all of their memory comes back.
func TestManyParkedDumps(t *testing.T) {
	const parked = 1000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 5000})
	parkDumps(t, c, parked) // some memory is allocated only once, and slabs stay partly used
	memory := memoryAtRest(t)
	parkDumps(t, c, parked)
	wantMemory(t, memory, parked) // so not even a KiB of each
}

func parkDumps(t *testing.T, c *client.Client, parked int) {
	t.Helper()
	const each = 8 << 10 // bytes beside the page
	before := state(t, c)
	var all []*rawSocket
	for nr := range parked {
		s := openRaw(t, client.FamilyName, 64<<10)
		s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursors[nr%len(cursors)])),
			attrU32(attrEncoding, uint32(encodings[nr%len(encodings)])))
		all = append(all, s)
	}
	s := state(t, c)
	if s.DumpsOpen != uint64(parked) || s.DumpsMemory == 0 || s.DumpsMemory > uint64(parked*each) {
		t.Errorf("%d dumps are open and take %d bytes, want %d and at most %d", s.DumpsOpen, s.DumpsMemory, parked, parked*each)
	}
	touch(t, c, 7)
	if _, err := c.Delete(t.Context(), 8); err != nil {
		t.Error(err)
	}
	if d := mustDump(t, c, client.DumpOptions{}); d.count != 4999 {
		t.Errorf("%d records beside them, want 4999", d.count)
	}
	makeEntry(t, c, client.Entry{ID: 8})
	for _, s := range all {
		s.close()
	}
	after := checkCounters(t, c)
	if n := after.DumpsAbandoned - before.DumpsAbandoned; n != uint64(parked) || after.DumpsMemory != 0 {
		t.Errorf("%d were abandoned, and %d bytes are left; want %d and 0", n, after.DumpsMemory, parked)
	}
}

// With the smallest receive buffer, and with one of 64 MiB, a dump is whole.
func TestReceiveBuffers(t *testing.T) {
	const count = 5000
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		fill(t, c, client.FillOptions{Count: count})
		for _, size := range []int{2 << 10, 64 << 20} {
			s := openRaw(t, client.FamilyName, 64<<10)
			if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size); err != nil {
				t.Fatal(err)
			}
			s.send(cmdEntryGet, flagDump, k.attrs(generation))
			var ids []uint32
			for _, p := range s.rest(func(int) {}) {
				ids = append(ids, p.ids...)
			}
			wantOnceEach(t, fmt.Sprint("buffer of ", size), ids, count)
			s.close()
		}
	})
}

// One of a hundred listeners does not read. It is told, and the others get each
// event.
func TestOneListenerOfManyDoesNotRead(t *testing.T) {
	const listeners, changes = 100, 200
	c := setup(t)
	idle := listen(t)
	if err := unix.SetsockoptInt(idle.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
		t.Fatal(err)
	}
	var others []*rawSocket
	for range listeners - 1 {
		s := listen(t)
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
			t.Fatal(err)
		}
		others = append(others, s)
	}
	for id := range uint32(changes) {
		makeEntry(t, c, client.Entry{ID: id})
	}
	for nr, s := range others {
		for id := range uint32(changes) {
			if e := s.event(); e.cmd != eventNew || e.id != id {
				t.Fatalf("listener %d: event %+v, want entry %d", nr, e, id)
			}
		}
		s.nothing()
	}
	for {
		_, _, err := unix.Recvfrom(idle.fd, idle.buf, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.ENOBUFS) {
			break
		}
		if err != nil {
			t.Fatalf("the idle listener: %v, want ENOBUFS", err)
		}
	}
	idle.heard()
	makeEntry(t, c, client.Entry{ID: changes})
	if e := idle.event(); e.id != changes {
		t.Errorf("event %+v, want entry %d", e, changes)
	}
}

// A large table is flushed while dumps with each cursor are in it. They end, and
// tell of the change.
func TestFlushOfALargeTableUnderDumps(t *testing.T) {
	c := setup(t)
	count := uint32(unwatched(int(large())))
	fill(t, c, client.FillOptions{Count: count})
	var all []*rawSocket
	for _, cursor := range cursors {
		s := openRaw(t, client.FamilyName, 64<<10)
		s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursor)))
		s.read()
		all = append(all, s)
	}
	flush(t, c)
	for nr, s := range all {
		pages := s.rest(func(int) {})
		// Pages that were made before the flush wait in the socket.
		if n := len(pages); n > 4 {
			t.Errorf("cursor %v: %d pages after the flush", cursors[nr], n)
		}
		last := pages[len(pages)-1]
		if last.done == nil || verdictOf(t, *last.done).errno != 0 || last.done.Flags&flagIntr == 0 {
			t.Errorf("cursor %v: the end is %+v, want a marked one", cursors[nr], last.done)
		}
	}
	if s := checkCounters(t, c); s.Count != 0 || s.Bytes != 0 || s.DumpsMemory != 0 {
		t.Errorf("after the flush: %+v", s)
	}
}

// Namespaces come and go, each with entries, tombstones and a parked dump.
func TestNamespacesComeAndGo(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1})
	var memory int
	for nr := range *manyNamespaces {
		if nr == 1 { // some memory is allocated only once
			memory = memoryAtRest(t)
		}
		ns := newNetNS(t)
		there, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, there, client.FillOptions{Count: 300})
		if _, err := there.Delete(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		for _, err := range there.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		_ = ns.Close()
		_ = there.Close()
	}
	if s := state(t, c); s.Count != 1 {
		t.Errorf("%d entries here, want 1", s.Count)
	}
	wantMemory(t, memory, *manyNamespaces*8) // a table of 300 entries takes four times as much
}
