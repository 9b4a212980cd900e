// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bulkdump/test/bench/figure"
	"bulkdump/test/bench/profile"
)

// markFunction is the kernel's function that a reader's marks call.
const markFunction = "__x64_sys_getppid"

// profileContender boots the same guest twice: once to learn the address of the
// marks, then with each block of code counted. The kernel is at the same
// address both times. Its modules may not be, so the addresses of functions
// come from the second boot.
func profileContender(ctx context.Context, f *flags) error {
	if len(f.kernels) != 1 || len(f.sizes) != 1 {
		return errors.New("-profile takes one kernel and one size")
	}
	dir, err := os.MkdirTemp("", "bulkdump-bench.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := build(ctx, dir)
	if err != nil {
		return err
	}
	plugin := filepath.Join(dir, "count.so")
	if err := compile(ctx, plugin, "c/count.c", "-shared", "-fPIC"); err != nil {
		return err
	}
	guest := filepath.Join(dir, "guest")
	learn := guestCommand(ctx, f.sizes, f.kernels[0], p, []string{"--icount", "--keep", guest}, "-profile", f.profile)
	text, err := learn.Output()
	if err != nil {
		return err
	}
	first, _, err := learned(text)
	if err != nil {
		return err
	}
	mark, out := first.Address(markFunction), filepath.Join(dir, "blocks.")
	if text, err = bootAgain(ctx, guest, fmt.Sprintf("file=%s,mark=%x,out=%s", plugin, mark, out)); err != nil {
		return err
	}
	symbols, measured, err := learned(text)
	if err != nil {
		return err
	}
	if now := symbols.Address(markFunction); now != mark {
		return fmt.Errorf("%s was at %x in the first boot, and at %x in the second", markFunction, mark, now)
	}
	if err := symbols.AddProgram(filepath.Join(dir, measured.Program)); err != nil {
		return err
	}
	blocks, err := os.Open(out + "1") // the counts between the first mark and the second
	if err != nil {
		return err
	}
	defer blocks.Close()
	functions, err := symbols.Attribute(blocks)
	if err != nil {
		return err
	}
	fmt.Printf("%s, kernel %s, %d entries: %.1f instructions per record, by function\n\n",
		f.profile, measured.Figure.Kernel, measured.Figure.Entries, measured.Figure.Cost())
	return profile.Write(os.Stdout, functions, measured.Figure.Records)
}

// bootAgain boots the guest that vm/run kept, with a plugin, and returns what
// it prints.
func bootAgain(ctx context.Context, guest, plugin string) ([]byte, error) {
	boot := command(ctx, ".", filepath.Join(guest, "boot"), "-plugin", plugin)
	text, err := boot.Output()
	if err != nil {
		return nil, fmt.Errorf("the second boot: %w", err)
	}
	return text, nil
}

// learned parses what a boot printed: a figure, then /proc/kallsyms.
func learned(text []byte) (*profile.Symbols, figure.Line, error) {
	line, kallsyms, _ := bytes.Cut(text, []byte("\n"))
	var l figure.Line
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, l, fmt.Errorf("the guest printed %q: %w", line, err)
	}
	if l.Figure == nil || l.Program == "" {
		return nil, l, fmt.Errorf("the guest printed %q", line)
	}
	s := new(profile.Symbols)
	if err := s.AddKernel(bytes.NewReader(kallsyms)); err != nil {
		return nil, l, err
	}
	if s.Address(markFunction) == 0 {
		return nil, l, fmt.Errorf("no %s in /proc/kallsyms", markFunction)
	}
	return s, l, nil
}
