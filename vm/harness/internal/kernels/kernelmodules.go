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

	"bulkdump/vm/harness/internal/host"
)

// ownModule is one of the kernel's own modules, as the guest loads it.
type OwnModule struct {
	Name string // as in /proc/modules
	Text []byte
}

var errNoModule = errors.New("no such module")

// modprobe finds those of the kernel's own modules that are asked for, and what
// they need. What is built in is there already. A name with a ? at its end is for
// the kernels that have that module.
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

// addSoft adds a module that another one uses if it is there. An algorithm goes
// by its name, and its module is that of the implementation that runs anywhere:
// crc32c is in crc32c_generic.
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

// findModule returns a module's file; none if it is built in.
func (k *Kernel) findModule(name string) (string, error) {
	found := false
	for _, dir := range k.moduleDirs() {
		for _, list := range []string{"modules.builtin", "modules.order"} {
			text, err := os.ReadFile(filepath.Join(dir, list))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return "", err
			}
			found = true
			for path := range strings.FieldsSeq(string(text)) {
				if !sameModule(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), name) {
					continue
				}
				if list == "modules.builtin" {
					return "", nil
				}
				return packedOrNot(filepath.Join(dir, strings.TrimSuffix(path, filepath.Ext(path))+".ko"))
			}
		}
	}
	if !found {
		return "", nil // all that this kernel has is built in
	}
	return "", fmt.Errorf("%s: %w", k.Release, errNoModule)
}

// moduleDirs are where a kernel's lists of its modules lie.
func (k *Kernel) moduleDirs() []string {
	if k.tree {
		return []string{k.root}
	}
	return []string{filepath.Join(k.root, "usr/lib/modules", k.Release), filepath.Join(k.root, "lib/modules", k.Release)}
}

// packedOrNot finds a file as it is, or packed by xz.
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

// moduleNeeds reads which modules one needs, and which it wants before itself
// if they are there (MODULE_SOFTDEP).
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

// sameModule takes - for _, as modprobe does.
func sameModule(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}
