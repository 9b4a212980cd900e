// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/harness/internal/results"
)

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
	names, err := kernels.Chosen("--prepare", opts.Args)
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
		k, err := kernels.Prepare(ctx, c, name)
		if err == nil && !opts.NoModule {
			_, err = kernels.BuildModules(ctx, c, k, opts.ModuleDir, opts.buildChecks())
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, k.Release, k.Image)
	}
	return w.Flush()
}
