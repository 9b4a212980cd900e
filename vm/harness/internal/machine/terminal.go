// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/internal/proto"
)

const escapeKey = '\x1d' // ^]

// attachTerminal sends our keys and our window's size to the guest's terminal.
// restore sets our terminal back as it was.
func (s *session) attachTerminal() (restore func()) {
	fd := int(os.Stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	raw := *old
	raw.Iflag, raw.Lflag = 0, 0
	// Output stays cooked. The guest's terminal ends its own lines, but the
	// lines of our notes need it.
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, syscall.SIGWINCH)
	go func() {
		for range sizes {
			if size, ok := host.TerminalSize(); ok {
				s.ctl.Send(proto.Message{Kind: proto.KindResize, Size: &size})
			}
		}
	}()
	go typeInto(s.m.ports[portStdout], os.Stdin, escape)
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, old) }
}

// typeInto copies keys as they come, until ^] is typed three times: that calls
// escape.
func typeInto(to io.Writer, from io.Reader, escape func()) {
	buf := make([]byte, 4<<10)
	for run := 0; ; {
		n, err := from.Read(buf)
		for _, key := range buf[:n] {
			if run++; key != escapeKey {
				run = 0
			}
			if run == 3 {
				escape()
				return
			}
		}
		to.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

// escape ends the run as ^C does elsewhere: here ^C is a key for the guest.
func escape() { unix.Kill(os.Getpid(), unix.SIGINT) }
