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

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/host"
)

// debianKernel says where one of Debian's kernels comes from.
type debianKernel struct {
	name   string   // for --kernel
	suites []string // the last one is preferred
}

// kernels are Debian's that --kernel can choose.
var kernels = []debianKernel{
	{"6.1", []string{"bookworm"}},
	{"6.12", []string{"trixie"}},
	{"7.3", []string{"trixie", "trixie-backports"}},
}

// kernelNames are all names that --kernel takes for that machine, besides the user's
// own trees.
func kernelNames(a *arch.Arch) []string {
	var names []string
	for _, k := range kernels {
		if a.Flavour[k.name] != "" {
			names = append(names, k.name)
		}
	}
	return append(names, a.Source...)
}

// Of splits ARCH:NAME. A name without a machine is of a.
func Of(a *arch.Arch, name string) (*arch.Arch, string) {
	if before, after, ok := strings.Cut(name, ":"); ok {
		if other, err := arch.Find(before); err == nil {
			return other, after
		}
	}
	return a, name
}

// Check reports a name that no kernel has, or a tree that cannot run, before
// anything is built.
func Check(a *arch.Arch, name string) error {
	a, name = Of(a, name)
	if IsTree(name) {
		_, err := openTree(a, name)
		return err
	}
	if names := kernelNames(a); !slices.Contains(names, name) {
		if other, err := arch.Find(name); err == nil {
			return fmt.Errorf("that is a machine; of its kernels, one is %s:%s", name, kernelNames(other)[0])
		}
		machine, _, named := strings.Cut(name, ":")
		if _, err := arch.Find(machine); named && err != nil {
			return fmt.Errorf("machine %q: %w", machine, err)
		}
		return fmt.Errorf("of %s there are %s; a directory has a / in its name", a.Name, strings.Join(names, ", "))
	}
	return nil
}

// Kernel is a kernel that is ready to boot, in its build root.
type Kernel struct {
	Arch    *arch.Arch
	root    string
	Release string
	Image   string
	Boot    string      // what QEMU boots: the image, or the kernel unpacked from it
	Virtio  bool        // the guest can have virtio's ports
	Drivers []OwnModule // theirs, in the order of loading
	Own     []OwnModule // those of --modprobe
	tree    bool        // root is the user's own tree, not a build root
}

// Prepare returns the kernel of that name, and first makes what is missing: its
// build root, its image unpacked. name is one of --kernel's.
func Prepare(ctx context.Context, c *cache.Cache, a *arch.Arch, name string) (*Kernel, error) {
	a, name = Of(a, name)
	k, err := findKernel(ctx, c, a, name)
	if err == nil {
		err = k.addDrivers(ctx)
	}
	if err == nil {
		err = unpackKernel(ctx, c, k)
	}
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return k, nil
}

func findKernel(ctx context.Context, c *cache.Cache, a *arch.Arch, name string) (*Kernel, error) {
	if IsTree(name) {
		return openTree(a, name)
	}
	var root string
	err := Check(a, name)
	if i := slices.IndexFunc(kernels, func(d debianKernel) bool { return d.name == name }); i >= 0 && err == nil {
		root, err = buildRoot(ctx, c, a, kernels[i])
	} else if err == nil {
		root, err = sourceKernel(ctx, c, a, name)
	}
	if err != nil {
		return nil, err
	}
	return openKernel(a, root)
}

// openKernel looks where Debian puts the image: in boot/ for older kernels, next
// to the modules for newer ones.
func openKernel(a *arch.Arch, root string) (*Kernel, error) {
	var images []string
	for _, pattern := range []string{"boot/vmlinu[xz]-*", "usr/lib/modules/*/vmlinu[xz]"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		images = append(images, found...)
	}
	if len(images) != 1 {
		return nil, fmt.Errorf("%s holds %d kernel images, not one: remove it to have it made again", root, len(images))
	}
	k := &Kernel{Arch: a, root: root, Image: images[0]}
	if _, release, ok := strings.Cut(filepath.Base(k.Image), "-"); ok {
		k.Release = release
	} else {
		k.Release = filepath.Base(filepath.Dir(k.Image))
	}
	return k, nil
}

// addDrivers finds the modules of virtio's ports. There are none if they are built
// in, or if the kernel lacks them.
func (k *Kernel) addDrivers(ctx context.Context) error {
	config, err := readKconfig(k.configFile())
	if err != nil {
		return err
	}
	k.Virtio = config["VIRTIO_CONSOLE"] != "" && (config["VIRTIO_PCI"] != "" || config["VIRTIO_CCW"] != "")
	if !k.Virtio {
		return nil
	}
	for _, m := range []struct{ option, name string }{
		{"VIRTIO_PCI", "virtio_pci"}, {"VIRTIO_CCW", "virtio_ccw"}, {"VIRTIO_CONSOLE", "virtio_console"},
	} {
		if config[m.option] != "m" {
			continue
		}
		if err := k.addModule(ctx, m.name); err != nil {
			return err
		}
	}
	k.Drivers, k.Own = k.Own, nil
	return nil
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
// all but trees and takesLong. ARCH: is all of that machine. flag is named in the
// error.
func Chosen(a *arch.Arch, flag string, chosen []string) ([]string, error) {
	all := func(a *arch.Arch) []string {
		return slices.DeleteFunc(kernelNames(a), takesLong)
	}
	if len(chosen) == 0 {
		return all(a), nil
	}
	var names []string
	for _, name := range chosen {
		if other, rest := Of(a, name); name != "" && rest == "" {
			for _, k := range all(other) {
				names = append(names, other.Name+":"+k)
			}
			continue
		}
		if err := Check(a, name); err != nil {
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
func buildRoot(ctx context.Context, c *cache.Cache, a *arch.Arch, k debianKernel) (string, error) {
	p := cache.Parcel{
		Kind:   "root-" + k.name,
		Recipe: rootRecipe,
		What:   "the build root of kernel " + k.name,
		Costs:  "half a minute and 700 MB",
		Suites: k.suites,
		Names:  append([]string{"linux-image-" + a.Flavour[k.name], "linux-headers-" + a.Flavour[k.name]}, rootPackages...),
		Out:    cache.NotForBuild,
		Finish: func(dir string) error { return finishRoot(a, dir) },
	}
	if a == arch.Host {
		return c.Fetch(ctx, p)
	}
	// The kernel and its headers come with a compiler that runs on that machine. It
	// gives way to one that runs here, in the same places.
	tools, err := c.Fetch(ctx, cache.Parcel{
		Kind:   "tools-" + a.Name + "-" + k.name,
		What:   "a compiler for " + a.Name,
		Costs:  "half a minute and 400 MB",
		Suites: k.suites,
		Names:  append([]string{"gcc-" + a.GNU}, rootPackages...),
		Out:    cache.NotForBuild,
	})
	if err != nil {
		return "", err
	}
	p.Kind += "-" + a.Name
	p.What += " for " + a.Name
	p.Arch, p.Beside = a.Name, true
	p.Names = []string{"linux-image-" + a.Flavour[k.name] + ":" + a.Name, "linux-headers-" + a.Flavour[k.name] + ":" + a.Name}
	p.Out = append([]string{"./usr/bin/*", "./usr/sbin/*", "./bin/*", "./sbin/*", "./lib/*-linux-*", "./usr/lib/*-linux-*", "./usr/lib/gcc*", "./usr/libexec/*"}, p.Out...)
	p.Finish = func(dir string) error {
		// The files are hard links to the shared tools: nothing writes to them.
		if err := host.Run(host.Command(ctx, "cp", "-alf", tools+"/.", dir)); err != nil {
			return err
		}
		return finishRoot(a, dir)
	}
	return c.Fetch(ctx, p)
}

// finishRoot makes a root usable, and checks that it holds a kernel.
func finishRoot(a *arch.Arch, dir string) error {
	if err := configureRoot(dir); err != nil {
		return err
	}
	_, err := openKernel(a, dir)
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
