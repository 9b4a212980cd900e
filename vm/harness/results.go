// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// resultFiles are all the files that --out may leave.
var resultFiles = []string{"stdout", "stderr", "console.log", "kernel.log", "verdict.txt", "test.json", "junit.xml", "results.ktap", "summary.json"}

// clearResults makes the directory, and leaves nothing of an earlier run that
// could be taken for this one's.
func clearResults(dir string) error {
	errs := []error{os.MkdirAll(dir, 0o755)}
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
	files                   []*os.File
	suite                   *suite
}

func openSinks(opts *options, o *outcome, stdout, stderr io.Writer) (*sinks, error) {
	left := make(chan string, 2) // for each the one word that it has to say
	s := &sinks{
		stdout: &leaving{Writer: stdout, name: "stdout", left: left},
		stderr: &leaving{Writer: stderr, name: "stderr", left: left},
		left:   left, console: io.Discard, suite: o.suite,
	}
	if s.suite != nil {
		s.stdout = s.suite
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
