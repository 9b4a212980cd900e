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

// sinks is where what the guest says goes, as it comes.
type sinks struct {
	stdout, stderr, console io.Writer
	left                    <-chan string // the names of those that nobody reads any more
	outlets                 [2]*outlet
	files                   []*os.File
	tests                   io.WriteCloser // the tests' output goes through it; may be nil
}

// openSinks has the guest's output go to stdout and stderr, and to the files of
// --out. The tests' output goes through what through returns, if it is not nil.
func openSinks(dir string, through func(io.Writer) io.WriteCloser, stdout, stderr io.Writer) (*sinks, error) {
	left := make(chan string, 2) // for each the one word that it has to say
	out, errs := NewOutlet("stdout", stdout), NewOutlet("stderr", stderr)
	s := &sinks{
		stdout:  &leaving{Writer: out, name: out.name, left: left},
		stderr:  &leaving{Writer: errs, name: errs.name, left: left},
		outlets: [2]*outlet{out, errs},
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

// unread says which of the outlets have waited for their reader, and how long;
// nothing if none has.
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

// hurry has all outlets drop what nobody reads.
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
	// unreadAfter is how long a write lasts whose reader does not just take turns.
	unreadAfter = time.Second
	// readerPatience is how long a write may last once there is no time to lose.
	readerPatience = 10 * time.Second
)

// outlet is a writer that waits for its reader, like any other, but not for
// ever: after hurry was called it drops what nobody reads.
type outlet struct {
	to      io.Writer
	name    string
	began   atomic.Int64 // when the write that lasts began, in Unix nanoseconds; 0 if none does
	hurried chan struct{}
	once    sync.Once

	mu      sync.Mutex // a write is whole
	dropped bool
}

// NewOutlet returns the outlet called name, which writes to a writer.
func NewOutlet(name string, to io.Writer) *outlet {
	return &outlet{to: to, name: name, hurried: make(chan struct{})}
}

// Hurry ends the patience with a reader that does not read.
func (o *outlet) Hurry() { o.once.Do(func() { close(o.hurried) }) }

// waits is how long the write has lasted that lasts now.
func (o *outlet) waits() time.Duration {
	if began := o.began.Load(); began != 0 {
		return time.Since(time.Unix(0, began))
	}
	return 0
}

func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dropped {
		return len(p), nil
	}
	o.began.Store(time.Now().UnixNano())
	defer o.began.Store(0)
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	mine := bytes.Clone(p) // the write may last longer than the call
	go func() {
		n, err := o.to.Write(mine)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-o.hurried:
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-time.After(readerPatience - o.waits()):
		o.dropped = true
		return len(p), nil
	}
}

// both writes to two writers, each whatever becomes of the other.
type both struct{ a, b io.Writer }

func (w both) Write(p []byte) (int, error) {
	_, errA := w.a.Write(p)
	_, errB := w.b.Write(p)
	return len(p), errors.Join(errA, errB)
}

// leaving is a writer whose reader may go away. That is no error, but told.
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
