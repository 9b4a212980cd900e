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

// markFunction is where a reader's marks lead in the kernel.
const markFunction = "__x64_sys_getppid"

// profileContender boots twice: once to learn where the kernel's functions are,
// and then the very same guest again, with each block of code counted.
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
	symbols, measured, err := learned(text)
	if err != nil {
		return err
	}
	if err := symbols.AddProgram(filepath.Join(dir, measured.Program)); err != nil {
		return err
	}
	out := filepath.Join(dir, "blocks.")
	if err := bootAgain(ctx, guest, fmt.Sprintf("file=%s,mark=%x,out=%s", plugin, symbols.Address(markFunction), out)); err != nil {
		return err
	}
	blocks, err := os.Open(out + "1") // between the first mark and the second
	if err != nil {
		return err
	}
	defer blocks.Close()
	functions, err := symbols.Attribute(blocks)
	if err != nil {
		return err
	}
	fmt.Printf("%s, kernel %s, %d entries: %.1f instructions a record, and in which functions\n\n",
		f.profile, measured.Figure.Kernel, measured.Figure.Entries, measured.Figure.Cost())
	return profile.Write(os.Stdout, functions, measured.Figure.Records)
}

// bootAgain boots what vm/run kept, with a plugin.
func bootAgain(ctx context.Context, guest, plugin string) error {
	boot := command(ctx, ".", filepath.Join(guest, "boot"), "-plugin", plugin)
	boot.Stderr = nil // with the rest
	if said, err := boot.CombinedOutput(); err != nil {
		return fmt.Errorf("the second boot: %w: %s", err, said[max(0, len(said)-1000):])
	}
	return nil
}

// learned splits what the first boot printed: a figure, and /proc/kallsyms.
func learned(text []byte) (*profile.Symbols, figure.Line, error) {
	line, kallsyms, _ := bytes.Cut(text, []byte("\n"))
	var l figure.Line
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, l, fmt.Errorf("the guest prints %q: %w", line, err)
	}
	if l.Figure == nil || l.Program == "" {
		return nil, l, fmt.Errorf("the guest prints %q", line)
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
