// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
