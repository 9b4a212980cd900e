// SPDX-License-Identifier: BSD-3-Clause

// Command bulkdump fills, reads and changes the table of the bulkdump family.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/nlsock"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// patience is how long an end by a signal may take without a word.
const patience = time.Second

// init keeps the process's first thread for main, which only waits there. The
// kernel wakes that thread for a signal if it can; were it the one that is in a
// long system call, a fill, nobody would take the signal before its end.
func init() { runtime.LockOSThread() }

func main() {
	code := make(chan int)
	go func() { code <- start() }()
	os.Exit(<-code)
}

func start() int {
	// A reader that has seen enough closes the pipe: then writes fail with
	// EPIPE, which run() takes for success, instead of a death by signal.
	signal.Ignore(unix.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	// A second signal kills: a write to a pipe that nobody reads ends by no context.
	context.AfterFunc(ctx, func() {
		stop()
		time.Sleep(patience)
		fmt.Fprintln(os.Stderr, "bulkdump: nobody takes the output: send the signal again to end at once")
	})
	a := &app{
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		progress: isTerminal(os.Stderr),
		terminal: isTerminal(os.Stdout),
		dial: func() (table, error) {
			c, err := client.Dial(client.Config{})
			return kernelTable{c}, err
		},
		guard:   linux{tracefs: "/sys/kernel/tracing"},
		loop:    linux{tracefs: "/sys/kernel/tracing"},
		sockets: nlsock.Read,
	}
	return a.run(ctx, os.Args[1:])
}

// run executes a command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	usage := (*usageError)(nil)
	switch {
	case unlessPipe(err) == nil:
		return exitOK
	case errors.As(err, &usage), !a.running:
		// What fails before a command runs is the command line.
		fmt.Fprintf(a.stderr, "bulkdump: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	case errors.Is(err, client.ErrNoFamily):
		fmt.Fprintln(a.stderr, `bulkdump: module not loaded: run make load (the kernel has no generic netlink family "bulkdump")`)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "bulkdump: ended by a signal: the output is not complete")
	case errors.Is(err, errReported):
	default:
		fmt.Fprintf(a.stderr, "bulkdump: %v\n", err)
	}
	return exitFailed
}

// errReported says that the failure was told on stderr already.
var errReported = errors.New("failed")

// A usageError is the fault of whoever wrote the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// unlessPipe drops the error of a write to a pipe that its reader has closed.
func unlessPipe(err error) error {
	if errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
