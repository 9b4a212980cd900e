// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
)

// runPrepare makes all that a run on each kernel needs, one after the other:
// what takes long there takes all processors. It prints a row as each is ready.
func runPrepare(ctx context.Context, opts *options, stdout, stderr io.Writer) int {
	note := func(format string, a ...any) { fmt.Fprintf(stderr, "vm: "+format+"\n", a...) }
	err := prepare(ctx, opts, stdout, note)
	if code := ended(ctx, note); code != 0 {
		return code
	}
	if err != nil {
		note("FAIL: %v", err)
		return exitHarness
	}
	return 0
}

func prepare(ctx context.Context, opts *options, stdout io.Writer, note notef) error {
	names, err := chosenKernels("--prepare", opts.args)
	if err != nil {
		return err
	}
	c, err := openCache(note)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "kernel\trelease\timage")
	for _, name := range names {
		k, err := readyKernel(ctx, c, name)
		if err == nil && !opts.noModule {
			_, err = buildModules(ctx, c, k, opts.moduleDir, opts.buildChecks())
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, k.release, k.image)
	}
	return w.Flush()
}
