// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sinks are where the guest's output goes, as it comes.
type sinks struct {
	stdout, stderr, console io.Writer
	left                    <-chan string // the names of those whose reader has gone
	outlets                 [2]*Outlet
	files                   []*os.File
	tests                   io.WriteCloser // the tests' output goes through it; may be nil
}

// openSinks sends the guest's output to stdout and stderr, and to files in dir,
// unless that is empty. The output of tests goes through what through returns;
// through may be nil.
func openSinks(dir string, through func(io.Writer) io.WriteCloser, stdout, stderr io.Writer) (*sinks, error) {
	left := make(chan string, 2) // room for each to say so once
	out, errs := NewOutlet("stdout", stdout), NewOutlet("stderr", stderr)
	s := &sinks{
		stdout:  &leaving{Writer: out, name: out.name, left: left},
		stderr:  &leaving{Writer: errs, name: errs.name, left: left},
		outlets: [2]*Outlet{out, errs},
		left:    left, console: io.Discard,
	}
	if through != nil {
		s.tests = through(out)
		s.stdout = s.tests
	}
	if dir == "" {
		return s, nil
	}
	for _, f := range []struct {
		name string
		to   *io.Writer
	}{{"stdout", &s.stdout}, {"stderr", &s.stderr}, {"console.log", &s.console}} {
		file, err := os.Create(filepath.Join(dir, f.name))
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.files = append(s.files, file)
		*f.to = both{file, *f.to}
	}
	return s, nil
}

// unread says which outlets are waiting for their reader, and how long; "" if none
// is.
func (s *sinks) unread() string {
	var names []string
	var longest time.Duration
	for _, o := range s.outlets {
		if d := o.waits(); d >= unreadAfter {
			names = append(names, o.name)
			longest = max(longest, d)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("nobody read %s for %v", strings.Join(names, " and "), longest.Round(time.Second))
}

// hurry makes all outlets drop what is not read.
func (s *sinks) hurry() {
	for _, o := range s.outlets {
		o.Hurry()
	}
}

func (s *sinks) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	if s.tests != nil {
		errs = append(errs, s.tests.Close())
	}
	return errors.Join(errs...)
}

const (
	// unreadAfter is how long a write lasts at least if its reader has stopped.
	unreadAfter = time.Second
	// readerPatience is how long a write may last after hurry.
	readerPatience = 10 * time.Second
)

// Outlet is a writer that waits for its reader, as any other does, until Hurry is
// called. Then it drops what is not read.
type Outlet struct {
	to      io.Writer
	name    string
	began   atomic.Int64 // when the current write began, in Unix nanoseconds; 0 if there is none
	hurried chan struct{}
	once    sync.Once

	mu      sync.Mutex // a write is whole
	dropped bool
}

// NewOutlet returns an outlet that writes to to. name is for messages.
func NewOutlet(name string, to io.Writer) *Outlet {
	return &Outlet{to: to, name: name, hurried: make(chan struct{})}
}

// Hurry limits how long a write waits for its reader, from now on.
func (o *Outlet) Hurry() { o.once.Do(func() { close(o.hurried) }) }

// waits is how long the current write has lasted.
func (o *Outlet) waits() time.Duration {
	if began := o.began.Load(); began != 0 {
		return time.Since(time.Unix(0, began))
	}
	return 0
}

func (o *Outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped {
		return len(p), nil
	}
	o.began.Store(time.Now().UnixNano())
	defer o.began.Store(0)
	done := make(chan error, 1)
	mine := bytes.Clone(p) // the write may last longer than the call
	go func() {
		_, err := o.to.Write(mine)
		done <- err
	}()
	select {
	case err := <-done:
		return len(p), err
	case <-o.hurried:
	}
	select {
	case err := <-done:
		return len(p), err
	case <-time.After(readerPatience - o.waits()):
		o.dropped = true
		return len(p), nil
	}
}

// both writes to two writers. If one fails, the other still gets the data.
type both struct{ a, b io.Writer }

func (w both) Write(p []byte) (int, error) {
	_, errA := w.a.Write(p)
	_, errB := w.b.Write(p)
	return len(p), errors.Join(errA, errB)
}

// leaving is a writer whose reader may go away. That is not an error; left gets the
// name.
type leaving struct {
	io.Writer
	name string
	left chan<- string
	gone bool
}

func (w *leaving) Write(p []byte) (int, error) {
	if w.gone {
		return len(p), nil
	}
	n, err := w.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		w.gone = true
		w.left <- w.name
		return len(p), nil
	}
	return n, err
}
