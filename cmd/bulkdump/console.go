// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A console is stderr. If that is a terminal, its last line may be a status: it
// is gone before anything else is written.
type console struct {
	w     io.Writer
	width func() int // of the terminal; nil: it is none

	mu    sync.Mutex
	shown bool
}

func (c *console) isTerminal() bool { return c.width != nil }

// Write writes what is no status.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
	return c.w.Write(b)
}

// show shows a status in place of the last one: as many of its parts as fit into
// the terminal's width, the last column left free. On no terminal it does nothing.
func (c *console) show(parts ...string) {
	if !c.isTerminal() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	room := max(c.width()-1, 0)
	text := parts[0]
	text = text[:min(len(text), room)]
	for _, part := range parts[1:] {
		if len(text)+len(", ")+len(part) > room {
			break
		}
		text += ", " + part
	}
	c.shown = true
	fmt.Fprint(c.w, clearLine+text)
}

func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
}

func (c *console) clearLocked() {
	if c.shown {
		c.shown = false
		fmt.Fprint(c.w, clearLine)
	}
}

const clearLine = "\r\x1b[K"

// defaultWidth is for a terminal that does not know its own.
const defaultWidth = 80

// terminalWidth returns a function for the width of a terminal, nil if the file
// is none.
func terminalWidth(f *os.File) func() int {
	if !isTerminal(f) {
		return nil
	}
	return func() int {
		size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Col == 0 {
			return defaultWidth
		}
		return int(size.Col)
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// note writes a line to stderr. Whatever is in it, it is one line.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.stderr, visible(fmt.Sprintf(format, args...)))
}

// complain notes an error, each of several that were joined on a line of its own.
func (a *app) complain(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, e := range joined.Unwrap() {
			texts = append(texts, e.Error())
		}
		if strings.Join(texts, "\n") == err.Error() {
			for _, e := range joined.Unwrap() {
				a.complain(e)
			}
			return
		}
	}
	a.note("bulkdump: %v", err)
}

// An output is stdout.
type output struct {
	w       io.Writer
	console *console // if stdout is a terminal, too: nil else
	busy    atomic.Bool
}

// Write clears the status, which may be on the same terminal.
func (o *output) Write(b []byte) (int, error) {
	if o.console != nil {
		o.console.clear()
	}
	o.busy.Store(true)
	defer o.busy.Store(false)
	return o.w.Write(b)
}

// stdout is where data goes. Go opens /dev/null in place of a descriptor that was
// closed when the program began, to read and write (runtime/fds_unix.go); a shell
// that is to throw away output opens it to write only. So what is told to a
// closed one fails, as it does for programs that have no such runtime.
func stdout() io.Writer {
	flags, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_GETFL, 0)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(os.Stdout.Fd()), &st)
	}
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
	if err != nil || null && flags&unix.O_ACCMODE == unix.O_RDWR {
		return closedFile{}
	}
	return os.Stdout
}

type closedFile struct{}

func (closedFile) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: os.Stdout.Name(), Err: unix.EBADF}
}

// whileRead returns a context that is done, because of EPIPE, when nobody can
// read any more what is written to stdout: a command that has nothing to write for
// a while learns it by that. stop ends the watch, and the context.
func (a *app) whileRead(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f, ok := a.out.w.(*os.File)
	if !ok {
		return ctx, func() { cancel(nil) }
	}
	r, end, err := os.Pipe()
	if err != nil {
		return ctx, func() { cancel(nil) }
	}
	fd, ended := int32(f.Fd()), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			fds := []unix.PollFd{{Fd: fd}, {Fd: int32(r.Fd())}}
			_, err := unix.Poll(fds, -1)
			switch {
			case err == unix.EINTR:
			case err != nil || fds[1].Revents != 0:
				return
			case fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				cancel(unix.EPIPE)
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		_ = end.Close()
		<-ended
		_ = r.Close()
	}
}
