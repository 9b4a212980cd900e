// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// command is a command of the user's, for the shell.
func command(ctx context.Context, text string, env ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-c", text)
	c.Env = append(os.Environ(), env...)
	// What it starts ends with it, and ^C ends dumpcheck alone, which ends it.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	return c
}

// A shellChanger changes the table by a command, which has $OP (add, remove, set)
// and $N, the object's number.
type shellChanger struct {
	ctx  context.Context
	text string
}

func (s shellChanger) Add(n int) error    { return s.run("add", n) }
func (s shellChanger) Remove(n int) error { return s.run("remove", n) }
func (s shellChanger) Set(n int) error    { return s.run("set", n) }

// changeWait is how long one change may take.
const changeWait = 30 * time.Second

// run runs the command, also after the end of the run: what was added is removed.
func (s shellChanger) run(op string, n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), changeWait)
	defer cancel()
	c := command(ctx, s.text, "OP="+op, "N="+strconv.Itoa(n))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("--change with OP=%s N=%d: %w%s", op, n, err, said(out))
	}
	return nil
}

// second returns how many records another reader sees: its command prints a line
// for each.
func second(text string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		var stderr bytes.Buffer
		c := command(ctx, text)
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			return 0, fmt.Errorf("--second: %w%s", err, said(stderr.Bytes()))
		}
		n := 0
		for line := range bytes.Lines(out) {
			if len(bytes.TrimSpace(line)) > 0 {
				n++
			}
		}
		return n, nil
	}
}

// said is the last line of a command's output, where its error is.
func said(out []byte) string {
	text := strings.TrimSpace(string(out))
	if text == "" {
		return ""
	}
	return ": " + text[strings.LastIndex(text, "\n")+1:]
}
