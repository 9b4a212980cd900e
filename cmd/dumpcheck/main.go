// SPDX-License-Identifier: BSD-3-Clause

// Command dumpcheck looks for bugs in a netlink dump.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/internal/report"
	"bulkdump/cmd/internal/cli"
	"bulkdump/cmd/internal/term"
)

// Exit codes. The first five are what kselftest takes a test's for: passed, failed,
// failed as expected, none of these, skipped
// (tools/testing/selftests/kselftest/ktap_helpers.sh).
const (
	exitOK     = 0
	exitBroken = 1
	exitWeak   = 2
	exitUsage  = 3
	exitNone   = 4 // nothing to check
	exitFailed = 5 // not everything could be checked
)

func main() {
	check.Child() // does not return in a process that a check has started
	// What a check keeps is small, and each dump is garbage at once. So the collector
	// would take half of the time. A large table has it work as usual.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(256 << 20)
	}
	// A reader that has seen enough closes the pipe. Writes then fail with EPIPE.
	// The signal would kill. If it was ignored, the user's commands would ignore it, too.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	ctx := cli.UntilSignal(context.Background())
	stderr := term.NewConsole("dumpcheck", os.Stderr, term.TerminalWidth(os.Stderr))
	a := &app{
		stdout: os.Stdout, width: term.TerminalWidth(os.Stdout), stderr: stderr,
		kernel: running, checks: check.All, patience: patience,
	}
	cli.Exit(a.run(ctx, os.Args[1:]))
}

// run executes a command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	cmd, helped, err := cli.Execute(ctx, root, args, a.stdout, a.stderr)
	a.running = a.running || helped
	if usage := (*usageError)(nil); errors.As(err, &usage) || err != nil && !a.running {
		// If nothing has run, the command line is wrong.
		a.stderr.Note("dumpcheck: %v", err)
		a.stderr.Note("See '%s --help'.", cmd.CommandPath())
		return exitUsage
	}
	return a.explainEnd(ctx, err)
}

// explainEnd says how the run ended, and returns the exit code.
func (a *app) explainEnd(ctx context.Context, err error) int {
	if s := cli.SignalOf(ctx); s != 0 && errors.Is(err, context.Canceled) { // with --list
		a.stderr.Note("dumpcheck: %v", context.Cause(ctx))
		return cli.ExitSignal + int(s)
	}
	if err != nil && !errors.Is(err, unix.EPIPE) {
		a.stderr.Complain(err)
		if errors.Is(err, errNone) {
			return exitNone
		}
		return exitFailed
	}
	if s := cli.SignalOf(ctx); s != 0 {
		return cli.ExitSignal + int(s)
	}
	switch a.verdict {
	case report.Broken:
		return exitBroken
	case report.Weak:
		return exitWeak
	case report.NotChecked:
		return exitFailed
	case report.NotApplicable:
		return exitNone
	}
	return exitOK
}

// errNone says that there is nothing to check.
var errNone = errors.New("nothing to check")

// nothing is an error that says so in its own words.
type nothing struct{ error }

func (nothing) Is(err error) bool { return err == errNone }
func (n nothing) Unwrap() error   { return n.error }

// A usageError is a mistake in the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }
