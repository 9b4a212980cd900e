// SPDX-License-Identifier: BSD-3-Clause

// Package profile assigns the instructions that a QEMU plugin counted
// (c/count.c) to functions.
package profile

import (
	"bufio"
	"cmp"
	"debug/elf"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A Symbols has the addresses of functions, of the kernel and of one program.
type Symbols struct {
	all    []symbol
	sorted bool
}

type symbol struct {
	address uint64
	end     uint64 // 0 if it is unknown: then the function ends where the next one begins
	name    string
}

// kernelSpace is where the kernel's addresses begin.
const kernelSpace = 1 << 63

// AddKernel adds the functions of /proc/kallsyms.
func (s *Symbols) AddKernel(kallsyms io.Reader) error {
	lines := bufio.NewScanner(kallsyms)
	for lines.Scan() {
		var y symbol
		var kind string
		if n, _ := fmt.Sscanf(lines.Text(), "%x %s %s", &y.address, &kind, &y.name); n != 3 {
			return fmt.Errorf("kallsyms: %q", lines.Text())
		}
		if kind == "t" || kind == "T" {
			s.all = append(s.all, y)
		}
	}
	s.sorted = false
	return lines.Err()
}

// AddProgram adds the functions of a program. It must be a static one, because
// only there are the addresses those in the file.
func (s *Symbols) AddProgram(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := f.Symbols()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, y := range all {
		if elf.ST_TYPE(y.Info) == elf.STT_FUNC {
			s.all = append(s.all, symbol{y.Value, y.Value + y.Size, y.Name})
		}
	}
	s.sorted = false
	return nil
}

// Address returns the address of a function, or 0 if it is unknown.
func (s *Symbols) Address(name string) uint64 {
	if i := slices.IndexFunc(s.all, func(y symbol) bool { return y.name == name }); i >= 0 {
		return s.all[i].address
	}
	return 0
}

// name returns the function that contains an address.
func (s *Symbols) name(address uint64) string {
	if !s.sorted {
		slices.SortFunc(s.all, func(a, b symbol) int {
			return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.name, b.name))
		})
		s.sorted = true
	}
	i, _ := slices.BinarySearchFunc(s.all, address, func(y symbol, a uint64) int {
		if y.address <= a {
			return -1
		}
		return 1
	})
	if i == 0 || s.all[i-1].end != 0 && s.all[i-1].end <= address {
		return "(unknown)"
	}
	return s.all[i-1].name
}

// A Function has the number of instructions executed in one function.
type Function struct {
	Name         string
	Kernel       bool
	Instructions uint64
}

// Attribute reads the plugin's output, and returns the functions with the most
// instructions first.
func (s *Symbols) Attribute(blocks io.Reader) ([]Function, error) {
	counts := map[Function]uint64{}
	lines := bufio.NewScanner(blocks)
	for lines.Scan() {
		var address, instructions, times uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x %d %d", &address, &instructions, &times); n != 3 {
			return nil, fmt.Errorf("counted blocks: %q", lines.Text())
		}
		counts[Function{Name: s.name(address), Kernel: address >= kernelSpace}] += instructions * times
	}
	var all []Function
	for f, n := range counts {
		f.Instructions = n
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Instructions, a.Instructions), strings.Compare(a.Name, b.Name))
	})
	return all, lines.Err()
}

// Write writes a table of the functions with one instruction per record or
// more.
func Write(w io.Writer, all []Function, records uint64) error {
	var sums [2]float64 // user, kernel
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "KERNEL\tUSER\t  FUNCTION")
	for _, f := range all {
		n := float64(f.Instructions) / float64(records)
		line := "\t%.1f\t  %s\n"
		space := 0
		if f.Kernel {
			line, space = "%.1f\t\t  %s\n", 1
		}
		sums[space] += n
		if n >= 1 {
			fmt.Fprintf(tw, line, n, f.Name)
		}
	}
	fmt.Fprintf(tw, "%.1f\t%.1f\t  all\n", sums[1], sums[0])
	return tw.Flush()
}
