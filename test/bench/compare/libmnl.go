// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"path/filepath"
)

//go:embed c/libmnl.c
var libmnlSource []byte

// libmnlProgram is the reader in C. It prints a tally.
const libmnlProgram = "compare-libmnl"

// libmnl reads a table with that library.
func libmnl(table string) reader {
	return reader{name: "libmnl", program: libmnlProgram, args: []string{table}}
}

// buildLibmnl builds the reader in C in dir.
func buildLibmnl(ctx context.Context, dir string) (file string, err error) {
	file = filepath.Join(dir, libmnlProgram)
	gcc := command(ctx, ".", "gcc", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-o", file, "-x", "c", "-", "-lmnl")
	gcc.Stdin = bytes.NewReader(libmnlSource)
	return file, gcc.Run()
}

// withLibmnl builds the reader in C, if it is not in the path as it is in a guest,
// and puts it there while do runs.
func withLibmnl(ctx context.Context, do func() error) error {
	if _, err := findProgram(ctx, libmnlProgram); err == nil {
		return do()
	}
	dir, err := os.MkdirTemp("", "bulkdump-compare.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := buildLibmnl(ctx, dir); err != nil {
		return err
	}
	path := os.Getenv("PATH")
	defer os.Setenv("PATH", path)
	if err := os.Setenv("PATH", dir+":"+path); err != nil {
		return err
	}
	return do()
}
