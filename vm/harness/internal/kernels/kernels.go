// SPDX-License-Identifier: BSD-3-Clause

// Package kernels makes kernels that are ready to boot, and modules for them.
package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/harness/internal/cache"
)

// debianKernel says where one of Debian's kernels comes from.
type debianKernel struct {
	name    string   // for --kernel
	suites  []string // the last one is preferred
	image   string   // package of the image
	headers string   // package to build modules with
}

// kernels are Debian's that --kernel can choose.
var kernels = []debianKernel{
	{"6.1", []string{"bookworm"}, "linux-image-amd64", "linux-headers-amd64"},
	// The cloud flavour is smaller, and has virtio built in.
	{"6.12", []string{"trixie"}, "linux-image-cloud-amd64", "linux-headers-cloud-amd64"},
	{"7.3", []string{"trixie", "trixie-backports"}, "linux-image-cloud-amd64", "linux-headers-cloud-amd64"},
}

// kernelNames are all names that --kernel takes, besides the user's own trees.
func kernelNames() []string {
	var names []string
	for _, k := range kernels {
		names = append(names, k.name)
	}
	return append(names, sourceKernels...)
}

// Check reports a name that no kernel has, or a tree that cannot run, before
// anything is built.
func Check(name string) error {
	if IsTree(name) {
		_, err := openTree(name)
		return err
	}
	if !slices.Contains(kernelNames(), name) {
		return fmt.Errorf("it is none of %s; a directory has a / in its name", strings.Join(kernelNames(), ", "))
	}
	return nil
}

// transportModules carry the command's output. The order is that of loading. If a
// kernel has none of them, they are built in, or the output uses the serial
// ports.
var transportModules = []string{
	"virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console",
}

// Kernel is a kernel that is ready to boot, in its build root.
type Kernel struct {
	root    string
	Release string
	Image   string
	Boot    string      // what QEMU boots: the image, or the kernel unpacked from it
	Drivers []string    // of transportModules, as files
	Own     []OwnModule // those of --modprobe, in the order of loading
	tree    bool        // root is the user's own tree, not a build root
}

// Prepare returns the kernel of that name, and first makes what is missing: its
// build root, its image unpacked. name is one of --kernel's.
func Prepare(ctx context.Context, c *cache.Cache, name string) (*Kernel, error) {
	k, err := findKernel(ctx, c, name)
	if err == nil {
		err = unpackKernel(ctx, c, k)
	}
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return k, nil
}

func findKernel(ctx context.Context, c *cache.Cache, name string) (*Kernel, error) {
	if IsTree(name) {
		return openTree(name)
	}
	var root string
	err := Check(name)
	if i := slices.IndexFunc(kernels, func(d debianKernel) bool { return d.name == name }); i >= 0 {
		root, err = buildRoot(ctx, c, kernels[i])
	} else if err == nil {
		root, err = sourceKernel(ctx, c, name)
	}
	if err != nil {
		return nil, err
	}
	return openKernel(root)
}

// openKernel looks where Debian puts the image: in boot/ for older kernels, next
// to the modules for newer ones.
func openKernel(root string) (*Kernel, error) {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	newer, _ := filepath.Glob(filepath.Join(root, "usr/lib/modules/*/vmlinuz"))
	images = append(images, newer...)
	if len(images) != 1 {
		return nil, fmt.Errorf("%s holds %d kernel images, not one: remove it to have it made again", root, len(images))
	}
	k := &Kernel{root: root, Image: images[0]}
	if release, ok := strings.CutPrefix(filepath.Base(k.Image), "vmlinuz-"); ok {
		k.Release = release
	} else {
		k.Release = filepath.Base(filepath.Dir(k.Image))
	}
	for _, name := range transportModules {
		for _, dir := range k.moduleDirs() {
			if files, _ := filepath.Glob(filepath.Join(dir, "kernel/drivers/*", name+".ko")); len(files) > 0 {
				k.Drivers = append(k.Drivers, files[0])
				break
			}
		}
	}
	return k, nil
}

// HasVirtio reports whether the guest can have virtio ports.
func (k *Kernel) HasVirtio() bool {
	if len(k.Drivers) == 0 {
		config, err := readKconfig(k.configFile())
		return err == nil && config["VIRTIO_CONSOLE"] == "y" && config["VIRTIO_PCI"] == "y"
	}
	return filepath.Base(k.Drivers[len(k.Drivers)-1]) == "virtio_console.ko"
}

// Vmlinux is the kernel file with symbols, if there is one: in the tree that the
// kernel was built in, or next to its image.
func (k *Kernel) Vmlinux() string {
	for _, file := range []string{filepath.Join(k.root, "vmlinux"), filepath.Join(filepath.Dir(k.Image), "vmlinux")} {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// Chosen returns the kernels that the user named, each once; if there are none,
// all but trees and onlyByName. flag is named in the error.
func Chosen(flag string, chosen []string) ([]string, error) {
	if len(chosen) == 0 {
		return slices.DeleteFunc(kernelNames(), func(name string) bool { return name == onlyByName }), nil
	}
	var names []string
	for _, name := range chosen {
		if err := Check(name); err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, name, err)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// rootPackages are what a module is built and checked with, besides the kernel's
// headers. The root is never configured, so the list must be complete.
var rootPackages = []string{
	"make", "gcc", "libelf1", "dash", "bash", "coreutils", "sed", "grep", "mawk", "findutils", "perl", "libc-bin", "sparse",
}

// rootRecipe changes when the way a root is made changes.
const rootRecipe = "1"

// buildRoot returns the directory that holds the kernel, its headers and the
// compiler of its suite. All files in it belong to the caller, so that a user
// namespace is enough to make it, use it and remove it.
func buildRoot(ctx context.Context, c *cache.Cache, k debianKernel) (string, error) {
	return c.Fetch(ctx, cache.Parcel{
		Kind:   "root-" + k.name,
		Recipe: rootRecipe,
		What:   "the build root of kernel " + k.name,
		Costs:  "half a minute and 700 MB",
		Suites: k.suites,
		Names:  append([]string{k.image, k.headers}, rootPackages...),
		Out:    cache.NotForBuild,
		Finish: finishRoot,
	})
}

// finishRoot makes a root usable, and checks that it holds a kernel.
func finishRoot(dir string) error {
	if err := configureRoot(dir); err != nil {
		return err
	}
	_, err := openKernel(dir)
	return err
}

// configureRoot makes what the configuration of the packages would have made.
func configureRoot(dir string) error {
	for _, d := range []string{"dev", "proc", "tmp", "build"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for link, to := range map[string]string{"usr/bin/awk": "mawk", "usr/bin/sh": "dash"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
