// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"bulkdump/test/bench/figure"
)

// The contenders that are drawn against the size of the table.
var (
	drawnReaders = []string{figure.Ours, "go direct", "go columns", "libmnl", "c ynl", "mdlayher execute", "mdlayher iter", "vishvananda iter", "proc, go"}
	drawnCursors = []string{figure.Ours, "go bucket cursor", "go index cursor", "go walker cursor"}
)

// writeOut writes the figures and their plots into a directory.
func writeOut(r *figure.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := r.Write(filepath.Join(dir, "bench.json"))
	largest := slices.Max(r.Sizes())
	// A cost that is the square of the table's size would leave no room for the
	// others.
	bars := slices.DeleteFunc(r.Contenders(), func(c string) bool { return c == "go index cursor" })
	for _, kernel := range r.Kernels() {
		for name, draw := range map[string]func(io.Writer) error{
			"contenders": func(w io.Writer) error { return r.WriteBars(w, kernel, bars, largest) },
			"sizes":      func(w io.Writer) error { return r.WriteSizes(w, kernel, drawnReaders) },
			"cursors":    func(w io.Writer) error { return r.WriteSizes(w, kernel, drawnCursors) },
			"buffers":    func(w io.Writer) error { return r.WriteBuffers(w, kernel) },
		} {
			err = errors.Join(err, figure.WriteFile(filepath.Join(dir, filepath.Base(kernel)+"-"+name+".svg"), draw))
		}
	}
	return err
}
