// SPDX-License-Identifier: BSD-3-Clause

// Command selftest checks that vm/run finds faults. It injects one fault after
// another into a guest. Each must make the run fail with the expected exit code
// and reason. `make vm-selftest` starts it from the top of the tree.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// program is the program under test.
const program = "vm/run"

func main() {
	var kernels, faults []string
	jobs := pflag.IntP("jobs", "j", 2, "guests at a time")
	pflag.StringSliceVar(&kernels, "kernel", nil, "only these kernels (default: all but kmsan); one that is not in the table gets the rows for any kernel")
	pflag.StringSliceVar(&faults, "fault", nil, "only these rows")
	quick := pflag.Bool("quick", false, "only the rows that matter most")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	rows, err := plan(kernels, faults, *quick)
	if err == nil {
		err = adoptOrphans()
	}
	switch {
	case *jobs < 1:
		err = fmt.Errorf("--jobs %d: at least one", *jobs)
	case pflag.NArg() > 0:
		err = fmt.Errorf("%q: only flags are allowed", pflag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "selftest:", err)
		os.Exit(2)
	}
	if !runAll(ctx, rows, *jobs, func(c check) result { return run(ctx, c) }, os.Stdout) {
		os.Exit(1)
	}
}

// plan returns the rows for these kernels and faults. Each row has its kernel. A
// fault without a row is an error, because it would be skipped silently. With
// quick, only the base kernel has the rows that are for every kernel.
func plan(kernels, faults []string, quick bool) ([]check, error) {
	known := []string{baseKernel}
	table := slices.Concat(table, momentRows())
	if quick {
		table = slices.DeleteFunc(table, func(c check) bool { return !slices.Contains(mattersMost, c.fault) })
	}
	for _, c := range table {
		if c.kernel != "" && !slices.Contains(known, c.kernel) {
			known = append(known, c.kernel)
		}
	}
	if len(kernels) == 0 { // kmsan takes half an hour to build
		kernels = slices.DeleteFunc(slices.Clone(known), func(name string) bool { return name == "kmsan" })
	}
	var rows []check
	for _, kernel := range kernels {
		special := kernel != baseKernel && slices.Contains(known, kernel)
		for _, c := range table {
			if c.kernel != kernel && (c.kernel != "" || special && (quick || !c.everywhere)) {
				continue
			}
			if len(faults) > 0 && !slices.Contains(faults, c.fault) {
				continue
			}
			c.kernel = kernel
			rows = append(rows, c)
		}
	}
	for _, f := range faults {
		if !slices.ContainsFunc(rows, func(c check) bool { return c.fault == f }) {
			return nil, fmt.Errorf("no row %q for kernels %s", f, strings.Join(kernels, ", "))
		}
	}
	return rows, nil
}

// runAll runs the rows and prints the results in the order of the rows, then
// the logs of those that failed. It reports whether all results were as
// expected.
func runAll(ctx context.Context, rows []check, jobs int, run func(check) result, out io.Writer) bool {
	results := make([]chan result, len(rows))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	go func() {
		slots := make(chan bool, jobs)
		for i, c := range rows {
			n := 1
			if c.moment != nil {
				n = jobs // takes all the slots: it runs alone
			}
			for range n {
				slots <- true
			}
			go func() {
				results[i] <- run(c)
				for range n {
					<-slots
				}
			}()
		}
	}()
	fault, kernel := len("fault"), len("kernel")
	for _, c := range rows {
		fault, kernel = max(fault, len(c.fault)), max(kernel, len(c.kernel))
	}
	line := func(ok, f, k, code, seconds, reason string) {
		fmt.Fprintf(out, "%-6s  %-*s  %-*s  %4s  %5s  %s\n", ok, fault, f, kernel, k, code, seconds, reason)
	}
	line("", "fault", "kernel", "exit", "s", "reason")
	var failed []result
	for i, c := range rows {
		r := <-results[i]
		ok := "ok"
		if r.wrong != "" {
			ok = "FAILED"
			failed = append(failed, r)
		}
		line(ok, c.fault, c.kernel, fmt.Sprint(r.code), fmt.Sprintf("%.1f", r.took.Seconds()), r.reason)
	}
	for _, r := range failed {
		fmt.Fprintf(out, "\n%s on %s: %s\n  %s\n", r.check.fault, r.check.kernel, r.wrong, r.check.line())
		for _, l := range r.log[max(0, len(r.log)-maxLog):] {
			fmt.Fprintf(out, "  | %s\n", l)
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "\nended by a signal")
	}
	fmt.Fprintf(out, "\n%d passed, %d failed\n", len(rows)-len(failed), len(failed))
	return len(failed) == 0 && len(rows) > 0
}

// maxLog is how many lines of a row's log are shown. A report of the kernel is
// long, and may never come again.
const maxLog = 120

// patience is the limit for a row. After it, the harness itself hangs.
const patience = 6 * time.Minute
