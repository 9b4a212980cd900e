// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// What a parked dump holds: a page or two in its socket, and what the kernel
// remembers of it.
// Rule 7.
func TestParkedDumpHoldsLittle(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000})
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			s := openRaw(t, client.FamilyName, 32<<10)
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursor)), attrU32(attrEncoding, uint32(encoding)))
			for range 3 {
				s.read() // pages are large from the second on
			}
			pages := received(t, s.fd)
			held := state(t, c).DumpsMemory
			if pages == 0 || pages > 2*(32<<10)+4096 {
				t.Errorf("%v, %v: %d bytes of pages in the socket", cursor, encoding, pages)
			}
			if held == 0 || held > 16<<10 || encoding != client.EncodingColumns && held > 512 {
				t.Errorf("%v, %v: %d bytes beside the pages", cursor, encoding, held)
			}
			s.close()
			if left := checkCounters(t, c).DumpsMemory; left != 0 {
				t.Errorf("%v, %v: %d bytes after its end", cursor, encoding, left)
			}
		}
	}
}

// received is the memory of what waits in a socket to be read, in bytes, with
// what the kernel needs to hold it.
func received(t testing.TB, fd int) uint32 {
	t.Helper()
	var memory [9]uint32 // the first is SK_MEMINFO_RMEM_ALLOC
	size := uint32(unsafe.Sizeof(memory))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return memory[0]
}

// A namespace goes with many entries, while a dump is parked in another one.
func TestNamespaceEndsBesideParkedDump(t *testing.T) {
	here := setup(t)
	fill(t, here, client.FillOptions{Count: 5000})
	ns := newNetNS(t)
	there, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, there, client.FillOptions{Count: aMillion(t)})
	p := parkAsItIs(t, here, attrU32(attrCursor, uint32(client.CursorWalker)))
	_ = ns.Close()
	_ = there.Close() // the last that holds it
	if missed, repeated := p.compare(); missed != nil || repeated != nil {
		t.Errorf("missed %d, repeated %d", len(missed), len(repeated))
	}
}
