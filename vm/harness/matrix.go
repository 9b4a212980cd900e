// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/harness/internal/results"
	configs "bulkdump/vm/kernels"
)

// guestsAtOnce is how many kernels run at a time. Each guest has two processors.
const guestsAtOnce = 2

// runMatrix runs the suite on each kernel, each in its own process, so that a
// crash of one does not end the others. It prints one table, and the count last.
func runMatrix(ctx context.Context, opts *options, args []string, stdout, stderr io.Writer) int {
	var mu sync.Mutex
	note := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(stderr, "vm: "+format+"\n", a...)
	}
	fail := func(err error) int {
		note("FAIL: %v", err)
		return results.ExitHarness
	}
	names, err := kernels.Chosen(opts.Arch, "--matrix", opts.Args)
	if err != nil {
		return fail(err)
	}
	dir := opts.OutDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bulkdump-matrix."); err != nil {
			return fail(err)
		}
		defer os.RemoveAll(dir)
	}
	flags := slices.Clone(opts.flagWords(args))
	if i := slices.Index(flags, "--only"); i >= 0 {
		flags = slices.Delete(flags, i, min(i+2, len(flags)))
	}
	flags = slices.DeleteFunc(flags, func(w string) bool {
		return w == "--matrix" || w == "--matrix=true" || strings.HasPrefix(w, "--only=")
	})

	columns := make([]results.Column, len(names))
	turns := make(chan struct{}, guestsAtOnce)
	var wg sync.WaitGroup
	for _, name := range longestFirst(names) {
		out := columnDir(dir, name)
		// The results of an earlier run must not pass for this one's, even if
		// this one ends before it removes them.
		if err := results.Clear(out); err != nil {
			return fail(err)
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		wg.Go(func() {
			defer func() { <-turns }()
			note("%s: starts", name)
			child := append([]string{"--top", opts.Top}, flags...)
			child = append(child, "--kernel", name, "--out", out, "--test")
			if opts.only != "" {
				child = append(child, opts.only)
			}
			runColumn(ctx, child, out)
			c := results.ReadColumn(name, out)
			columns[slices.Index(names, name)] = c
			note("%s: %s", name, c.Verdict)
		})
	}
	wg.Wait()
	if code := ended(ctx, note); code != 0 {
		return code
	}
	for _, c := range columns {
		if c.Red() {
			results.ShowColumn(stderr, c, columnDir(dir, c.Name))
		}
	}
	table, passed, failed := results.Table(columns)
	if opts.coverageDir != "" {
		lines, err := results.ReadCoverage(opts.coverageDir, opts.ModuleDir)
		if err != nil {
			return fail(err)
		}
		fmt.Fprint(stdout, lines)
	}
	fmt.Fprint(stdout, table)
	fmt.Fprintf(stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return 1
	}
	return 0
}

// longestFirst puts the kernels that check themselves first: they take longest,
// and the run waits for the last one.
func longestFirst(names []string) []string {
	checks := func(name string) int {
		if configs.ChecksItself(name) {
			return 0
		}
		return 1
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return checks(a) - checks(b) })
}

// columnDir is the directory of a kernel's results. The name of a tree is a
// path, which becomes one directory.
func columnDir(dir, kernel string) string {
	if kernels.IsTree(kernel) {
		if abs, err := filepath.Abs(kernel); err == nil {
			kernel = strings.ReplaceAll(strings.Trim(abs, "/"), "/", "-")
		}
	}
	return filepath.Join(dir, kernel)
}

// runColumn starts this program again, with its output in run.log. The result is
// in the files that it leaves, and nowhere else.
func runColumn(ctx context.Context, args []string, dir string) {
	log, err := os.Create(filepath.Join(dir, "run.log"))
	if err != nil {
		return
	}
	defer log.Close()
	cmd := host.Command(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "vm/harness"
	cmd.WaitDelay = patience // it has its own programs to end
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(log, "vm:", err)
	}
}

// runPrepare makes everything that a run needs, for one kernel after the other,
// because a build uses all processors. It prints a row when a kernel is ready.
func runPrepare(ctx context.Context, opts *options, stdout, stderr io.Writer) int {
	note := func(format string, a ...any) { fmt.Fprintf(stderr, "vm: "+format+"\n", a...) }
	err := prepare(ctx, opts, stdout, note)
	if code := ended(ctx, note); code != 0 {
		return code
	}
	if err != nil {
		note("FAIL: %v", err)
		return results.ExitHarness
	}
	return 0
}

func prepare(ctx context.Context, opts *options, stdout io.Writer, note host.Notef) error {
	names, err := kernels.Chosen(opts.Arch, "--prepare", opts.Args)
	if err != nil {
		return err
	}
	c, err := cache.Open(note)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kernel\trelease\timage")
	for _, name := range names {
		k, err := kernels.Prepare(ctx, c, opts.Arch, name)
		if err == nil && !opts.NoModule {
			_, _, err = buildModules(ctx, c, k, opts)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, k.Release, k.Image)
	}
	return w.Flush()
}
