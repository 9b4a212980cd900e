// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"bulkdump/test/bench/figure"
)

// profiled runs one contender and prints where the kernel's functions are. The
// contender's two marks are the only ones of this boot.
func (b *bench) profiled(ctx context.Context, name string, n uint32, w io.Writer) error {
	all := contenders(n)
	i := slices.IndexFunc(all, func(c contender) bool { return c.name == name })
	if i < 0 {
		return fmt.Errorf("no contender %q", name)
	}
	want, err := refill(ctx, b.client, n)
	if err != nil {
		return err
	}
	if err := settle(); err != nil {
		return err
	}
	args := b.args(all[i], n, false)
	r, err := b.run(ctx, args)
	if err != nil {
		return err
	}
	if err := want.compare(all[i], false, r); err != nil {
		return err
	}
	if err := b.tell(figure.Line{Figure: b.figure(all[i], n, r), Program: filepath.Base(args[0])}); err != nil {
		return err
	}
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
