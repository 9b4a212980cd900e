// SPDX-License-Identifier: BSD-3-Clause

// Package term is what the commands need to write to a terminal: colors, messages
// and a status line on stderr, and text from outside that is made harmless.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Console is stderr. On a terminal, its last line may be a status, which is
// removed before anything else is written.
type Console struct {
	program string
	w       io.Writer
	width   func() int // of the terminal; nil: it is none

	mu    sync.Mutex
	shown bool
}

// NewConsole returns a console on which the program writes to w. A nil width says
// that it is no terminal.
func NewConsole(program string, w io.Writer, width func() int) *Console {
	return &Console{program: program, w: w, width: width}
}

// IsTerminal tells whether a status would be seen.
func (c *Console) IsTerminal() bool { return c.width != nil }

// Write writes anything but a status.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
	return c.w.Write(b)
}

// Note writes one line, whatever is in the text.
func (c *Console) Note(format string, args ...any) {
	fmt.Fprintln(c, Visible(fmt.Sprintf(format, args...)))
}

// Complain notes an error. Errors that were joined get one line each.
func (c *Console) Complain(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, e := range joined.Unwrap() {
			texts = append(texts, e.Error())
		}
		if strings.Join(texts, "\n") == err.Error() {
			for _, e := range joined.Unwrap() {
				c.Complain(e)
			}
			return
		}
	}
	c.Note("%s: %v", c.program, err)
}

// Show replaces the status by as many of the parts as fit into the terminal's
// width, with the last column left free. It does nothing where there is no
// terminal.
func (c *Console) Show(parts ...string) {
	if !c.IsTerminal() {
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

// Clear removes the status.
func (c *Console) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
}

func (c *Console) clearLocked() {
	if c.shown {
		c.shown = false
		fmt.Fprint(c.w, clearLine)
	}
}

const clearLine = "\r\x1b[K"

// Every shows a status at once and then in each interval, until stop is called,
// which removes it. A nil Console shows none.
func (c *Console) Every(interval time.Duration, parts func() []string) (stop func()) {
	if c == nil {
		return func() {}
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			c.Show(parts()...)
			select {
			case <-tick.C:
			case <-stopped:
				c.Clear()
				return
			}
		}
	}()
	return func() {
		close(stopped)
		<-ended
	}
}

// defaultWidth is for a terminal that does not know its own.
const defaultWidth = 80

// TerminalWidth returns a function for the width of a terminal, nil if the file
// is none.
func TerminalWidth(f *os.File) func() int {
	if !IsTerminal(f) {
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

// IsTerminal tells whether the file is a terminal.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
