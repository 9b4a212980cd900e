// SPDX-License-Identifier: BSD-3-Clause

// Command bench boots virtual machines and counts how many instructions it
// takes to read a table from the kernel, in many ways. It runs on the host:
// make bench.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"bulkdump/test/bench/figure"
)

// flags are the command line.
type flags struct {
	kernels  []string
	sizes    []string
	only     *regexp.Regexp
	out      string
	check    string
	keep     string
	readme   string
	profile  string
	parallel string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (*flags, error) {
	f := new(flags)
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	kernels := set.String("kernels", "6.1 7.3", "`names` of kernels, as for vm/run")
	sizes := set.String("sizes", "10000 100000 1000000", "sizes of the tables, in `entries`")
	only := set.String("run", "", "measure only the contenders that match this `regexp`")
	set.StringVar(&f.out, "out", "", "write bench.json and the plots to this `directory`")
	set.StringVar(&f.check, "check", "", "measure the figures of this `file` again (with -run, only those that match), and fail if one differs")
	set.StringVar(&f.keep, "keep", "", "write the figures to this `file`, for -check; with -run, put them in place of those that it has")
	set.StringVar(&f.readme, "readme", "", "replace the tables in this `file`")
	set.StringVar(&f.profile, "profile", "", "only print how many instructions this `contender` executes in each function")
	set.StringVar(&f.parallel, "parallel", "", "also time two processors, with a table of that many `entries`")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if f.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	f.kernels, f.sizes = strings.Fields(*kernels), strings.Fields(*sizes)
	tables := f.sizes
	if f.parallel != "" {
		tables = append(slices.Clone(tables), f.parallel)
	}
	for _, s := range tables {
		if n, err := strconv.ParseUint(s, 10, 32); err != nil || n < 1000 {
			return nil, fmt.Errorf("%s: a table must have at least 1000 entries", s)
		}
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("%q is not a flag", set.Arg(0))
	}
	return f, nil
}

func run(ctx context.Context, f *flags) error {
	if f.profile != "" {
		return profileContender(ctx, f)
	}
	var kept *figure.Report
	if f.check != "" {
		var err error
		if kept, err = figure.Read(f.check); err != nil {
			return err
		}
		if kept = kept.Only(f.only.MatchString); len(kept.Figures) == 0 {
			return fmt.Errorf("-run %s: no contender in %s", f.only, f.check)
		}
		f.kernels, f.sizes = kept.Kernels(), nil
		for _, n := range kept.Sizes() {
			f.sizes = append(f.sizes, fmt.Sprint(n))
		}
	}
	if err := f.files(); err != nil {
		return err
	}
	report, err := measure(ctx, f)
	if err != nil {
		return err
	}
	if err := report.WriteTables(os.Stdout); err != nil {
		return err
	}
	if f.out != "" {
		if err := writeOut(report, f.out); err != nil {
			return err
		}
	}
	if f.keep != "" {
		if f.only.String() != "" {
			all, err := figure.Read(f.keep)
			if err == nil {
				err = all.Merge(report)
			}
			if err != nil {
				return err
			}
			report = all
		}
		if err := report.Write(f.keep); err != nil {
			return err
		}
	}
	if f.readme != "" {
		if err := figure.PasteInto(f.readme, report.Paste); err != nil {
			return err
		}
	}
	if kept != nil {
		return judge(kept, report)
	}
	return nil
}

// files returns what is wrong with the files that are written. That is told first,
// because to measure takes minutes.
func (f *flags) files() error {
	if f.readme != "" {
		if err := figure.CanPaste(f.readme, new(figure.Report).Paste); err != nil {
			return err
		}
	}
	if f.keep != "" && f.only.String() != "" {
		if _, err := figure.Read(f.keep); err != nil {
			return err
		}
	}
	if f.out != "" {
		return os.MkdirAll(f.out, 0o755)
	}
	return nil
}

// judge returns an error if a figure differs from the kept one.
func judge(kept, now *figure.Report) error {
	differences := figure.Compare(kept, now)
	for _, d := range differences {
		fmt.Println(d)
	}
	if len(differences) > 0 {
		return fmt.Errorf("%d figures differ from those kept; if that is intended: make bench-keep", len(differences))
	}
	fmt.Printf("all %d figures match those kept\n", len(kept.Figures))
	return nil
}

// memory returns how many MiB a guest needs for the largest table and for a
// reader that keeps all of it.
func memory(sizes []string) int {
	largest := slices.MaxFunc(sizes, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	n, _ := strconv.Atoi(largest) // parseFlags checked it
	return 1024 + n*3/2048
}
