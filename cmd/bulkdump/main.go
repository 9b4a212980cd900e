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
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitSignal = cli.ExitSignal // and the signal's number
)

// patience is how long the end may take before the program says why.
const patience = time.Second

// init keeps the process's first thread for main, which only waits. The kernel
// prefers that thread for a signal. If it were in a long system call, a fill,
// nobody would take the signal before the call's end.
func init() { runtime.LockOSThread() }

func main() {
	code := make(chan int)
	go func() { code <- start(func(c int) { code <- c }) }()
	cli.Exit(<-code)
}

func start(quit func(code int)) int {
	// A reader that has seen enough closes the pipe. Writes then fail with EPIPE,
	// which run takes for success. The signal would kill.
	signal.Ignore(unix.SIGPIPE)
	ctx := cli.UntilSignal(context.Background())
	stderr := term.NewConsole("bulkdump", os.Stderr, term.TerminalWidth(os.Stderr))
	a := &app{
		stdin:  os.Stdin,
		out:    output.NewStdout(output.Opened(), term.IsTerminal(os.Stdout), stderr),
		stderr: stderr,
		quit:   quit,
		dial: func() (table, error) {
			c, err := client.Dial(client.Config{})
			return kernelTable{c}, err
		},
		lab: laboratory{lab.MeasureCursors, lab.ShowGuard, lab.Trace, nlsock.Read},
	}
	return a.run(ctx, os.Args[1:])
}

// run executes a command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetIn(a.stdin)
	cmd, helped, err := cli.Execute(ctx, root, args, a.out, a.stderr)
	a.running = a.running || helped
	if usage := (*usageError)(nil); errors.As(err, &usage) || err != nil && !a.running {
		// If no command has run, the command line is wrong.
		a.stderr.Note("bulkdump: %v%s", err, suggestion(root, err, args))
		a.stderr.Note("See '%s --help'.", cmd.CommandPath())
		return exitUsage
	}
	code := a.explain(ctx, err)
	if s := cli.SignalOf(ctx); s != 0 {
		code = exitSignal + int(s)
	}
	return code
}

// explain prints what an error means, and returns the exit code.
func (a *app) explain(ctx context.Context, err error) int {
	refused := (*client.Error)(nil)
	switch {
	case unlessPipe(err) == nil:
		return exitOK
	case errors.Is(err, client.ErrNoFamily):
		a.stderr.Note(`bulkdump: module not loaded: run modprobe bulkdump, or make load where it was built (the kernel has no generic netlink family "bulkdump")`)
	case cli.SignalOf(ctx) != 0 && errors.Is(err, context.Canceled):
		a.stderr.Note("bulkdump: %v before it was done", context.Cause(ctx))
	case errors.Is(err, errReported):
	case errors.As(err, &refused) && refused.Errno == unix.EPERM && !strings.Contains(refused.Message, "CAP_"):
		a.stderr.Complain(err)
		a.stderr.Note("bulkdump: %s", neededRight)
	default:
		a.stderr.Complain(err)
	}
	return exitFailed
}

// neededRight is what a change of the table, or a costly dump of it, needs. The
// module says so itself, unless it is an older one.
const neededRight = "this needs CAP_NET_ADMIN in the initial user namespace, or, with the module's userns_admin=1, in the " +
	"one that owns the network namespace"

// errReported says that stderr has the failure already.
var errReported = errors.New("failed")

// A usageError is a mistake in the command line.
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
