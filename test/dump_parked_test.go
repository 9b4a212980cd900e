// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// The kernel's memory for a page (SKB_TRUESIZE): the bytes, rounded up to a
// power of two, and the head.
const (
	pageMemory      = 32<<10 + 512
	largePageMemory = 64<<10 + 512 // of a page for the largest record
)

// A parked dump holds a page and little else.
// Rule 7.
func TestParkedDumpHoldsLittle(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000})
	checkParked(t, c, pageMemory)
	const large = 1 << 30
	makeEntry(t, c, client.Entry{ID: large, Payload: make([]byte, payloadMax)})
	checkParked(t, c, largePageMemory)
	if _, err := c.Delete(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	checkParked(t, c, pageMemory)
}

// checkParked parks dumps with each cursor and each encoding. Each holds one page.
// When that page is read, it is freed, and then the next one is built
// (af_netlink.c:netlink_recvmsg). Only a reader that peeks (MSG_PEEK) gets more
// pages, until they take more than half of the socket's buffer. In addition, a
// dump holds what start() allocated.
func checkParked(t *testing.T, c *client.Client, page uint32) {
	t.Helper()
	most, mostBeside := uint32(0), uint64(0)
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			name := fmt.Sprintf("%v, %v", cursor, encoding)
			s := openRaw(t, client.FamilyName, 64<<10)
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursor)), attrU32(attrEncoding, uint32(encoding)))
			for reads := range 4 { // pages are large from the second on
				held := received(t, s.fd)
				if held == 0 || held > page {
					t.Errorf("%s: %d bytes of pages after %d reads, want one page of at most %d", name, held, reads, page)
				}
				if proc, dumps := procNetlink(t, s.fd); proc != held || !dumps {
					t.Errorf("%s: %d bytes in /proc/net/netlink, dump running: %v; want %d", name, proc, dumps, held)
				}
				most = max(most, held)
				s.read()
			}

			beside := state(t, c).DumpsMemory
			if beside == 0 || beside > uint64(page) || encoding != client.EncodingColumns && beside > 512 {
				t.Errorf("%s: %d bytes beside the pages", name, beside)
			}
			// A pointer for each record of a page of 32 KiB; one takes 60 bytes
			// and more.
			if least := uint64(32 << 10 / 60 * unsafe.Sizeof(uintptr(0))); encoding == client.EncodingColumns && beside < least {
				t.Errorf("%s: %d bytes beside the pages, want at least %d", name, beside, least)
			}
			mostBeside = max(mostBeside, beside)

			half := receiveBuffer(t, s.fd) / 2
			for range 100 {
				if _, err := s.recv(unix.MSG_PEEK); err != nil {
					t.Fatal(err)
				}
			}
			if held := received(t, s.fd); held <= half || held > half+page {
				t.Errorf("%s: %d bytes of pages after many looks, want more than %d by less than a page", name, held, half)
			}

			s.close()
			if left := checkCounters(t, c).DumpsMemory; left != 0 {
				t.Errorf("%s: %d bytes after its end", name, left)
			}
		}
	}
	figures(t, "a parked dump of %d entries: at most %d bytes of pages, and %d beside them", state(t, c).Count, most, mostBeside)
}

// procNetlink returns what /proc/net/netlink says about a socket.
func procNetlink(t testing.TB, fd int) (received uint32, dumps bool) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		f := strings.Fields(line)
		if len(f) == 10 && f[9] == fmt.Sprint(stat.Ino) {
			n, err := strconv.ParseUint(f[4], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			return uint32(n), f[6] == "1"
		}
	}
	t.Fatalf("no socket with inode %d in /proc/net/netlink", stat.Ino)
	return 0, false
}

func receiveBuffer(t testing.TB, fd int) uint32 {
	t.Helper()
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// received returns the memory of the data that waits in a socket, in bytes,
// including the kernel's overhead.
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
