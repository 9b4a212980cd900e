// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/loop"
	"bulkdump/cmd/bulkdump/internal/tracefs"
)

func (linux) netns() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("the own network namespace: %w", err)
	}
	return uint32(st.Ino), nil
}

func (linux) now() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // which every kernel has
	return uint64(ts.Nano() / 1000)
}

// A loopInstance collects the events of dumps and changes.
type loopInstance struct{ *tracefs.Instance }

func (l linux) collect() (collector, error) {
	i, err := tracefs.New(l.tracefs, "bulkdump-trace")
	if err != nil {
		return nil, err
	}
	return loopInstance{i}, nil
}

func (i loopInstance) start() error {
	return i.Start(tracefs.ClockMono, "bulkdump", loop.Events...)
}

func (i loopInstance) events() ([]tracefs.Event, error) { return i.Events() }

func (i loopInstance) close() error { return i.Close() }

// A dumpSocket is a loopSocket of the kernel's.
type dumpSocket struct {
	nldump.Socket
	raw syscall.RawConn
	id  uint16
}

func (linux) open(o readerOptions) (loopSocket, error) {
	g, err := genetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	f, err := g.GetFamily(client.FamilyName)
	if err != nil {
		return nil, fmt.Errorf("family %s: %w", client.FamilyName, err)
	}
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		return nil, err
	}
	if o.rcvbuf > 0 {
		err = c.SetReadBuffer(int(o.rcvbuf))
	}
	s := &dumpSocket{id: f.ID}
	if err == nil {
		s.raw, err = c.SyscallConn()
	}
	if err == nil {
		s.Socket, err = nldump.Open(c, nldump.Config{})
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return s, nil
}

func (s *dumpSocket) family() uint16 { return s.id }

func (s *dumpSocket) peek(buf []byte) (n int, err error) {
	waitErr := s.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
	if waitErr != nil {
		return 0, waitErr
	}
	return n, os.NewSyscallError("recvfrom", err)
}

// rmem asks for SO_MEMINFO, of which the first number is SK_MEMINFO_RMEM_ALLOC.
func (s *dumpSocket) rmem() (uint32, error) {
	var memory [9]uint32
	size := uint32(unsafe.Sizeof(memory))
	var errno unix.Errno
	err := s.raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&memory)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("getsockopt", errno)
	}
	return memory[0], err
}
