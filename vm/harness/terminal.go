// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

// endOfInput is what a terminal takes for the end.
const endOfInput = "\x04"

// terminalSize is that of our terminal, if stdin is one.
func terminalSize() (proto.Winsize, bool) {
	ws, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return proto.Winsize{}, false
	}
	return proto.Winsize{Rows: ws.Row, Cols: ws.Col}, true
}

// attachTerminal gives the guest's terminal our keys, and tells it of our size.
// restore gives our terminal back as it was.
func (s *session) attachTerminal() (restore func()) {
	restore = func() {}
	fd := int(os.Stdin.Fd())
	if old, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		raw := *old
		raw.Iflag, raw.Lflag = 0, 0
		// Output stays cooked: the guest's terminal has ended its lines, ours
		// would not end those of our own notes.
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
		restore = func() { unix.IoctlSetTermios(fd, unix.TCSETS, old) }
		sizes := make(chan os.Signal, 1)
		signal.Notify(sizes, syscall.SIGWINCH)
		go func() {
			for range sizes {
				if size, ok := terminalSize(); ok {
					s.ctl.Send(proto.Message{Kind: proto.KindResize, Size: &size})
				}
			}
		}()
	}
	go func() {
		io.Copy(s.m.ports[portStdout], os.Stdin)
		io.WriteString(s.m.ports[portStdout], endOfInput)
	}()
	return restore
}
