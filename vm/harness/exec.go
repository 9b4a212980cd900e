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
	"strings"
	"syscall"
	"time"
)

type notef func(format string, args ...any)

// toolPatience is how long a program that is to end may go on cleaning up.
const toolPatience = 10 * time.Second

// tool prepares a program that dies with us, and with its children when the
// context ends: first asked to, so that it can clean up, then not.
func tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = toolPatience
	return cmd
}

// runTool runs it; its output is shown only in the error.
func runTool(cmd *exec.Cmd) error {
	var out bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &out
	return toolError(cmd, cmd.Run(), out.String())
}

// output runs it and returns its stdout.
func output(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), toolError(cmd, err, errs.String())
}

func toolError(cmd *exec.Cmd, err error, out string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is not installed: run vm/deps", cmd.Args[0])
	}
	if strings.Contains(out, "No space left on device") {
		return fmt.Errorf("%s: %w", cmd.Args[0], syscall.ENOSPC)
	}
	return fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, strings.TrimRight(tail(out, 60), "\n"))
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.SplitAfter(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "")
}

// copyFile copies a regular file with its mode.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
