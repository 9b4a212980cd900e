// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestShellChanger(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	ctx, interrupt := signaled(t)
	c := shellChanger{ctx: ctx, patience: time.Minute, text: `echo "$OP $N" >>` + file + `; test $OP != set || { echo no >&2; echo such thing >&2; exit 3; }`}
	if err := c.Add(4); err != nil {
		t.Error(err)
	}
	if err := c.Set(4); err == nil || err.Error() != "--change with OP=set N=4: exit status 3: such thing" {
		t.Errorf("got %v", err)
	}
	interrupt()
	if err := c.Remove(4); err != nil { // what was added goes, also after ^C
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "add 4\nset 4\nremove 4\n" {
		t.Errorf("got %q", text)
	}
	if n, err := second("echo x; echo gone >&2; exit 1")(t.Context()); err == nil || n != 0 || err.Error() != "--second: exit status 1: gone" {
		t.Errorf("got %d, %v", n, err)
	}
}

// With status 4, the table has no such change. What was added can be removed at any rate.
func TestNoSuchChange(t *testing.T) {
	c := shellChanger{ctx: t.Context(), patience: time.Minute, text: "exit 4"}
	for _, tt := range []struct {
		change func(int) error
		want   bool
	}{{c.Add, true}, {c.Set, true}, {c.Remove, false}} {
		if err := tt.change(3); err == nil || errors.Is(err, errors.ErrUnsupported) != tt.want {
			t.Errorf("%v: unsupported is %t, want %t", err, !tt.want, tt.want)
		}
	}
	if left := c.end(); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A child is a process that a command has left in the background.
type child struct {
	t    *testing.T
	fifo string // which the command writes its number into
}

func newChild(t *testing.T) child {
	fifo := filepath.Join(t.TempDir(), "started")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	return child{t, fifo}
}

// command starts the child.
func (c child) command() string { return "sleep 60 & echo $! >" + c.fifo }

// started waits for that. gone waits for the child's end.
func (c child) started() (pid int, gone func()) {
	t := c.t
	text, err := os.ReadFile(c.fifo)
	if err != nil {
		t.Fatal(err)
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pid, func() {
		defer unix.Close(fd)
		died := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(died, 10_000)
		for err == unix.EINTR {
			n, err = unix.Poll(died, 10_000)
		}
		if n != 1 || err != nil {
			t.Errorf("what a command has started is still there: %v", err)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// What a command has started ends with it, when the run ends.
func TestCommandEndsWithTheRun(t *testing.T) {
	ctx, interrupt := signaled(t)
	c := newChild(t)
	ended := make(chan error)
	go func() {
		_, err := second(c.command() + "; sleep 60")(ctx)
		ended <- err
	}()
	_, gone := c.started()
	interrupt()
	if err := <-ended; err == nil || err.Error() != "ended by SIGINT" {
		t.Errorf("got %v", err)
	}
	gone()
}

// A command may leave something in the background. Nobody waits for it, and that of
// another reader ends.
func TestCommandInTheBackground(t *testing.T) {
	c := newChild(t)
	ended := make(chan error)
	go func() {
		n, err := second("echo x; " + c.command())(t.Context())
		if n != 1 {
			t.Errorf("%d records", n)
		}
		ended <- err
	}()
	_, gone := c.started()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	gone()
	changer := shellChanger{ctx: t.Context(), text: c.command(), patience: time.Minute}
	go func() { ended <- changer.Add(1) }()
	pid, gone := c.started()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil { // it stays: the object may need it
		t.Error(err)
	}
	gone()
}

// A change that hangs does not outlive the run, and what may be left is said.
func TestChangeHangs(t *testing.T) {
	ctx, interrupt := signaled(t)
	c := newChild(t)
	f := &fakeKernel{dumps: []string{"foo a"}}
	gone := make(chan func(), 1)
	f.before = func(_ context.Context, _, id string) {
		change := f.checked[0].Changer
		switch id {
		case "end":
			for n := range 3 {
				if err := change.Add(n); err != nil {
					t.Error(err)
				}
			}
			if err := change.Remove(1); err != nil {
				t.Error(err)
			}
			interrupt()
		case "key":
			go func() {
				_, g := c.started()
				gone <- g
			}()
			if err := change.Remove(0); err == nil {
				t.Error("no error")
			}
			if err := change.Remove(2); err == nil {
				t.Error("no error")
			}
		}
	}
	a, stdout, stderr := newApp(f)
	a.patience = 300 * time.Millisecond
	code := a.run(ctx, []string{"foo", "--change", "test $OP$N != remove0 || { " + c.command() + "; sleep 60; }; test $OP$N != remove2"})
	ran{stdout.String(), stderr.String(), code}.check(t, 130, "",
		"dumpcheck: --change may have left objects 0, 2 there. To remove the first, run its command with OP=remove N=0\n")
	(<-gone)()
}

// A reader that leaves ends the run. What was added is removed all the same.
func TestReaderLeavesDuringAChange(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	file := filepath.Join(t.TempDir(), "object")
	f := &fakeKernel{dumps: []string{"foo a"}}
	f.before = func(ctx context.Context, _, id string) {
		switch id {
		case "end":
			if err := f.checked[0].Changer.Add(0); err != nil {
				t.Error(err)
			}
		case "change":
			<-ctx.Done()
			if err := f.checked[0].Changer.Remove(0); err != nil {
				t.Error(err)
			}
		}
	}
	a, _, stderr := newApp(f)
	a.stdout = w
	junit := filepath.Join(t.TempDir(), "junit.xml")
	code := a.run(t.Context(), []string{"foo", "-o", "jsonl", "--junit", junit, "--change", "case $OP in add) touch " + file + ";; *) rm " + file + "; esac"})
	if _, err := os.Stat(file); code != exitFailed || !os.IsNotExist(err) || strings.Contains(stderr.String(), "left") {
		t.Errorf("%d, %v, %s", code, err, stderr)
	}
	if text, _ := os.ReadFile(junit); !strings.Contains(string(text), "the report cannot be written") {
		t.Errorf("the other report is %q", text)
	}
}

// What hangs while it adds something is killed, and then there is time to remove it.
func TestAddHangs(t *testing.T) {
	ctx, interrupt := signaled(t)
	c := newChild(t)
	f := &fakeKernel{dumps: []string{"foo a"}}
	f.before = func(_ context.Context, _, id string) {
		if id != "end" {
			return
		}
		change := f.checked[0].Changer
		go func() {
			c.started()
			interrupt()
		}()
		if err := change.Add(0); err == nil {
			t.Error("no error")
		}
		if err := change.Remove(0); err != nil {
			t.Error(err)
		}
	}
	a, _, stderr := newApp(f)
	a.patience = 300 * time.Millisecond
	code := a.run(ctx, []string{"foo", "--change", "test $OP != add || { " + c.command() + "; sleep 60; }"})
	if code != 130 || strings.Contains(stderr.String(), "left") {
		t.Errorf("%d, %s", code, stderr)
	}
}

// A command that prints without end does not fill the memory.
func TestMuchOutput(t *testing.T) {
	if n, err := second("yes")(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "--second: exit status") {
		t.Errorf("%d records, %v", n, err)
	}
}

// As long as changes are made, the end of the run waits for more.
func TestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &app{patience: 10 * time.Second, changer: &shellChanger{last: time.Now()}}
		late := a.lateness(ctx)
		time.Sleep(time.Hour)
		cancel()
		begin := time.Now()
		go func() {
			for range 5 {
				time.Sleep(7 * time.Second)
				_ = a.changer.done(nil, "remove", 0, false)
			}
		}()
		<-late
		if took := time.Since(begin); took != 45*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
