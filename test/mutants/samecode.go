// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A mutant that the compiler turns into the same code as the original needs no test,
// and none can kill it: a READ_ONCE() of a word, or a barrier of a kind that the
// processor does not need.

// sameCode compares two modules: all that is loaded, with what it refers to.
func sameCode(a, b string) (bool, error) {
	loadedA, err := loaded(a)
	if err != nil {
		return false, err
	}
	loadedB, err := loaded(b)
	if err != nil {
		return false, err
	}
	return slices.Equal(loadedA, loadedB), nil
}

// loaded returns the sections of a module that are loaded, each as one text, but for
// those that have its name or a hash of it.
func loaded(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []string
	for nr, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || strings.HasPrefix(s.Name, ".note") || s.Name == ".modinfo" || s.Name == ".gnu.linkonce.this_module" {
			continue
		}
		section := fmt.Sprintf("%s %s %d\n", s.Name, s.Flags, s.Size)
		if s.Type != elf.SHT_NOBITS {
			data, err := s.Data()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			section += string(data)
		}
		for _, r := range f.Sections {
			if r.Type != elf.SHT_RELA || int(r.Info) != nr {
				continue
			}
			refers, err := references(f, r, symbols)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			section += refers
		}
		all = append(all, section)
	}
	slices.Sort(all)
	return all, nil
}

// references returns the relocations of a section, with names for the symbols.
func references(f *elf.File, section *elf.Section, symbols []elf.Symbol) (string, error) {
	data, err := section.Data()
	if err != nil {
		return "", err
	}
	var all strings.Builder
	var r elf.Rela64
	for reader := bytes.NewReader(data); reader.Len() > 0; {
		if err := binary.Read(reader, f.ByteOrder, &r); err != nil {
			return "", err
		}
		to := ""
		if nr := int(elf.R_SYM64(r.Info)); nr > 0 { // Symbols leaves out the first
			s := symbols[nr-1]
			to = s.Name
			if elf.ST_TYPE(s.Info) == elf.STT_SECTION {
				to = f.Sections[s.Section].Name
			}
		}
		fmt.Fprintf(&all, "%x %d %s %d\n", r.Off, elf.R_TYPE64(r.Info), to, r.Addend)
	}
	return all.String(), nil
}
