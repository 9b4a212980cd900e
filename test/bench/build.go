// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// guestName is the program that measures in the guest.
const guestName = "bench-guest"

// programs are the programs that are copied into the guest.
type programs struct {
	files     []string
	goVersion string
	ccVersion string
}

// cPrograms are the programs in C. libmnl is linked dynamically: the guest has
// Debian's package.
var cPrograms = []struct {
	name, source string
	flags        []string
}{
	{"bench-raw", "c/raw.c", []string{"-static"}},
	{"bench-copy", "c/copy.c", []string{"-static"}},
	{"bench-libmnl", "c/libmnl.c", []string{"-lmnl"}},
}

// build builds all programs in dir.
func build(ctx context.Context, dir string) (*programs, error) {
	if err := command(ctx, top, "vm/deps", "run", "bench").Run(); err != nil {
		return nil, err
	}
	p := new(programs)
	file := func(name string) string {
		p.files = append(p.files, filepath.Join(dir, name))
		return p.files[len(p.files)-1]
	}
	goBuild := command(ctx, ".", "go", "build", "-trimpath", "-buildvcs=false", "-o", file(guestName), "./guest")
	goBuild.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if err := goBuild.Run(); err != nil {
		return nil, err
	}
	for _, c := range cPrograms {
		if err := compile(ctx, file(c.name), c.source, c.flags...); err != nil {
			return nil, err
		}
	}
	if err := buildYNL(ctx, file("bench-ynl"), filepath.Join(dir, "ynl")); err != nil {
		return nil, err
	}
	var err error
	if p.goVersion, err = firstLine(ctx, "go", "version"); err != nil {
		return nil, err
	}
	p.ccVersion, err = firstLine(ctx, "gcc", "--version")
	return p, err
}

// buildYNL builds the reader on the kernel's YNL library. No package has that
// library, so its source is copied to a directory, together with the code that
// its generator makes from our spec.
func buildYNL(ctx context.Context, to, dir string) error {
	if err := command(ctx, top, "kmod/scripts/gen", "--user", dir).Run(); err != nil {
		return err
	}
	return compile(ctx, to, "c/ynl.c", "-static", "-w", "-I"+dir, "-I"+filepath.Join(top, "kmod/uapi"),
		filepath.Join(dir, "bulkdump-user.c"), filepath.Join(dir, "ynl.c")) // -w: the warnings are in their code, not in ours
}

func compile(ctx context.Context, to, source string, flags ...string) error {
	args := append([]string{"-O2", "-Wall", "-Wextra", "-Werror", "-o", to, source}, flags...)
	return command(ctx, ".", "gcc", args...).Run()
}

func firstLine(ctx context.Context, name string, args ...string) (string, error) {
	cmd := command(ctx, ".", name, args...)
	text, err := cmd.Output()
	line, _, _ := strings.Cut(string(text), "\n")
	return line, err
}
