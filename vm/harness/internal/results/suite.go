// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

const (
	resultNone = ""
	resultPass = "PASS"
	resultFail = "FAIL"
	resultSkip = "SKIP"
)

// testResult is one top-level test, with its subtests.
type testResult struct {
	name    string
	result  string
	seconds float64
	output  bytes.Buffer
	missing bool     // it never ran
	shown   int      // of the output, by earlier runs of it
	live    []string // tests that run: itself and its subtests

	subs     map[string]string // subtests and their results
	subOrder []string
}

// Suite follows the tests of the guest. It knows from the sources which tests there
// are, so that it misses one that never ran.
type Suite struct {
	pkg   string
	tests []*testResult // expected ones first, in the order of the sources
	json  bytes.Buffer  // the events, as `go test -json` prints them
	out   io.Writer

	convert *exec.Cmd // go tool test2json
	in      io.WriteCloser
	parsed  chan error
}

// testEvent is what test2json prints.
type testEvent struct {
	Action, Test, Output string
	Elapsed              float64
}

// NewSuite expects the tests of these names, and starts the converter. It runs
// `go tool` in top.
func NewSuite(pkg string, names []string, top string) (_ *Suite, err error) {
	s := &Suite{pkg: pkg, parsed: make(chan error, 1)}
	for _, name := range names {
		s.tests = append(s.tests, &testResult{name: name})
	}
	s.convert = exec.Command("go", "tool", "test2json", "-t", "-p", s.pkg)
	s.convert.Dir = top
	s.convert.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.in, err = s.convert.StdinPipe(); err != nil {
		return nil, err
	}
	events, err := s.convert.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.convert.Start(); err != nil {
		return nil, err
	}
	go func() { s.parsed <- s.parse(events) }()
	return s, nil
}

// Through sends the results to out. It returns the writer for the output of the
// test binary.
func (s *Suite) Through(out io.Writer) io.WriteCloser {
	s.out = out
	return s
}

// Write takes the output of the test binary.
func (s *Suite) Write(p []byte) (int, error) { return s.in.Write(p) }

// Close ends the output of the test binary. A test that has no result by then has
// failed.
func (s *Suite) Close() error {
	s.in.Close()
	err := errors.Join(<-s.parsed, s.convert.Wait())
	s.closeTests()
	return err
}

func (s *Suite) closeTests() {
	for _, t := range s.tests {
		if t.result != resultNone && len(t.live) == 0 {
			continue
		}
		why := "missing: it never ran"
		t.missing = len(t.live) == 0
		if n := len(t.live); n > 0 {
			why = "no result: the run ended while it was running"
			if t.live[n-1] != t.name {
				why += ", in " + t.live[n-1]
			}
		}
		fmt.Fprintf(&t.output, "%s\n", why)
		s.report(t, resultFail, 0)
	}
}

func (s *Suite) parse(r io.Reader) error {
	d := json.NewDecoder(io.TeeReader(r, &s.json))
	for {
		var e testEvent
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			io.Copy(io.Discard, r)
			return fmt.Errorf("test events: %w", err)
		}
		s.event(e)
	}
}

func (s *Suite) event(e testEvent) {
	if e.Test == "" {
		// What no test said: a panic's trace, a message of TestMain.
		if e.Action == "output" && e.Output != "PASS\n" && e.Output != "FAIL\n" {
			io.WriteString(s.out, e.Output)
		}
		return
	}
	top, _, sub := strings.Cut(e.Test, "/")
	t := s.find(top)
	switch e.Action {
	case "run":
		t.live = append(t.live, e.Test)
		if sub {
			t.noteSub(e.Test, resultNone)
		}
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") {
			t.output.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		t.live = slices.DeleteFunc(t.live, func(l string) bool { return l == e.Test })
		if sub {
			t.noteSub(e.Test, strings.ToUpper(e.Action))
		} else {
			s.report(t, strings.ToUpper(e.Action), e.Elapsed)
		}
	}
}

func (s *Suite) find(name string) *testResult {
	for _, t := range s.tests {
		if t.name == name {
			return t
		}
	}
	t := &testResult{name: name}
	s.tests = append(s.tests, t)
	return t
}

// report prints a test's line, and its output unless it passed. If a test runs more
// than once (-test.count), its worst run counts.
func (s *Suite) report(t *testResult, result string, seconds float64) {
	fmt.Fprintf(s.out, "%s %s %.2fs\n", result, t.name, seconds)
	if result != resultPass {
		for line := range strings.Lines(t.output.String()[t.shown:]) {
			fmt.Fprintf(s.out, "    %s\n", strings.TrimRight(line, "\n"))
		}
	}
	t.shown = t.output.Len()
	if t.result != resultFail {
		t.result = result
	}
	t.seconds += seconds
}

func (s *Suite) count() (passed, failed, skipped int) {
	for _, t := range s.tests {
		switch t.result {
		case resultPass:
			passed++
		case resultSkip:
			skipped++
		default:
			failed++
		}
	}
	return passed, failed, skipped
}

// neverRan counts those of the failed that never ran.
func (s *Suite) neverRan() (n int) {
	for _, t := range s.tests {
		if t.missing || t.result == resultNone {
			n++
		}
	}
	return n
}

// Summary is the count of the tests, in a line.
func (s *Suite) Summary() string {
	passed, failed, skipped := s.count()
	line := fmt.Sprintf("%d passed, %d failed", passed, failed)
	if skipped > 0 {
		line += fmt.Sprintf(", %d skipped", skipped)
	}
	return line
}

// verdict says why the suite is not green, if it is not.
func (s *Suite) verdict() string {
	passed, failed, skipped := s.count()
	switch {
	case failed > 0:
		var names []string
		for _, t := range s.tests {
			if t.result != resultPass && t.result != resultSkip {
				names = append(names, t.name)
			}
		}
		return fmt.Sprintf("%d of %d tests failed: %s", failed, passed+failed+skipped, strings.Join(names, ", "))
	case passed == 0:
		return "no test passed"
	}
	return ""
}

// FailedRegex chooses the tests that failed, or those asked for if that is shorter.
// It leaves out tests that never ran if others failed. The suite may be nil.
func (s *Suite) FailedRegex(asked string) string {
	if s == nil || strings.Contains(asked, "/") {
		return asked
	}
	var names []string
	for _, t := range s.tests {
		if t.result == resultFail && !t.missing {
			names = append(names, regexp.QuoteMeta(t.name))
		}
	}
	if len(names) == 0 || len(names) > 10 || len(names) == len(s.tests) && asked != "" {
		return asked
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

func (s *Suite) blame(name, why string) {
	t := s.find(name)
	t.result = resultFail
	fmt.Fprintf(&t.output, "%s\n", why)
	fmt.Fprintf(s.out, "FAIL %s: %s\n", name, why)
}
