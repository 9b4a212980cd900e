// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
)

// IsTree reports whether --kernel names a directory, and not one of our kernels.
func IsTree(name string) bool { return strings.Contains(name, "/") || name == "." || name == ".." }

// openTree opens a kernel that the user built. dir is the directory where make
// ran, or its O=. Nothing is written there.
func openTree(a *arch.Arch, dir string) (*Kernel, error) {
	if a != arch.Host {
		return nil, fmt.Errorf("a tree of your own is for %s, not %s", arch.Host.Name, a.Name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "Makefile")); err != nil {
		if _, err := os.Stat(dir); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s is no kernel's tree: it has no Makefile", dir)
	}
	k := &Kernel{Arch: a, root: dir, tree: true, Image: filepath.Join(dir, "arch/x86/boot/bzImage")}
	config, err := readKconfig(k.configFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not configured: it has no .config", dir)
	} else if err != nil {
		return nil, err
	}
	if lines := config.lacking(); len(lines) > 0 {
		return nil, fmt.Errorf("the kernel of %s cannot run here; its .config lacks %s", dir, strings.Join(lines, ", "))
	}
	text, err := os.ReadFile(filepath.Join(dir, "include/config/kernel.release"))
	k.Release = strings.TrimSpace(string(text))
	if err != nil || k.Release == "" {
		return nil, fmt.Errorf("%s is not built: run make there", dir)
	}
	built, err := imageRelease(k.Image)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is not built: it has no arch/x86/boot/bzImage; run make there", dir)
	case err != nil:
		return nil, err
	case built != k.Release:
		return nil, fmt.Errorf("%s was built as %s, and is %s now: run make there", k.Image, built, k.Release)
	}
	return k, nil
}

// imageRelease reads the release in the header of an image.
func imageRelease(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// The boot protocol: "HdrS" at 0x202; at 0x20e where the version is, less 0x200.
	head := make([]byte, 0x210)
	version := make([]byte, 128)
	if _, err := f.ReadAt(head, 0); err != nil || string(head[0x202:0x206]) != "HdrS" {
		return "", fmt.Errorf("%s is no image of an x86 kernel", file)
	}
	n, _ := f.ReadAt(version, 0x200+int64(binary.LittleEndian.Uint16(head[0x20e:])))
	release, _, ok := bytes.Cut(version[:n], []byte(" "))
	if !ok {
		return "", fmt.Errorf("%s does not say of which release it is", file)
	}
	return string(release), nil
}

func (k *Kernel) configFile() string {
	if k.tree {
		return filepath.Join(k.root, ".config")
	}
	return filepath.Join(k.root, "usr/src/linux-headers-"+k.Release, ".config")
}

// identity is part of the name of what was made for this kernel. A build root
// never changes, but a user's tree does.
func (k *Kernel) identity() string {
	if !k.tree {
		return filepath.Base(k.root)
	}
	parts := []string{k.root}
	for _, name := range []string{".config", "Module.symvers", "arch/x86/boot/bzImage"} {
		if st, err := os.Stat(filepath.Join(k.root, name)); err == nil {
			parts = append(parts, name, fmt.Sprint(st.Size(), st.ModTime().UnixNano()))
		}
	}
	return cache.Digest(parts...)
}

// makeInTree is the command line that builds the modules whose sources are in work
// against a user's tree, with the host's compiler, which built the tree. It leaves
// out OwnChecks, which are for the compilers of the build roots.
func makeInTree(k *Kernel, work string, b Build) ([]string, error) {
	config, err := readKconfig(k.configFile())
	if err != nil {
		return nil, err
	}
	if config["MODULES"] != "y" {
		return nil, fmt.Errorf("the kernel of %s has no modules: it lacks CONFIG_MODULES=y (--no-module runs without)", k.root)
	}
	if _, err := os.Stat(filepath.Join(k.root, "Module.symvers")); err != nil {
		return nil, fmt.Errorf("%s is not built whole: it has no Module.symvers; run make modules there", k.root)
	}
	return slices.Concat([]string{"make", "-C", k.root, "M=" + work, "modules"}, config.compiler(k.Arch), b.Make), nil
}
