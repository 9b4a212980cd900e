// SPDX-License-Identifier: BSD-3-Clause

// Command mutants makes small wrong changes of kmod/ and client/nldump, runs the
// tests on each, and says which change no test notices. README.md tells more.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

type flags struct {
	top, out, seed, show, wrap, stages, debug string
	c, goes, jobs, batch                      int
	near, threshold                           float64
	only                                      *regexp.Regexp
	list, quick, profile                      bool
}

// Exit statuses.
const (
	exitBad    = 1 // too many survivors
	exitFailed = 2 // the tool or its call was wrong
)

func main() {
	f := flags{only: regexp.MustCompile("")}
	flag.StringVar(&f.top, "top", "../..", "the project's directory")
	flag.StringVar(&f.out, "out", "../../out/mutants", "where the results are kept; a run that was cut off goes on")
	flag.StringVar(&f.seed, "seed", "1", "another seed chooses other mutants")
	flag.IntVar(&f.c, "c", 100, "how many mutants of kmod/")
	flag.IntVar(&f.goes, "go", 45, "how many mutants of client/nldump")
	flag.IntVar(&f.jobs, "jobs", max(1, runtime.NumCPU()/2), "how many mutants at a time")
	flag.IntVar(&f.batch, "batch", 12, "how many mutants share a build and a guest for the stage near")
	flag.StringVar(&f.wrap, "wrap", "", "words to put before a vm/run that boots, such as: flock LOCKFILE")
	flag.StringVar(&f.stages, "stages", "near,litmus,all,debug", "which tests run, in this order: near, litmus, all, debug, kcsan")
	flag.StringVar(&f.debug, "debug", "", "the tests of the stages debug and kcsan, a regular expression")
	flag.Float64Var(&f.near, "near", 20, "how many seconds of tests the stage near has")
	flag.Float64Var(&f.threshold, "threshold", 92, "per cent that must be killed")
	flag.Func("only", "take only mutants whose id, place or change matches the regular expression", func(s string) (err error) {
		f.only, err = regexp.Compile(s)
		return err
	})
	flag.BoolVar(&f.list, "list", false, "print the mutants, and run nothing")
	flag.StringVar(&f.show, "show", "", "print the mutant with this id")
	flag.BoolVar(&f.quick, "quick", false, "only those of quick.txt, each with the test that must kill it")
	flag.BoolVar(&f.profile, "profile", false, "find out which tests reach what, for coverage.txt")
	flag.CommandLine.Init("mutants", flag.ContinueOnError)
	flag.CommandLine.SetOutput(io.Discard) // an error needs a line, not all flags
	switch err := flag.CommandLine.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		flag.CommandLine.SetOutput(os.Stdout)
		flag.PrintDefaults()
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(exitFailed)
	}

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	good, err := run(ctx, &f, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(exitFailed)
	case !good:
		os.Exit(exitBad)
	}
}

func run(ctx context.Context, f *flags, stdout io.Writer) (good bool, err error) {
	if flag.NArg() > 0 {
		return false, fmt.Errorf("%q: this takes flags only", flag.Args())
	}
	if f.top, err = filepath.Abs(f.top); err != nil {
		return false, err
	}
	if f.quick {
		if set("stages") || set("out") || set("c") || set("go") {
			return false, errors.New("-quick runs all of quick.txt anew, each with its test: it goes with -only, but with none of -stages, -out, -c, -go")
		}
		f.stages = "near"
	}
	if f.c < 0 || f.goes < 0 || f.c+f.goes == 0 {
		return false, errors.New("-c and -go are not negative, and one is more than 0")
	}
	if f.batch < 1 || f.jobs < 1 {
		return false, errors.New("-batch and -jobs are at least 1")
	}
	for s := range strings.SplitSeq(f.stages, ",") {
		if !slices.Contains([]string{"near", "litmus", "all", "debug", "kcsan"}, s) {
			return false, fmt.Errorf("-stages: there is no %q", s)
		}
	}
	all, err := candidates(f.top)
	if err != nil {
		return false, err
	}
	own := filepath.Join(f.top, "test/mutants")
	stanzas, err := readStanzas(filepath.Join(own, "reasons.txt"))
	if err != nil {
		return false, err
	}
	reasons, errs := findReasons(stanzas, all)
	if len(errs) > 0 {
		return false, fmt.Errorf("reasons.txt: %w", errors.Join(errs...))
	}
	if f.show != "" {
		return true, show(all, f.show, stdout)
	}
	chosen, near, err := f.chosen(all, own)
	if err != nil {
		return false, err
	}
	if f.list {
		w := bufio.NewWriter(stdout)
		for _, m := range chosen {
			fmt.Fprintln(w, m)
		}
		fmt.Fprintf(w, "%d mutants of %d\n", len(chosen), len(all))
		return true, w.Flush()
	}
	return f.runTests(ctx, own, chosen, near, reasons, stdout)
}

// set reports whether a flag is on the command line.
func set(name string) (is bool) {
	flag.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
}

// runTests runs the tests on the mutants, or makes a profile.
func (f *flags) runTests(ctx context.Context, own string, chosen []*mutant, near map[string]string, reasons map[string]reason, stdout io.Writer) (good bool, err error) {
	work, err := os.MkdirTemp("", "bulkdump-mutants.")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	gocache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return false, err
	}
	r := &runner{top: f.top, work: work, wrap: strings.Fields(f.wrap), near: f.near, debug: f.debug,
		stages: strings.Split(f.stages, ","), stdout: stdout, gocache: strings.TrimSpace(string(gocache))}
	if f.profile || slices.ContainsFunc(chosen, func(m *mutant) bool { return !m.isGo() }) {
		if err := r.prepare(ctx); err != nil {
			return false, err
		}
	}
	covered := filepath.Join(own, "coverage.txt")
	if f.profile {
		return true, r.profile(ctx, covered)
	}
	if r.cover, err = readCoverage(covered); err != nil {
		return false, err
	}
	sum, err := digest(f.top)
	if err != nil {
		return false, err
	}
	if f.quick { // always anew
		f.out = work
	}
	kept, stale, err := openRecord(f.out, sum)
	if err != nil {
		return false, err
	}
	if stale {
		fmt.Fprintln(stdout, "sources or tests have changed since the results that were kept: all runs again")
	}
	s := &session{r: r, kept: kept, tests: near, report: &report{w: stdout, reasons: reasons, of: len(chosen)}}
	if err := s.run(ctx, chosen, f.jobs, f.batch); err != nil {
		return false, err
	}
	return s.report.end(f.threshold), nil
}

// chosen returns the mutants to run, and the tests to run on them first, if
// quick.txt says so.
func (f *flags) chosen(all []*mutant, own string) (chosen []*mutant, near map[string]string, err error) {
	if f.quick {
		chosen, near, err = quick(all, filepath.Join(own, "quick.txt"))
		chosen = slices.DeleteFunc(chosen, func(m *mutant) bool { return !f.only.MatchString(m.String()) })
		if err == nil && len(chosen) == 0 {
			err = errors.New("no mutant of quick.txt matches")
		}
		return chosen, near, err
	}
	var c, goes []*mutant
	for _, m := range all {
		switch {
		case !f.only.MatchString(m.String()):
		case m.isGo():
			goes = append(goes, m)
		default:
			c = append(c, m)
		}
	}
	// In turn, because those of Go need no guest.
	c, goes = choose(c, f.c, f.seed), choose(goes, f.goes, f.seed)
	for len(c) > 0 || len(goes) > 0 {
		for _, from := range []*[]*mutant{&c, &goes} {
			if len(*from) > 0 {
				chosen = append(chosen, (*from)[0])
				*from = (*from)[1:]
			}
		}
	}
	if len(chosen) == 0 {
		return nil, nil, errors.New("no mutant matches")
	}
	_, near, err = quick(all, filepath.Join(own, "quick.txt"))
	return chosen, near, err
}

func quick(all []*mutant, path string) (chosen []*mutant, near map[string]string, err error) {
	stanzas, err := readStanzas(path)
	if err != nil {
		return nil, nil, err
	}
	near = map[string]string{}
	for _, s := range stanzas {
		found, err := s.find(all)
		if err != nil {
			return nil, nil, fmt.Errorf("quick.txt: %w", err)
		}
		chosen = append(chosen, found[0])
		near[found[0].id] = s.text
	}
	return chosen, near, nil
}

func show(all []*mutant, id string, w io.Writer) error {
	for _, m := range all {
		if m.id == id {
			_, err := fmt.Fprintln(w, m)
			return err
		}
	}
	return fmt.Errorf("there is no mutant %s", id)
}
