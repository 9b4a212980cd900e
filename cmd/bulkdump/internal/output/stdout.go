// SPDX-License-Identifier: BSD-3-Clause

// Package output is the data that bulkdump prints on stdout, as a table, JSON or
// CSV.
package output

import (
	"context"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/internal/term"
)

// The formats. FormatCount and FormatSVG are for some commands only.
const (
	FormatTable = "table"
	FormatJSON  = "json"
	FormatJSONL = "jsonl"
	FormatCSV   = "csv"
	FormatCount = "count"
	FormatSVG   = "svg"
)

// Formats are those of every command that prints data.
var Formats = []string{FormatTable, FormatJSON, FormatJSONL, FormatCSV}

// Stdout is where data goes.
type Stdout struct {
	Format string
	Color  term.When

	w        io.Writer
	terminal bool
	console  *term.Console
	busy     atomic.Bool
}

// NewStdout returns a Stdout that writes to w, and to which the console belongs.
func NewStdout(w io.Writer, terminal bool, console *term.Console) *Stdout {
	return &Stdout{Format: FormatTable, w: w, terminal: terminal, console: console}
}

// Write clears the status first, because it may be on the same terminal.
func (o *Stdout) Write(b []byte) (int, error) {
	if o.terminal {
		o.console.Clear()
	}
	o.busy.Store(true)
	defer o.busy.Store(false)
	return o.w.Write(b)
}

// Busy tells whether a write is under way: nobody may be reading.
func (o *Stdout) Busy() bool { return o.busy.Load() }

// Status returns the console for a status, or nil if nobody would see it, or if
// it would mix with the data. Data in the format quiet comes only at the end.
func (o *Stdout) Status(quiet string) *term.Console {
	if !o.console.IsTerminal() || o.terminal && o.Format != quiet {
		return nil
	}
	return o.console
}

// Opened returns the process's stdout, or a writer that fails with EBADF if it
// was closed when the process began. Go then has /dev/null opened in its place,
// for reading and writing (runtime/fds_unix.go). A shell opens /dev/null for
// writing only, to throw the output away.
func Opened() io.Writer {
	flags, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_GETFL, 0)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(os.Stdout.Fd()), &st)
	}
	null := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
	if err != nil || null && flags&unix.O_ACCMODE == unix.O_RDWR {
		return ClosedFile{}
	}
	return os.Stdout
}

// A ClosedFile is a stdout that was closed.
type ClosedFile struct{}

func (ClosedFile) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: os.Stdout.Name(), Err: unix.EBADF}
}

// WhileRead returns a context that ends, with the cause EPIPE, when the reader
// of stdout has closed it. A command that writes nothing for a while would not
// notice otherwise. stop ends the context, too.
func (o *Stdout) WhileRead(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f, ok := o.w.(*os.File)
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
