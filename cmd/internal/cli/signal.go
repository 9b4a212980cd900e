// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// ExitSignal and a signal's number are the exit code of a command that the signal
// has ended.
const ExitSignal = 128

// A Signaled is the cause of a context that a signal has ended.
type Signaled struct{ unix.Signal }

func (s Signaled) Error() string { return "ended by " + unix.SignalName(s.Signal) }

// SignalOf returns the signal that ended the context, or 0.
func SignalOf(ctx context.Context) unix.Signal {
	var s Signaled
	errors.As(context.Cause(ctx), &s)
	return s.Signal
}

// sameSignal is how long after a signal another one is the same: timeout(1) signals its
// child, and then its process group.
const sameSignal = 200 * time.Millisecond

// UntilSignal returns a context that SIGINT, SIGTERM or SIGHUP ends, the last one unless
// it is ignored (nohup). A second signal kills: a context does not end a write to a pipe
// that nobody reads.
func UntilSignal(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	ends := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		ends = append(ends, unix.SIGHUP)
	}
	signal.Notify(signals, ends...)
	go func() {
		s := <-signals
		time.AfterFunc(sameSignal, func() { signal.Reset(ends...) })
		cancel(Signaled{s.(unix.Signal)})
	}()
	return ctx
}

// patience is how long a signal may take to kill the process that sent it to itself.
const patience = time.Second

// Exit ends the process, and with it what the kernel does for it, such as a fill.
// After a signal, the process dies of that signal, so that a shell that runs it in
// a loop ends the loop.
func Exit(code int) {
	if sig := unix.Signal(code - ExitSignal); sig > 0 {
		signal.Reset(sig)
		if !signal.Ignored(sig) {
			_ = unix.Kill(unix.Getpid(), sig)
			time.Sleep(patience)
		}
	}
	os.Exit(code)
}
