// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/internal/check"
)

// command is a command of the user's, for the shell.
func command(ctx context.Context, text string, env ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-c", text)
	c.Env = append(os.Environ(), env...)
	// ^C ends dumpcheck alone, which ends the command and what that has started. If
	// dumpcheck is killed, the command is, too.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	return c
}

// A shellChanger changes the table by a command, which has $OP (add, remove, set)
// and $N, the object's number.
type shellChanger struct {
	ctx      context.Context // of the run
	text     string
	patience time.Duration // how long a change may take when the run has ended

	mu      sync.Mutex
	objects map[int]bool // that may be there
	running *exec.Cmd
	undoing bool      // it removes something
	last    time.Time // when a change ended
	over    bool
}

func (s *shellChanger) Add(n int) error    { return s.run("add", n) }
func (s *shellChanger) Remove(n int) error { return s.run("remove", n) }
func (s *shellChanger) Set(n int) error    { return s.run("set", n) }

// noSuchChange is the exit status of a command that the table has no such change for. It
// is that of kselftest for what is skipped.
const noSuchChange = 4

// unsupported is an errors.ErrUnsupported.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// Is implements the interface of errors.Is.
func (u unsupported) Is(err error) bool { return err == errors.ErrUnsupported }

// changeWait is how long one change may take.
const changeWait = 30 * time.Second

// hangs is a context.DeadlineExceeded.
type hangs struct{}

func (hangs) Error() string { return fmt.Sprintf("it was not done within %v", changeWait) }

// Is implements the interface of errors.Is.
func (hangs) Is(err error) bool { return err == context.DeadlineExceeded }

// run runs the command. When the run has ended, it only removes what was added.
func (s *shellChanger) run(op string, n int) error {
	if op != "remove" && s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), changeWait)
	defer cancel()
	defer context.AfterFunc(s.ctx, func() { time.AfterFunc(s.patience, cancel) })()
	c := command(ctx, s.text, "OP="+op, "N="+strconv.Itoa(n))
	out, err := output(&c.Stdout, &c.Stderr)
	if err != nil {
		return err
	}
	defer out.Close()
	before, err := s.start(c, op, n)
	if err == nil {
		err = s.done(c.Wait(), op, n, before)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case op != "remove" && errors.As(err, &exit) && exit.ExitCode() == noSuchChange:
		return unsupported(fmt.Sprintf("--change has no OP=%s N=%d: exit status %d", op, n, noSuchChange))
	case ctx.Err() == context.DeadlineExceeded:
		err = hangs{}
	}
	return check.Inputf("--change with OP=%s N=%d: %w%s", op, n, err, said(out))
}

// start starts a command that changes an object. From then on, the object may be there.
func (s *shellChanger) start(c *exec.Cmd, op string, n int) (before bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false, errors.New("the run is over")
	}
	if err := c.Start(); err != nil {
		return false, err
	}
	s.running, s.undoing = c, op == "remove"
	before = s.objects[n]
	if op == "add" {
		if s.objects == nil {
			s.objects = map[int]bool{}
		}
		s.objects[n] = true
	}
	return before, nil
}

// done notes what has become of the object.
func (s *shellChanger) done(err error, op string, n int, before bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	if err == nil || op != "remove" { // what it has added can be removed now
		s.last = time.Now()
	}
	var exit *exec.ExitError
	switch refused := errors.As(err, &exit) && exit.Exited(); {
	case op == "add" && refused:
		s.objects[n] = before
	case op == "remove" && err == nil:
		delete(s.objects, n)
	}
	return err
}

// used tells whether anything was added.
func (s *shellChanger) used() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects != nil
}

// lastChange is when the last change ended, or now.
func (s *shellChanger) lastChange() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil && !s.undoing {
		return time.Now()
	}
	return s.last
}

// end kills what runs, and allows no more. It returns the objects that may be there.
func (s *shellChanger) end() (left []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.running != nil {
		s.running.Cancel()
	}
	for n, there := range s.objects {
		if there {
			left = append(left, n)
		}
	}
	slices.Sort(left)
	return left
}

// second returns how many records another reader sees: its command prints a line
// for each.
func second(text string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		c := command(ctx, text)
		out, err := output(&c.Stdout)
		if err != nil {
			return 0, err
		}
		defer out.Close()
		errs, err := output(&c.Stderr)
		if err != nil {
			return 0, err
		}
		defer errs.Close()
		if err := c.Start(); err != nil {
			return 0, check.Inputf("--second: %w", err)
		}
		err = c.Wait()
		c.Cancel() // what it has left in the background
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err != nil {
			return 0, check.Inputf("--second: %w%s", err, said(errs))
		}
		n := 0
		for line := range bytes.Lines(content(out)) {
			if len(bytes.TrimSpace(line)) > 0 {
				n++
			}
		}
		return n, nil
	}
}

// output is a file in memory for what a command prints. With a pipe, what the command
// leaves in the background would have to be waited for.
func output(to ...*io.Writer) (*os.File, error) {
	fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err == nil {
		err = unix.Ftruncate(fd, mostOutput)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	}
	if err != nil {
		return nil, fmt.Errorf("memory for a command's output: %w", err)
	}
	f := os.NewFile(uintptr(fd), "output")
	for _, w := range to {
		*w = f
	}
	return f, nil
}

// mostOutput is what a command may print. More is an error for it.
const mostOutput = 64 << 20

// content is what a command has printed.
func content(f *os.File) []byte {
	n, _ := f.Seek(0, io.SeekCurrent) // the command has the same position
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, n))
	return b
}

// said is the last line of a command's output, where its error is.
func said(f *os.File) string {
	text := strings.TrimSpace(string(content(f)))
	if text == "" {
		return ""
	}
	return ": " + text[strings.LastIndex(text, "\n")+1:]
}
