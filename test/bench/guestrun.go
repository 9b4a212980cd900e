// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bulkdump/test/bench/figure"
)

// top is the project's directory, relative to the directory in which this
// program is started (go -C test/bench run .).
const top = "../.."

// measure builds all programs and runs them on each kernel.
func measure(ctx context.Context, f *flags) (*figure.Report, error) {
	dir, err := os.MkdirTemp("", "bulkdump-bench.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	report := &figure.Report{Go: p.goVersion, CC: p.ccVersion}
	for _, kernel := range f.kernels {
		for _, s := range figure.Settings {
			if s.Of != nil && !slices.ContainsFunc(s.Of, func(name string) bool { return f.only.MatchString(name + s.Name) }) {
				continue
			}
			if err := runGuest(ctx, f, kernel, p, s, report); err != nil {
				return nil, fmt.Errorf("kernel %s%s: %w", kernel, s.Name, err)
			}
		}
		if f.parallel != "" && slices.ContainsFunc(figure.Races(), f.only.MatchString) {
			if err := runParallel(ctx, f, kernel, p, report); err != nil {
				return nil, fmt.Errorf("kernel %s, two processors: %w", kernel, err)
			}
		}
	}
	return report, nil
}

// runGuest boots a kernel and adds the guest's figures to the report.
func runGuest(ctx context.Context, f *flags, kernel string, p *programs, s figure.Setting, report *figure.Report) error {
	cmd := guestCommand(ctx, f.sizes, kernel, p, slices.Concat(s.VM, []string{"--icount"}), "-setting", s.Name, "-run", f.only.String())
	said, err := takeAll(cmd, report)
	if err == nil && s.Name == "" {
		report.Processor = processor(said)
	}
	return err
}

// runParallel boots a kernel on two processors. It measures time, because QEMU
// can count instructions only on one processor.
func runParallel(ctx context.Context, f *flags, kernel string, p *programs, report *figure.Report) error {
	_, err := takeAll(guestCommand(ctx, []string{f.parallel}, kernel, p, []string{"--cpus", "2"}, "-parallel", "-run", f.only.String()), report)
	return err
}

// takeAll runs vm/run, adds what the guest prints to the report, and returns
// the messages of vm/run.
func takeAll(cmd *exec.Cmd, report *figure.Report) (string, error) {
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(os.Stderr, &said)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err = takeLines(out, report, os.Stderr)
	if waited := cmd.Wait(); waited != nil {
		return "", errors.Join(waited, err)
	}
	return said.String(), err
}

// guestCommand returns the vm/run command that boots a guest with the programs
// and starts the measurement.
func guestCommand(ctx context.Context, sizes []string, kernel string, p *programs, vmFlags []string, guestFlags ...string) *exec.Cmd {
	args := append([]string{"--kernel", kernel, "--timeout", "36000", "--boot-timeout", "300",
		"--mem", fmt.Sprint(memory(sizes)), "--packages", "libmnl0"}, vmFlags...)
	for _, file := range p.files {
		args = append(args, "--add", file+":/bin/"+filepath.Base(file))
	}
	args = append(args, "--", guestName, "-kernel", kernel, "-sizes", strings.Join(sizes, ","))
	return command(ctx, top, "vm/run", append(args, guestFlags...)...)
}

// takeLines adds what the guest prints to the report, and shows progress.
func takeLines(r io.Reader, report *figure.Report, progress io.Writer) error {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var l figure.Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("the guest printed %q: %w", lines.Text(), err)
		}
		switch {
		case l.Clock != nil:
			report.Clocks = append(report.Clocks, *l.Clock)
		case l.Figure != nil:
			report.Figures = append(report.Figures, *l.Figure)
			fmt.Fprintf(progress, "%s, %d entries, %s: %.0f instructions per record\n",
				l.Figure.Kernel, l.Figure.Entries, l.Figure.Contender, l.Figure.Cost())
		case l.Speedup != nil:
			report.Speedups = append(report.Speedups, *l.Speedup)
			fmt.Fprintf(progress, "%s, %d entries, %s: %.2f times as fast\n",
				l.Speedup.Kernel, l.Speedup.Entries, l.Speedup.Reader, l.Speedup.Times)
		}
	}
	return nil
}

// processor finds the guest's processor in the messages of vm/run.
func processor(said string) string {
	_, rest, _ := strings.Cut(said, "vm: booting ")
	line, _, _ := strings.Cut(rest, "\n")
	_, flags, _ := strings.Cut(line, " with ")
	return flags
}

// command returns a program that is stopped when the context is done.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}
