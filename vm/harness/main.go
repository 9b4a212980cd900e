// SPDX-License-Identifier: BSD-3-Clause

// Command harness boots a kernel in QEMU, loads the project's module, runs one
// command (or the guest's test suite) and says whether all of it was clean.
// vm/run builds and starts it; vm/README.md says what it promises.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/harness/internal/machine"
	"bulkdump/vm/harness/internal/results"
	"bulkdump/vm/internal/coverage"
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
		os.Exit(results.ExitHarness)
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := (<-signals).(syscall.Signal)
		cancel(interrupted{s})
		// If the reader of our output has stopped, we may be blocked in a write.
		select {
		case <-signals:
		case <-time.After(patience):
		}
		last := machine.NewOutlet("stderr", os.Stderr)
		last.Hurry()
		fmt.Fprintln(last, "vm: FAIL:", interrupted{s})
		os.Exit(128 + int(s))
	}()
	// If the reader goes away (a pager that quits), the relay ends, not the
	// harness. The signal is caught and not ignored, because children inherit an
	// ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	if opts.matrix {
		os.Exit(runMatrix(ctx, opts, withoutTop(os.Args[1:]), os.Stdout, os.Stderr))
	}
	if opts.prepare {
		os.Exit(runPrepare(ctx, opts, os.Stdout, os.Stderr))
	}
	os.Exit(run(ctx, opts, os.Stdout, os.Stderr))
}

// patience is how long the end by a signal may take. It is longer than a program
// gets to clean up, and long enough to remove a half-built kernel (4 GB of small
// files) on a loaded machine.
const patience = 18 * host.Patience

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return "ended by signal: " + i.signal.String() }

// ended reports the signal that ended the run and returns its exit code; 0 if
// there was none.
func ended(ctx context.Context, note host.Notef) int {
	cause, ok := errors.AsType[interrupted](context.Cause(ctx))
	if !ok {
		return 0
	}
	note("FAIL: %v", cause)
	return 128 + int(cause.signal)
}

// run makes one run, from the command line to the verdict, which it prints last.
func run(ctx context.Context, opts *options, stdout, stderr io.Writer) int {
	out := machine.NewOutlet("stderr", stderr)
	defer context.AfterFunc(ctx, out.Hurry)() // after a signal, no reader is waited for
	stderr = out
	note := func(format string, args ...any) { fmt.Fprintf(stderr, "vm: "+format+"\n", args...) }
	o := &results.Outcome{}
	o.Kernel = opts.Kernel
	for _, line := range opts.expect {
		o.Expect(line)
	}
	if err := conduct(ctx, opts, o, stdout, stderr, note); err != nil {
		o.Err = err
	}
	if cause, ok := errors.AsType[interrupted](context.Cause(ctx)); ok {
		o.Signal = cause.signal
	}
	o.Blame()
	for _, line := range o.Evidence() {
		fmt.Fprintln(stderr, line)
	}
	code, line := o.Verdict()
	if opts.OutDir != "" {
		if err := results.Write(opts.OutDir, o); err != nil {
			o.Err = errors.Join(o.Err, fmt.Errorf("write results: %w", err))
			code, line = o.Verdict()
		}
	}
	if code != 0 && o.Signal == 0 && !opts.Shell {
		if o.Exit != nil && o.Exit.Text != "" && opts.isHere() {
			note("%[1]s is here, but not in the guest; --add %[1]s puts it there, as ./%[2]s", opts.Args[0], filepath.Base(opts.Args[0]))
		}
		note("again: %s", opts.again(withoutTop(os.Args[1:]), o.Suite.FailedRegex(opts.TestRegex)))
	}
	if o.Suite != nil {
		fmt.Fprintln(stderr, o.Suite.Summary())
	}
	fmt.Fprintln(stderr, line)
	return code
}

// conduct prepares what boots, boots it, and records in o what happened. It
// returns an error only if the harness itself or the host failed.
func conduct(ctx context.Context, opts *options, o *results.Outcome, stdout, stderr io.Writer, note host.Notef) error {
	c, err := cache.Open(note)
	if err != nil {
		return err
	}
	if _, ok := host.TerminalSize(); opts.Shell && !ok {
		return errors.New("--shell needs a terminal on stdin; for a script, run: sh -c SCRIPT")
	}
	if opts.OutDir != "" {
		if err := results.Clear(opts.OutDir); err != nil {
			return err
		}
	}

	// These three do not depend on each other.
	var (
		wg                            sync.WaitGroup
		errKernel, errGo, errEmulator error
		kernel                        *kernels.Kernel
		modules, moreModules          []string
		progs                         *guest.Programs
		emulator                      *machine.Emulator
	)
	wg.Go(func() {
		if kernel, errKernel = kernels.Prepare(ctx, c, opts.Arch, opts.Kernel); errKernel == nil {
			errKernel = kernel.Modprobe(ctx, opts.modprobe)
		}
		if errKernel == nil && len(opts.users) > 0 {
			errKernel = kernel.ModprobeUsers(ctx, c, opts.users)
		}
		if errKernel == nil && !opts.NoModule {
			modules, moreModules, errKernel = buildModules(ctx, c, kernel, opts)
		}
	})
	wg.Go(func() { progs, errGo = guest.BuildPrograms(ctx, c, &opts.Options) })
	wg.Go(func() { emulator, errEmulator = machine.NewEmulator(ctx, c, opts.Arch, opts.Accel) })
	wg.Wait()
	if err := errors.Join(errKernel, errGo, errEmulator); err != nil {
		return err
	}
	o.Kernel, o.Accel = kernel.Release, emulator.Accel
	o.Vmlinux, o.Modules = kernel.Vmlinux(), slices.Concat(modules, moreModules)

	var through func(io.Writer) io.WriteCloser
	if opts.Test {
		names, err := progs.Tests(opts.TestRegex)
		if err != nil {
			return err
		}
		if o.Suite, err = results.NewSuite(progs.TestPackage, names, opts.Top); err != nil {
			return err
		}
		through = o.Suite.Through
	}
	limit, _ := machine.Limit(machine.PhaseCommand, emulator.Accel, &opts.Settings)
	guest, err := guest.New(&opts.Options, limit, kernel, modules, progs)
	if err != nil {
		return err
	}
	guest.Modules = o.Modules
	var notes *kernels.Notes
	if opts.coverageDir != "" {
		if notes, err = kernels.OpenNotes(modules); err != nil {
			return err
		}
		guest.Config.Counters = notes.Objects
	}
	image, err := guest.Initramfs(&opts.Options)
	if err != nil {
		return err
	}
	defer image.Close()
	if opts.keepDir != "" {
		line, err := machine.Keep(opts.keepDir, &opts.Settings, emulator, guest)
		if err != nil {
			return fmt.Errorf("--keep: %w", err)
		}
		note("kept what is booted; this boots it again: %s", line)
	}
	err = machine.Boot(ctx, &opts.Settings, emulator, guest, image, &o.Seen, through, stdout, stderr)
	if err != nil || opts.coverageDir == "" || ctx.Err() != nil {
		return err
	}
	if err := addCoverage(ctx, opts, o, kernel, notes, stderr, note); err != nil {
		return fmt.Errorf("--coverage: %w", err)
	}
	return nil
}

// buildModules returns the files of the modules of which one is loaded, and those of
// --more-modules.
func buildModules(ctx context.Context, c *cache.Cache, k *kernels.Kernel, opts *options) (modules, more []string, err error) {
	of := make(map[string]string) // which directory each module is from
	for i, b := range opts.builds() {
		files, err := kernels.BuildModules(ctx, c, k, b)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range files {
			name := kernels.ModuleName(f)
			if other, taken := of[name]; taken {
				return nil, nil, fmt.Errorf("both %s and %s have a module %s", other, b.Dir, name)
			}
			of[name] = b.Dir
		}
		if i == 0 {
			modules = files
		} else {
			more = append(more, files...)
		}
	}
	return modules, more, nil
}

// addCoverage adds what the guest executed to the files of --coverage. If the
// guest died, its counters died with it: the verdict says so, not an error.
func addCoverage(ctx context.Context, opts *options, o *results.Outcome, k *kernels.Kernel, notes *kernels.Notes, stderr io.Writer, note host.Notef) error {
	switch {
	case o.Unloaded == nil:
		note("no coverage of this run: the guest ended before it had sent all counters; %s is left as it was", opts.coverageDir)
		return nil
	case len(o.Counters) == 0:
		return errors.New("the guest counted nothing: no module that was loaded was built with GCOV_PROFILE=y")
	}
	lines, err := notes.Lines(ctx, k, o.Counters)
	if err != nil {
		return err
	}
	table, err := results.AddCoverage(opts.coverageDir, opts.ModuleDir, lines, notes.Source, note)
	if err != nil {
		return err
	}
	fmt.Fprint(stderr, table)
	note("these counts are in %s and %s", filepath.Join(opts.coverageDir, coverage.Name), results.CoveragePage)
	return nil
}
