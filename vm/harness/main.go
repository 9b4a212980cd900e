// SPDX-License-Identifier: BSD-3-Clause

// Command harness boots a kernel in QEMU, loads the project's module, runs one
// command (or the guest's test suite) and says whether all of it was clean.
// vm/run builds it and starts it; vm/README.md tells what it promises.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	opts, err := parseArgs(os.Args[1:])
	switch {
	case errors.Is(err, errHelp):
		fmt.Print(usage)
		return
	case err != nil:
		if errors.Is(err, errNoCommand) {
			short, _, _ := strings.Cut(usage, "\n\n")
			fmt.Fprintln(os.Stderr, short)
		}
		fmt.Fprintf(os.Stderr, "vm: %v\nvm: `vm/run -h` tells how it is used\n", err)
		os.Exit(exitHarness)
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := (<-signals).(syscall.Signal)
		cancel(interrupted{s})
		// Whoever reads our output may have stopped reading, and us with it.
		select {
		case <-signals:
		case <-time.After(patience):
		}
		last := newOutlet("stderr", os.Stderr)
		last.hurry()
		fmt.Fprintln(last, "vm: FAIL:", interrupted{s})
		os.Exit(128 + int(s))
	}()
	// The reader may go away (a pager that quits): that ends the relay, not us.
	// Caught, not ignored: what is ignored is so in our children, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	if opts.matrix {
		os.Exit(runMatrix(ctx, opts, withoutTop(os.Args[1:]), os.Stdout, os.Stderr))
	}
	if opts.prepare {
		os.Exit(runPrepare(ctx, opts, os.Stdout, os.Stderr))
	}
	os.Exit(run(ctx, opts, os.Stdout, os.Stderr))
}

// patience is how long an end by a signal may take: longer than a program that
// is to clean up gets, and than it takes to remove a half built kernel, 4 GB of
// small files, on a loaded machine.
const patience = 18 * toolPatience

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "ended by signal: " + i.signal.String() }

// ended is the exit code after a signal, which it tells; 0 if there was none.
func ended(ctx context.Context, note notef) int {
	cause, ok := errors.AsType[interrupted](context.Cause(ctx))
	if !ok {
		return 0
	}
	note("FAIL: %v", cause)
	return 128 + int(cause.signal)
}

// run does the whole of it and prints the verdict last.
func run(ctx context.Context, opts *options, stdout, stderr io.Writer) int {
	out := newOutlet("stderr", stderr)
	defer context.AfterFunc(ctx, out.hurry)() // then nobody is waited for
	stderr = out
	note := func(format string, args ...any) { fmt.Fprintf(stderr, "vm: "+format+"\n", args...) }
	o := &outcome{}
	o.kernel = opts.kernel
	if err := conduct(ctx, opts, o, stdout, stderr, note); err != nil {
		o.err = err
	}
	if cause, ok := errors.AsType[interrupted](context.Cause(ctx)); ok {
		o.signal = cause.signal
	}
	o.blame()
	for _, line := range o.evidence() {
		fmt.Fprintln(stderr, line)
	}
	code, line := o.verdict()
	if opts.outDir != "" {
		if err := writeResults(opts.outDir, o); err != nil {
			o.err = errors.Join(o.err, fmt.Errorf("write results: %w", err))
			code, line = o.verdict()
		}
	}
	if code != 0 && o.signal == 0 && !opts.shell {
		note("again: %s", opts.again(withoutTop(os.Args[1:]), o.suite.failedRegex(opts.testRegex)))
	}
	if o.suite != nil {
		fmt.Fprintln(stderr, o.suite.summary())
	}
	fmt.Fprintln(stderr, line)
	return code
}

// conduct prepares what is to boot, boots it and records what happened. It
// returns an error only for what is the harness's own fault or the host's.
func conduct(ctx context.Context, opts *options, o *outcome, stdout, stderr io.Writer, note notef) error {
	c, err := openCache(note)
	if err != nil {
		return err
	}
	if _, ok := terminalSize(); opts.shell && !ok {
		return errors.New("--shell needs a terminal on stdin; for a script, run: sh -c SCRIPT")
	}
	if opts.outDir != "" {
		if err := clearResults(opts.outDir); err != nil {
			return err
		}
	}

	// Three things that do not depend on each other.
	var (
		wg                            sync.WaitGroup
		errKernel, errGo, errEmulator error
		kernel                        *kernel
		modules                       []string
		progs                         *programs
		emulator                      *emulator
	)
	wg.Go(func() {
		if kernel, errKernel = readyKernel(ctx, c, opts.kernel); errKernel == nil {
			errKernel = kernel.modprobe(ctx, opts.modprobe)
		}
		if errKernel == nil && len(opts.users) > 0 {
			errKernel = kernel.modprobeUsers(ctx, c, opts.users)
		}
		if errKernel == nil && !opts.noModule {
			modules, errKernel = buildModules(ctx, c, kernel, opts.moduleDir, opts.buildChecks())
		}
	})
	wg.Go(func() { progs, errGo = buildPrograms(ctx, c, &opts.guestOptions) })
	wg.Go(func() { emulator, errEmulator = newEmulator(ctx, c, opts.accel) })
	wg.Wait()
	if err := errors.Join(errKernel, errGo, errEmulator); err != nil {
		return err
	}
	o.kernel, o.accel = kernel.release, emulator.accel
	o.decoder = newDecoder(kernel.vmlinux(), modules)

	var through func(io.Writer) io.WriteCloser
	if opts.test {
		names, err := progs.tests(opts.testRegex)
		if err != nil {
			return err
		}
		if o.suite, err = newSuite(progs.testPkg, names, opts.top); err != nil {
			return err
		}
		through = o.suite.through
	}
	limit := phaseLimit(phaseCommand, emulator.accel, &opts.machineOptions)
	guest, err := newGuest(&opts.guestOptions, limit, kernel, modules, progs)
	if err != nil {
		return err
	}
	image, err := guest.initramfs(&opts.guestOptions)
	if err != nil {
		return err
	}
	defer image.Close()
	if opts.keepDir != "" {
		line, err := keep(opts.keepDir, &opts.machineOptions, emulator, guest)
		if err != nil {
			return fmt.Errorf("--keep: %w", err)
		}
		note("kept what is booted; this boots it again: %s", line)
	}
	return boot(ctx, &opts.machineOptions, emulator, guest, image, &o.seen, through, stdout, stderr)
}
