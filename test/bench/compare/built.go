// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

// A builtProgram is a reader in another language. It prints its tally.
type builtProgram struct {
	name  string // of the file; with -V, it prints this
	build func(ctx context.Context, dir string) error
}

// The readers in C and in Rust.
const (
	libmnlProgram = "compare-libmnl"
	rustProgram   = "compare-rust"
)

var builtPrograms = []builtProgram{{libmnlProgram, buildLibmnl}, {rustProgram, buildRust}}

// libmnl reads a table with that library.
func libmnl(table string) reader {
	return reader{name: "libmnl", program: libmnlProgram, args: []string{table}}
}

// rustNetlink reads a table with the crates of rust-netlink.
func rustNetlink(table string) reader {
	return reader{name: "rust-netlink", program: rustProgram, args: []string{table}}
}

//go:embed c/libmnl.c rust
var sources embed.FS

func buildLibmnl(ctx context.Context, dir string) error {
	source, err := sources.ReadFile("c/libmnl.c")
	if err != nil {
		return err
	}
	gcc := command(ctx, dir, "gcc", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-o", libmnlProgram, "-x", "c", "-", "-lmnl")
	gcc.Stdin = bytes.NewReader(source)
	return gcc.Run()
}

// crates is where Debian's packages of Rust libraries are, and netlinkCrate what
// the reader in Rust is written for. The crate's types change with each release.
const (
	crates       = "/usr/share/cargo/registry"
	netlinkCrate = "netlink-packet-route-0.12.0"
)

// buildRust builds the reader in Rust, if Debian has the crate in this release.
func buildRust(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(crates, netlinkCrate)); err != nil {
		fmt.Fprintf(os.Stderr, "%s is not built: %v\n", rustProgram, err)
		return nil
	}
	work := filepath.Join(dir, "src")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"Cargo.toml", "main.rs"} {
		source, err := sources.ReadFile("rust/" + file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, file), source, 0o644); err != nil {
			return err
		}
	}
	cargo := command(ctx, work, "cargo", "build", "--quiet", "--release", "--offline",
		"--config", `source.crates-io.replace-with="debian"`, "--config", `source.debian.directory="`+crates+`"`)
	if err := cargo.Run(); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "target/release", rustProgram), filepath.Join(dir, rustProgram))
}

// buildPrograms builds the programs that are not in the path in dir.
func buildPrograms(ctx context.Context, dir string) error {
	for _, p := range builtPrograms {
		if _, err := findProgram(ctx, p.name); err == nil {
			continue
		}
		if err := p.build(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// withBuilt puts the readers in other languages in the path while do runs. A
// guest has them.
func withBuilt(ctx context.Context, do func() error) error {
	dir, err := os.MkdirTemp("", "bulkdump-compare.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := buildPrograms(ctx, dir); err != nil {
		return err
	}
	path := os.Getenv("PATH")
	defer os.Setenv("PATH", path)
	if err := os.Setenv("PATH", dir+":"+path); err != nil {
		return err
	}
	return do()
}
