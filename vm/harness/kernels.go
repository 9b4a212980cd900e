// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// debianKernel says where a kernel of Debian's comes from.
type debianKernel struct {
	name    string // as --kernel has it
	suite   string
	image   string // package of the image
	headers string // package to build modules with
}

// kernels is the list that --kernel chooses from.
var kernels = []debianKernel{
	{name: "6.1", suite: "bookworm", image: "linux-image-amd64", headers: "linux-headers-amd64"},
}

func findKernel(name string) (debianKernel, error) {
	var names []string
	for _, k := range kernels {
		if k.name == name {
			return k, nil
		}
		names = append(names, k.name)
	}
	return debianKernel{}, fmt.Errorf("not yet; there is %s", strings.Join(names, ", "))
}

// transportModules carry the command's output, in order of loading. A kernel
// that has none of them has them built in, or output goes by the serial ports.
var transportModules = []string{
	"virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_console",
}

// kernel is a kernel that is ready to boot, in the build root that it came in.
type kernel struct {
	root    string
	release string
	image   string
	drivers []string // of transportModules, as files
}

// kernel makes the build root if need be, and finds the kernel in it.
func (c *cache) kernel(ctx context.Context, name string) (*kernel, error) {
	d, err := findKernel(name)
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	root, err := c.buildRoot(ctx, d)
	if err != nil {
		return nil, err
	}
	return openKernel(root)
}

// openKernel looks where Debian puts the image: boot/ for older kernels, beside
// the modules for newer ones.
func openKernel(root string) (*kernel, error) {
	images, _ := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	newer, _ := filepath.Glob(filepath.Join(root, "usr/lib/modules/*/vmlinuz"))
	images = append(images, newer...)
	if len(images) != 1 {
		return nil, fmt.Errorf("%s holds %d kernel images, not one: remove it to have it made again", root, len(images))
	}
	k := &kernel{root: root, image: images[0]}
	if release, ok := strings.CutPrefix(filepath.Base(k.image), "vmlinuz-"); ok {
		k.release = release
	} else {
		k.release = filepath.Base(filepath.Dir(k.image))
	}
	modules := map[string]string{}
	for _, lib := range []string{"usr/lib/modules", "lib/modules"} {
		dir := filepath.Join(root, lib, k.release, "kernel/drivers")
		for _, sub := range []string{"virtio", "char"} {
			files, _ := filepath.Glob(filepath.Join(dir, sub, "virtio*.ko"))
			for _, f := range files {
				modules[strings.TrimSuffix(filepath.Base(f), ".ko")] = f
			}
		}
	}
	for _, name := range transportModules {
		if f, ok := modules[name]; ok {
			k.drivers = append(k.drivers, f)
		}
	}
	return k, nil
}

// hasVirtio reports whether the guest can have virtio ports.
func (k *kernel) hasVirtio() bool {
	if len(k.drivers) == 0 {
		config, err := os.ReadFile(filepath.Join(k.root, "boot/config-"+k.release))
		return err == nil && strings.Contains(string(config), "\nCONFIG_VIRTIO_CONSOLE=y\n")
	}
	return filepath.Base(k.drivers[len(k.drivers)-1]) == "virtio_console.ko"
}
