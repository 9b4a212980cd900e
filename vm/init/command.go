// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

// The statuses that a shell uses.
const (
	statusNotFound = 127
	statusCannot   = 126
)

// command is the one command of a run. Its output goes through pipes or a
// terminal, never directly to the port. So init can count the bytes, and no
// process can keep the port open.
type command struct {
	cfg            *proto.Config
	stdout, stderr *os.File // ports
	master         *os.File // the other end of the terminal, with Config.Shell
	copies         []*copier
}

// copier copies bytes from one of the command's ends to a port.
type copier struct {
	from *os.File
	n    int64
	err  error
	done chan struct{}
}

func startCopy(to, from *os.File) *copier {
	c := &copier{from: from, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		// The interface hides the methods of *os.File: its ReadFrom would use
		// splice.
		c.n, c.err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 64<<10))
		// If the port failed, nobody reads any more. Closing the end tells the
		// writer.
		from.Close()
		// A terminal returns EIO when no process has it open.
		if errors.Is(c.err, unix.EIO) && from.Name() == ptmx || errors.Is(c.err, os.ErrClosed) {
			c.err = nil
		}
	}()
	return c
}

func newCommand(cfg *proto.Config) (*command, error) {
	c := &command{cfg: cfg}
	var err error
	if c.stdout, err = openPort(cfg.Stdout); err != nil {
		return nil, err
	}
	c.stderr, err = openPort(cfg.Stderr)
	return c, err
}

// run starts the command, follows the host's orders, and waits for the end.
func (c *command) run(ctl *proto.Writer, orders <-chan proto.Message) proto.Message {
	for _, e := range append([]string{"PATH=" + proto.Path, "HOME=/root", "USER=root", "TMPDIR=/tmp", "BULKDUMP_GUEST=1"}, c.cfg.Env...) {
		k, v, _ := strings.Cut(e, "=")
		os.Setenv(k, v)
	}
	attr := &os.ProcAttr{Dir: c.cfg.Dir, Sys: &syscall.SysProcAttr{Setsid: true}}
	ends, err := c.attach(attr)
	if err != nil {
		return c.cannot(statusCannot, err)
	}
	closeEnds := func() {
		for _, f := range ends {
			f.Close()
		}
	}
	path, err := find(c.cfg.Command[0], c.cfg.Dir)
	if err != nil {
		closeEnds()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return c.cannot(statusNotFound, fmt.Errorf("%s: command not found", c.cfg.Command[0]))
		}
		return c.cannot(statusCannot, err)
	}
	p, err := os.StartProcess(path, c.cfg.Command, attr)
	closeEnds()
	if err != nil {
		return c.cannot(statusCannot, err)
	}

	ended := make(chan syscall.WaitStatus)
	go func() { ended <- reapUntil(p.Pid) }()
	for {
		select {
		case ws := <-ended:
			if ws.Signaled() {
				return proto.Message{Kind: proto.KindExit, Signal: int(ws.Signal())}
			}
			return proto.Message{Kind: proto.KindExit, Status: ws.ExitStatus()}
		case m, ok := <-orders:
			switch {
			case !ok:
				orders = nil
			case m.Kind == proto.KindStop:
				// First write the blocked tasks to the log, then kill the
				// command.
				os.WriteFile("/proc/sysrq-trigger", []byte("w"), 0)
				unix.Kill(p.Pid, unix.SIGKILL)
				ctl.Send(proto.Message{Kind: proto.KindStopping})
			case m.Kind == proto.KindHangup:
				c.hangUp(m.Text)
			case m.Kind == proto.KindResize && c.master != nil && m.Size != nil:
				setSize(c.master, *m.Size)
			}
		}
	}
}

// find returns the program that name stands for. A name with a slash counts from dir,
// where the command runs.
func find(name, dir string) (string, error) {
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	return exec.LookPath(name)
}

// hangUp closes a pipe that nobody reads on the host, so that its writer gets
// SIGPIPE or EPIPE as in any pipeline.
func (c *command) hangUp(name string) {
	for i, n := range []string{"stdout", "stderr"} {
		if n == name && i < len(c.copies) && c.master == nil {
			c.copies[i].from.Close()
		}
	}
}

func (c *command) cannot(status int, err error) proto.Message {
	return proto.Message{Kind: proto.KindExit, Status: status, Text: err.Error()}
}

// attach gives the command its files: a terminal, or an empty input and two
// pipes. It returns the ends that only the command uses.
func (c *command) attach(attr *os.ProcAttr) ([]*os.File, error) {
	if c.cfg.Shell {
		master, slave, err := openTerminal(c.cfg.Size)
		if err != nil {
			return nil, err
		}
		c.master = master
		attr.Files = []*os.File{slave, slave, slave}
		attr.Sys.Setctty = true
		c.copies = append(c.copies, startCopy(c.stdout, master))
		go io.Copy(struct{ io.Writer }{master}, struct{ io.Reader }{c.stdout})
		return []*os.File{slave}, nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	ends := []*os.File{null}
	for _, port := range []*os.File{c.stdout, c.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		ends = append(ends, w)
		c.copies = append(c.copies, startCopy(port, r))
	}
	attr.Files = ends
	return ends, nil
}

// drain waits until all output has been sent. All writers are dead, so an end
// that stays open belongs to a process that could not be killed.
func (c *command) drain() (proto.Message, error) {
	m := proto.Message{Kind: proto.KindOutput}
	for i, cp := range c.copies {
		select {
		case <-cp.done:
		case <-time.After(time.Hour): // a slow reader on the host; the host's own limit is shorter
			return m, errors.New("output of the command does not end")
		}
		if cp.err != nil {
			return m, fmt.Errorf("relay output: %w", cp.err)
		}
		if i == 0 {
			m.Stdout = cp.n
		} else {
			m.Stderr = cp.n
		}
	}
	return m, nil
}
