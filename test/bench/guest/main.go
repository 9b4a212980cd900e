// SPDX-License-Identifier: BSD-3-Clause

// Command guest runs in the guest and measures how many instructions each
// contender takes to read a table. `make bench` builds and starts it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bulkdump/test/bench/figure"
)

func main() {
	run := runBench
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "one" {
		run, args = runOne, args[1:]
	}
	if err := run(context.Background(), args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func runBench(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	kernel := f.String("kernel", "", "`name` of the kernel, for the figures")
	sizes := f.String("sizes", "100000", "entries of the tables, with commas between them")
	only := f.String("run", "", "measure only the contenders that match this `regexp`")
	setting := f.String("setting", "", "`name` of this guest's setting")
	race := f.Bool("parallel", false, "time what two processors do, and nothing else")
	profiled := f.String("profile", "", "run only this `contender`, undisturbed, then print /proc/kallsyms")
	_ = f.Parse(args)
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}

	b, err := newBench(*kernel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.client.Close(), b.tracer.close()) }()
	out := json.NewEncoder(os.Stdout)
	b.tell = func(l figure.Line) error { return out.Encode(l) }
	b.wanted = wanted.MatchString
	i := slices.IndexFunc(figure.Settings, func(s figure.Setting) bool { return s.Name == *setting })
	if i < 0 {
		return fmt.Errorf("-setting %q: there is none", *setting)
	}
	b.in = figure.Settings[i]

	if *profiled != "" {
		n, err := strconv.ParseUint(*sizes, 10, 32)
		if err != nil {
			return err
		}
		return b.profiled(ctx, *profiled, uint32(n), os.Stdout)
	}
	table := b.table
	if *race {
		table = b.parallel
	} else {
		clock, err := measureClock(*kernel)
		if err != nil {
			return err
		}
		if err := b.tell(figure.Line{Clock: &clock}); err != nil {
			return err
		}
	}
	for size := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.ParseUint(size, 10, 32)
		if err != nil {
			return err
		}
		if err := table(ctx, uint32(n)); err != nil {
			return fmt.Errorf("%d entries: %w", n, err)
		}
	}
	return nil
}
