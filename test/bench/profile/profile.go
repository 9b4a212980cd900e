// SPDX-License-Identifier: BSD-3-Clause

// Package profile assigns to functions what a QEMU plugin (c/count.c) counted:
// instructions, and accesses that missed the caches.
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

// A Function has what was counted in one function.
type Function struct {
	Name         string
	Kernel       bool
	Instructions uint64
	Missed       [2]uint64 // accesses that missed the first cache, and the second, too
}

// Attribute reads the plugin's output, and returns the functions with the most
// instructions first.
func (s *Symbols) Attribute(blocks io.Reader) ([]Function, error) {
	type name struct {
		of     string
		kernel bool
	}
	counts := map[name]*Function{}
	lines := bufio.NewScanner(blocks)
	for lines.Scan() {
		var address, instructions, times uint64
		var missed [2]uint64
		if n, _ := fmt.Sscanf(lines.Text(), "%x %d %d %d %d", &address, &instructions, &times, &missed[0], &missed[1]); n != 5 {
			return nil, fmt.Errorf("counted blocks: %q", lines.Text())
		}
		in := name{s.name(address), address >= kernelSpace}
		f := counts[in]
		if f == nil {
			f = &Function{Name: in.of, Kernel: in.kernel}
			counts[in] = f
		}
		f.Instructions += instructions * times
		f.Missed[0] += missed[0]
		f.Missed[1] += missed[1]
	}
	var all []Function
	for _, f := range counts {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Instructions, a.Instructions), strings.Compare(a.Name, b.Name))
	})
	return all, lines.Err()
}

// Write writes a table of the functions with one instruction per record or
// more, or a hundredth of a miss.
func Write(w io.Writer, all []Function, records uint64) error {
	per := func(n uint64) float64 { return float64(n) / float64(records) }
	var sums [2]float64 // user, kernel
	var missed [2]uint64
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "KERNEL\tUSER\tL1 MISSES\tL2 MISSES\t  FUNCTION")
	for _, f := range all {
		n := per(f.Instructions)
		line := "\t%.1f\t%.2f\t%.2f\t  %s\n"
		space := 0
		if f.Kernel {
			line, space = "%.1f\t\t%.2f\t%.2f\t  %s\n", 1
		}
		sums[space] += n
		missed[0] += f.Missed[0]
		missed[1] += f.Missed[1]
		if n >= 1 || per(f.Missed[0]) >= 0.01 {
			fmt.Fprintf(tw, line, n, per(f.Missed[0]), per(f.Missed[1]), f.Name)
		}
	}
	fmt.Fprintf(tw, "%.1f\t%.1f\t%.2f\t%.2f\t  all\n", sums[1], sums[0], per(missed[0]), per(missed[1]))
	return tw.Flush()
}
