// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"context"
	"debug/elf"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// decoder adds file:line to the places in a kernel's report. It knows the modules
// of the run, and the kernel if that has its symbols.
type decoder struct {
	files  map[string]string // ELF files by module; the kernel's own is ""
	elfs   map[string]*symbols
	loaded map[string]proto.Sections // where the modules were before the unload
}

// symbols are a file's functions by name. Several may have the same name.
type symbols struct {
	file      string
	module    bool // addresses count from the start of a section
	functions map[string][]elf.Symbol
	sections  []*elf.Section
}

func newDecoder(vmlinux string, modules []string) *decoder {
	d := &decoder{files: map[string]string{"": vmlinux}, elfs: map[string]*symbols{}}
	for _, m := range modules {
		d.files[kernels.ModuleName(m)] = m
	}
	return d
}

// place matches function+0xoffset/0xsize [module build-id].
var place = regexp.MustCompile(`\b([A-Za-z_][\w.$]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[(\w+)[^\]]*\])?`)

// decode returns the lines with file:line where that is known. Other places stay as
// they are.
func (d *decoder) decode(lines []string) []string {
	out := slices.Clone(lines)
	for i, line := range lines {
		m := place.FindStringSubmatchIndex(line)
		if m == nil {
			if a := gonePlace.FindStringSubmatch(line); a != nil {
				out[i] += d.locateGone(a[1])
			}
			continue
		}
		part := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return line[m[2*n]:m[2*n+1]]
		}
		offset, _ := strconv.ParseUint(part(2), 16, 64)
		size, _ := strconv.ParseUint(part(3), 16, 64)
		// A trace has the addresses that calls return to. RIP and the heads of
		// reports have the instruction itself.
		if offset > 0 && strings.TrimLeft(consolePrefix.ReplaceAllString(line[:m[0]], ""), " ?") == "" {
			offset--
		}
		if at := d.locate(part(4), part(1), offset, size); at != "" {
			out[i] = line[:m[1]] + " (" + at + ")" + line[m[1]:]
		}
	}
	return out
}

// gonePlace matches a bare address in the trace of a leak: code of a module that
// has been unloaded.
var gonePlace = regexp.MustCompile(`^(?:\[[^\]]*\] )?kmemleak: +0x([0-9a-f]{16})$`)

// locateGone finds the place of such an address, to which a call returns.
func (d *decoder) locateGone(hex string) string {
	address, _ := strconv.ParseUint(hex, 16, 64)
	for module, sections := range d.loaded {
		s := d.symbols(module)
		if s == nil {
			continue
		}
		for i, section := range s.sections {
			base, err := strconv.ParseUint(strings.TrimPrefix(sections[section.Name], "0x"), 16, 64)
			if err != nil {
				continue // not loaded
			}
			offset := address - base // far too large for what is not in it
			for name, all := range s.functions {
				for _, sym := range all {
					if int(sym.Section) == i && sym.Size > 0 && sym.Value < offset && offset <= sym.Value+sym.Size {
						return fmt.Sprintf(" %s+%#x/%#x [%s] (%s)", name, offset-sym.Value, sym.Size, module, s.line(sym, offset-sym.Value-1))
					}
				}
			}
		}
	}
	return ""
}

// symbols are those of the module, "" for the kernel; nil if there are none.
func (d *decoder) symbols(module string) *symbols {
	s, ok := d.elfs[module]
	if !ok {
		if file := d.files[module]; file != "" {
			s = openSymbols(file, module != "")
		}
		d.elfs[module] = s // a file that cannot be read is tried once
	}
	return s
}

func (d *decoder) locate(module, function string, offset, size uint64) string {
	s := d.symbols(module)
	if s == nil {
		return ""
	}
	sym, ok := pickSymbol(s.functions[function], size)
	if !ok {
		return ""
	}
	return s.line(sym, offset)
}

// line is file:line of the instruction at that offset in a function.
func (s *symbols) line(sym elf.Symbol, offset uint64) string {
	args := []string{"-e", s.file, "-i"}
	if s.module {
		if int(sym.Section) >= len(s.sections) {
			return ""
		}
		args = append(args, "-j", s.sections[sym.Section].Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	text, err := host.Output(host.Command(ctx, "addr2line", append(args, fmt.Sprintf("%#x", sym.Value+offset))...))
	if err != nil {
		return ""
	}
	return placeOf(text)
}

// pickSymbol returns the function of that size, or the only one. The kernel's size
// includes the padding after a function.
func pickSymbol(all []elf.Symbol, size uint64) (elf.Symbol, bool) {
	if len(all) > 1 {
		all = slices.DeleteFunc(slices.Clone(all), func(s elf.Symbol) bool { return s.Size > size || size-s.Size >= 64 })
	}
	if len(all) != 1 {
		return elf.Symbol{}, false
	}
	return all[0], true
}

func openSymbols(file string, module bool) *symbols {
	e, err := elf.Open(file)
	if err != nil {
		return nil
	}
	defer e.Close()
	all, err := e.Symbols()
	if err != nil {
		return nil
	}
	s := &symbols{file: file, module: module, functions: map[string][]elf.Symbol{}, sections: e.Sections}
	for _, sym := range all {
		if t := elf.ST_TYPE(sym.Info); t == elf.STT_FUNC || t == elf.STT_NOTYPE && sym.Section != elf.SHN_UNDEF {
			s.functions[sym.Name] = append(s.functions[sym.Name], sym)
		}
	}
	return s
}

// buildPlace matches the directory in which a module or kernel was built, which
// means nothing to the reader.
var buildPlace = regexp.MustCompile(`^(?:.*/build/[0-9a-f]{12}/|.*/linux-(?:headers|source)-[^/]+/|\./)`)

// placeOf turns addr2line's answer into one phrase: first the line of the innermost
// inlined function, then where it was inlined.
func placeOf(text string) string {
	var places []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " (discriminator")
		file, n, ok := strings.Cut(line, ":")
		if !ok || file == "??" || n == "?" || n == "0" {
			return strings.Join(places, ", inlined at ")
		}
		places = append(places, buildPlace.ReplaceAllString(filepath.Clean(file), "")+":"+n)
	}
	return strings.Join(places, ", inlined at ")
}
