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
	"bulkdump/vm/harness/internal/host"
)

// OwnModule is one of the kernel's own modules, as the guest loads it.
type OwnModule struct {
	Name string // as in /proc/modules
	Text []byte
}

var errNoModule = errors.New("no such module")

// Modprobe adds to Own the modules of these names, and what they need. A module
// that is built in needs nothing. A name that ends in ? is left out on a kernel
// that has no such module.
func (k *Kernel) Modprobe(ctx context.Context, names []string) error {
	for _, name := range names {
		name, optional := strings.CutSuffix(name, "?")
		if optional {
			if _, err := k.findModule(name); errors.Is(err, errNoModule) {
				continue
			}
		}
		if err := k.addModule(ctx, name); err != nil {
			return fmt.Errorf("--modprobe %s: %w", name, err)
		}
	}
	return nil
}

func (k *Kernel) addModule(ctx context.Context, name string) error {
	if slices.ContainsFunc(k.Own, func(m OwnModule) bool { return sameModule(m.Name, name) }) {
		return nil
	}
	file, err := k.findModule(name)
	if file == "" || err != nil {
		return err
	}
	text, err := readModule(ctx, file)
	if err != nil {
		return err
	}
	needs, soft, err := moduleNeeds(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range soft {
		if err := k.addSoft(ctx, name); err != nil {
			return err
		}
	}
	for _, need := range needs {
		if err := k.addModule(ctx, need); err != nil {
			return err
		}
	}
	k.Own = append(k.Own, OwnModule{strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".xz"), ".ko"), text})
	return nil
}

// addSoft adds a module that another one uses if it exists. The name may be an
// algorithm's: then the module is the implementation for any processor, as
// crc32c_generic is for crc32c.
func (k *Kernel) addSoft(ctx context.Context, name string) error {
	err := k.addModule(ctx, name)
	if errors.Is(err, errNoModule) {
		err = k.addModule(ctx, name+"_generic")
	}
	if errors.Is(err, errNoModule) {
		return nil
	}
	return err
}

// findModule returns a module's file, or "" if the module is built in.
func (k *Kernel) findModule(name string) (string, error) {
	named := func(file string) bool { return sameModule(strings.TrimSuffix(filepath.Base(file), ".ko"), name) }
	builtin, err := k.listed("modules.builtin")
	if err != nil || slices.ContainsFunc(builtin, named) {
		return "", err
	}
	loadable, err := k.listed("modules.order")
	if err != nil || builtin == nil && loadable == nil {
		return "", err // everything in this kernel is built in
	}
	if i := slices.IndexFunc(loadable, named); i >= 0 {
		return packedOrNot(loadable[i])
	}
	return "", fmt.Errorf("%s: %w", k.Release, errNoModule)
}

// listed returns the files of the modules in one of the kernel's lists, nil if
// there is no such list.
func (k *Kernel) listed(list string) (files []string, err error) {
	for _, dir := range k.moduleDirs() {
		text, err := os.ReadFile(filepath.Join(dir, list))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		files = slices.Grow(files, 1) // an empty list is a list
		for path := range strings.FieldsSeq(string(text)) {
			files = append(files, filepath.Join(dir, strings.TrimSuffix(path, filepath.Ext(path))+".ko"))
		}
	}
	return files, nil
}

// moduleDirs are the directories that may have the lists of a kernel's modules.
func (k *Kernel) moduleDirs() []string {
	if k.tree {
		return []string{k.root}
	}
	return []string{filepath.Join(k.root, "usr/lib/modules", k.Release), filepath.Join(k.root, "lib/modules", k.Release)}
}

// packedOrNot finds a file as it is, or compressed with xz.
func packedOrNot(file string) (string, error) {
	for _, f := range []string{file, file + ".xz"} {
		if _, err := os.Stat(f); err == nil {
			return f, nil
		}
	}
	return "", fmt.Errorf("%s is neither there, nor packed by xz", file)
}

func readModule(ctx context.Context, file string) ([]byte, error) {
	if filepath.Ext(file) != ".xz" {
		return os.ReadFile(file)
	}
	text, err := host.Output(host.Command(ctx, "xz", "--decompress", "--stdout", file))
	return []byte(text), err
}

// moduleNeeds reads which modules a module depends on, and which should be loaded
// before it if they exist (MODULE_SOFTDEP).
func moduleNeeds(text []byte) (needs, soft []string, err error) {
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	info := f.Section(".modinfo")
	if info == nil {
		return nil, nil, errors.New("no .modinfo")
	}
	data, err := info.Data()
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.SplitSeq(string(data), "\x00") {
		if list, ok := strings.CutPrefix(line, "depends="); ok && list != "" {
			needs = strings.Split(list, ",")
		}
		if list, ok := strings.CutPrefix(line, "softdep=pre:"); ok {
			list, _, _ = strings.Cut(list, "post:")
			soft = append(soft, strings.Fields(list)...)
		}
	}
	return needs, soft, nil
}

// sameModule compares names as modprobe does: - is _.
func sameModule(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// ModprobeUsers adds to Own each module that calls one of the functions. It is an
// error if no module calls any of them.
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

// moduleUsers reads all modules and returns the names of those that call one of
// the functions.
func (k *Kernel) moduleUsers(ctx context.Context, functions []string) ([]string, error) {
	files, err := k.listed("modules.order")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		found, err := packedOrNot(file)
		if err != nil {
			continue // it is in another package than the image
		}
		text, err := readModule(ctx, found)
		if err != nil {
			return nil, err
		}
		if uses, err := moduleUses(text, functions); err != nil {
			return nil, fmt.Errorf("%s: %w", found, err)
		} else if uses {
			names = append(names, strings.TrimSuffix(filepath.Base(file), ".ko"))
		}
	}
	return names, nil
}

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
