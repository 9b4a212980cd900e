// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/cache"
)

// modprobeUsers adds each of the kernel's own modules that calls one of the
// functions. Not each has to be called, but one of them.
func (k *Kernel) ModprobeUsers(ctx context.Context, c *cache.Cache, functions []string) error {
	functions = slices.Sorted(slices.Values(functions))
	const list = "modules"
	dir, err := c.Entry(ctx, "users-"+cache.Digest(k.identity(), strings.Join(functions, ",")), func(dir string) error {
		c.Note("reading which modules of %s call %s: once, about half a minute", k.Release, strings.Join(functions, ", "))
		names, err := k.moduleUsers(ctx, functions)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, list), []byte(strings.Join(names, "\n")), 0o644)
	})
	if err != nil {
		return fmt.Errorf("--modprobe-users: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, list))
	if err != nil {
		return err
	}
	names := strings.Fields(string(text))
	if len(names) == 0 {
		return fmt.Errorf("--modprobe-users: no module of %s calls %s", k.Release, strings.Join(functions, " or "))
	}
	return k.Modprobe(ctx, names)
}

// moduleUsers reads all modules, and names those that call one of the functions.
func (k *Kernel) moduleUsers(ctx context.Context, functions []string) ([]string, error) {
	var names []string
	for _, dir := range k.moduleDirs() {
		order, err := os.ReadFile(filepath.Join(dir, "modules.order"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		for path := range strings.FieldsSeq(string(order)) {
			base := strings.TrimSuffix(path, filepath.Ext(path))
			file, err := packedOrNot(filepath.Join(dir, base+".ko"))
			if err != nil {
				continue // of another package than the image's
			}
			text, err := readModule(ctx, file)
			if err != nil {
				return nil, err
			}
			if uses, err := moduleUses(text, functions); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			} else if uses {
				names = append(names, filepath.Base(base))
			}
		}
	}
	return names, nil
}

// moduleUses tells whether a module calls one of the functions.
func moduleUses(text []byte, functions []string) (bool, error) {
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return false, err
	}
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return false, err
	}
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool {
		return s.Section == elf.SHN_UNDEF && slices.Contains(functions, s.Name)
	}), nil
}
