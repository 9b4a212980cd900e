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
)

// sinks is where what the guest says goes, as it comes.
type sinks struct {
	stdout, stderr, console io.Writer
	files                   []*os.File
	suite                   *suite
}

func openSinks(opts *options, o *outcome, stdout, stderr io.Writer) (*sinks, error) {
	s := &sinks{stdout: stdout, stderr: stderr, console: io.Discard, suite: o.suite}
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
	w.a.Write(p)
	return w.b.Write(p)
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
	}
	if o.suite != nil {
		errs = append(errs, write("test.json", o.suite.json.String()))
		text, err := junit(o.suite)
		errs = append(errs, err, write("junit.xml", text))
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
