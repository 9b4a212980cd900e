// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
)

// linux is the running kernel, besides the table.
type linux struct{}

func (linux) collect(name string) (collector, error) { return tracefs.New("/sys/kernel/tracing", name) }

func (linux) kind() (string, error) {
	text, err := os.ReadFile("/sys/module/bulkdump/parameters/guard")
	if err != nil {
		return "", fmt.Errorf("cannot tell which guard the module has: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// A process is a reader in a process of its own, so that it can be killed.
type process struct{ cmd *exec.Cmd }

// stayIn starts a dump that looks for a missing entry in the slowest way there is.
// It ends when it is killed, or after hours.
func (linux) stayIn() (guardStayer, error) {
	cmd := exec.Command("/proc/self/exe", "dump", "-o", "count", "--name-prefix", "nothing", "--cursor", "index")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // ^C is for this process, which then ends it
		Pdeathsig: syscall.SIGKILL, // if this process is killed
	}
	return process{cmd}, cmd.Start()
}

func (p process) owns(tid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.cmd.Process.Pid, tid))
	return err == nil
}

func (p process) kill() error {
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil || ws.Signal() != unix.SIGKILL {
		return fmt.Errorf("reader A ended by itself before it was killed (%v): give more --entries", p.cmd.ProcessState)
	}
	return nil
}

func (linux) netns() (uint32, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("cannot tell the own network namespace: %w", err)
	}
	return uint32(st.Ino), nil
}

func (linux) now() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // which every kernel has
	return uint64(ts.Nano() / 1000)
}

// A dumpSocket is a loopSocket of the running kernel.
type dumpSocket struct {
	nldump.Socket
	raw syscall.RawConn
	id  uint16
}

func (linux) open(o ReaderOptions) (loopSocket, error) {
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
	if o.ReceiveBuffer > 0 {
		err = c.SetReadBuffer(int(o.ReceiveBuffer))
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
