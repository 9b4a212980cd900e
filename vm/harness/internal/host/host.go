// SPDX-License-Identifier: BSD-3-Clause

// Package host runs programs of the host, and knows the terminal.
package host

import (
	"bulkdump/vm/internal/proto"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Notef prints a line for the user.
type Notef func(format string, args ...any)

// Patience is how long a program may clean up after it was told to end.
const Patience = 10 * time.Second

// Command prepares a program that ends when we end. When the context ends, the
// program and its children get SIGTERM, so that they can clean up, and after
// Patience the program is killed.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = Patience
	cmd.Env = append(os.Environ(), "LC_ALL=C") // its output is parsed
	return cmd
}

// Run runs a command. Its output appears only in the error.
func Run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &out
	return toolError(cmd, cmd.Run(), out.String())
}

// Output runs a command and returns its stdout.
func Output(cmd *exec.Cmd) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), toolError(cmd, err, errs.String())
}

// ErrNoReader is the error of a writer whose reader failed.
var ErrNoReader = errors.New("its reader failed")

// RunPiped runs two programs, from | to, until both have ended. If one fails, it
// ends the other. If to failed, the error of from is ErrNoReader.
func RunPiped(ctx context.Context, from, to []string, env ...string) (errFrom, errTo error) {
	ctxFrom, endWriter := context.WithCancel(ctx)
	defer endWriter()
	ctxTo, endReader := context.WithCancel(ctx)
	defer endReader()
	writer, reader := Command(ctxFrom, from[0], from[1:]...), Command(ctxTo, to[0], to[1:]...)
	writer.Env, reader.Env = append(writer.Env, env...), append(reader.Env, env...)
	r, w, err := os.Pipe()
	if err != nil {
		return err, nil
	}
	// Our copy of this end stays open while the writer runs. So a reader that
	// ends before the writer did not see the end of the stream.
	defer w.Close()
	var writerLog, readerLog bytes.Buffer
	writer.Stdout, writer.Stderr = w, &writerLog
	reader.Stdin, reader.Stderr = r, &readerLog
	err = reader.Start()
	r.Close() // a copy here would keep the writer from noticing its end
	if err != nil {
		return ErrNoReader, toolError(reader, err, "")
	}
	written, read := make(chan error, 1), make(chan error, 1)
	go func() { written <- writer.Run() }()
	go func() { read <- reader.Wait() }()
	select {
	case err = <-written:
		w.Close()
		if err != nil {
			endReader() // a child of the writer may still hold the pipe open
		}
		errTo = toolError(reader, <-read, readerLog.String())
		return toolError(writer, err, writerLog.String()), errTo
	case err = <-read:
		errTo = toolError(reader, err, readerLog.String())
		if err == nil {
			err = <-written
			return toolError(writer, err, writerLog.String()), nil
		}
		endWriter()
		<-written
		return ErrNoReader, errTo
	}
}

// ErrNotInstalled is the error of a program that is not installed.
var ErrNotInstalled = errors.New("is not installed: run vm/deps")

// fullWords are what programs print when the disk is full.
var fullWords = []string{"no space left on device", "disk quota exceeded", "you don't have enough free space in"}

func toolError(cmd *exec.Cmd, err error, out string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s %w", cmd.Args[0], ErrNotInstalled)
	}
	lines := 60
	words := strings.ToLower(out)
	if slices.ContainsFunc(fullWords, func(full string) bool { return strings.Contains(words, full) }) {
		err, lines = syscall.ENOSPC, 3
	}
	return fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, strings.TrimRight(tail(out, lines), "\n"))
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.SplitAfter(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "")
}

// CopyFile copies a regular file with its mode.
func CopyFile(to, from string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, st.Mode().Perm())
}

// Quote returns a word that the shell reads as s. A word of harmless characters
// stays unquoted, for the human reader.
func Quote(s string) string {
	harmless := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,@%+", r)
	}
	if s != "" && strings.TrimFunc(s, harmless) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// FirstLine is the first line of an error's text.
func FirstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Lines splits the output of a program or a console.
func Lines(text string) []string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r", ""), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// TerminalSize is the size of the terminal on stdin, if stdin is one.
func TerminalSize() (proto.Winsize, bool) {
	ws, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return proto.Winsize{}, false
	}
	return proto.Winsize{Rows: ws.Row, Cols: ws.Col}, true
}
