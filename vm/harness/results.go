// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/xml"
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

// resultFiles are all the files that --out may leave.
var resultFiles = []string{"stdout", "stderr", "console.log", "kernel.log", "verdict.txt", "test.json", "junit.xml", "results.ktap", "summary.json"}

// clearResults makes the directory, and leaves nothing of an earlier run that
// could be taken for this one's.
func clearResults(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	var errs []error
	for _, name := range resultFiles {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sinks is where what the guest says goes, as it comes.
type sinks struct {
	stdout, stderr, console io.Writer
	left                    <-chan string // the names of those that nobody reads any more
	outlets                 [2]*outlet
	files                   []*os.File
	suite                   *suite
}

func openSinks(opts *options, o *outcome, stdout, stderr io.Writer) (*sinks, error) {
	left := make(chan string, 2) // for each the one word that it has to say
	out, errs := newOutlet("stdout", stdout), newOutlet("stderr", stderr)
	s := &sinks{
		stdout:  &leaving{Writer: out, name: out.name, left: left},
		stderr:  &leaving{Writer: errs, name: errs.name, left: left},
		outlets: [2]*outlet{out, errs},
		left:    left, console: io.Discard, suite: o.suite,
	}
	if s.suite != nil {
		s.stdout, s.suite.out = s.suite, out
	}
	if opts.outDir == "" {
		return s, nil
	}
	for _, f := range []struct {
		name string
		to   *io.Writer
	}{{"stdout", &s.stdout}, {"stderr", &s.stderr}, {"console.log", &s.console}} {
		file, err := os.Create(filepath.Join(opts.outDir, f.name))
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
		o.hurry()
	}
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

func newOutlet(name string, to io.Writer) *outlet {
	return &outlet{to: to, name: name, hurried: make(chan struct{})}
}

func (o *outlet) hurry() { o.once.Do(func() { close(o.hurried) }) }

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

func (s *sinks) close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	if s.suite != nil {
		errs = append(errs, s.suite.finish())
	}
	return errors.Join(errs...)
}

// writeResults writes what is known only at the end.
func writeResults(dir string, o *outcome) error {
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	_, line := o.verdict()
	errs := []error{
		write("kernel.log", strings.Join(o.kmsg, "\n")+"\n"),
		write("verdict.txt", line+"\n"),
		write("summary.json", o.summary().json()),
	}
	if o.suite != nil {
		errs = append(errs, write("test.json", o.suite.json.String()))
		text, err := junit(o.suite)
		errs = append(errs, err, write("junit.xml", text), write("results.ktap", ktap(o.suite)))
	}
	return errors.Join(errs...)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string  `xml:"classname,attr"`
	Name    string  `xml:"name,attr"`
	Time    string  `xml:"time,attr"`
	Failure *string `xml:"failure,omitempty"`
	Skipped *string `xml:"skipped,omitempty"`
}

// junit is the suite in the form that CI systems read.
func junit(s *suite) (string, error) {
	passed, failed, skipped := s.count()
	js := junitSuite{Name: s.pkg, Tests: passed + failed + skipped, Failures: failed, Skipped: skipped}
	for _, t := range s.tests {
		c := junitCase{Class: s.pkg, Name: t.name, Time: fmt.Sprintf("%.3f", t.seconds)}
		text := strings.ToValidUTF8(t.output.String(), "?")
		switch t.result {
		case resultFail:
			c.Failure = &text
		case resultSkip:
			c.Skipped = &text
		}
		js.Cases = append(js.Cases, c)
	}
	text, err := xml.MarshalIndent(js, "", "  ")
	return xml.Header + string(text) + "\n", err
}
