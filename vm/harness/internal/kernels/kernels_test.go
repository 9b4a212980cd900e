// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/harness/internal/hosttest"
)

func TestOpenKernel(t *testing.T) {
	for image, release := range map[string]string{
		"boot/vmlinuz-6.1.0-1": "6.1.0-1", "boot/vmlinux-6.1.0-1": "6.1.0-1", "usr/lib/modules/7.3.0/vmlinuz": "7.3.0",
	} {
		root := hosttest.MakeTree(t, image, "boot/config-6.1.0-1")
		k, err := openKernel(arch.Host, root)
		if err != nil || k.Release != release || k.Image != filepath.Join(root, image) {
			t.Errorf("%s: %+v, %v", image, k, err)
		}
	}
	for _, dir := range []string{hosttest.MakeTree(t), hosttest.MakeTree(t, "boot/vmlinuz-1", "boot/vmlinuz-2")} {
		if k, err := openKernel(arch.Host, dir); err == nil {
			t.Errorf("not one image, yet %+v", k)
		}
	}
}

// The drivers of virtio's ports come in the order of loading, if they are modules.
func TestDrivers(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/1.0")
	order := ""
	for name, needs := range map[string]string{"virtio": "", "virtio_pci": "virtio", "virtio_console": "virtio"} {
		fakeModule(t, filepath.Join(dir, name+".ko"), needs)
		order += name + ".ko\n"
	}
	os.WriteFile(filepath.Join(dir, "modules.order"), []byte(order), 0o644)
	headers := filepath.Join(root, "usr/src/linux-headers-1.0")
	os.MkdirAll(headers, 0o755)
	for name, tt := range map[string]struct {
		config, want string
		virtio       bool
	}{
		"none":     {"CONFIG_VIRTIO_PCI=y\n", "", false},
		"built in": {"CONFIG_VIRTIO_CONSOLE=y\nCONFIG_VIRTIO_PCI=y\n", "", true},
		"modules":  {"CONFIG_VIRTIO_CONSOLE=m\nCONFIG_VIRTIO_PCI=m\n", "virtio virtio_pci virtio_console", true},
		"s390":     {"CONFIG_VIRTIO_CONSOLE=m\nCONFIG_VIRTIO_CCW=y\n", "virtio virtio_console", true},
	} {
		os.WriteFile(filepath.Join(headers, ".config"), []byte(tt.config), 0o644)
		k := &Kernel{Arch: arch.Host, root: root, Release: "1.0"}
		err := k.addDrivers(t.Context())
		var names []string
		for _, m := range k.Drivers {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != tt.want || k.Virtio != tt.virtio || len(k.Own) != 0 {
			t.Errorf("%s: drivers %q, virtio %t, %v", name, got, k.Virtio, err)
		}
	}
}

func TestChosenKernels(t *testing.T) {
	tree := builtTree(t, nil)
	if got, err := Chosen(arch.Host, "--x", nil); err != nil || strings.Join(got, " ") != "6.1 6.12 7.3 debug kcsan" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Chosen(arch.Host, "--x", []string{"6.1", tree, "6.1"}); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
	riscv, err := arch.Find("riscv64")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Chosen(riscv, "--x", nil); err != nil || strings.Join(got, " ") != "6.12 7.3" {
		t.Errorf("riscv64: %q, %v", got, err)
	}
	if got, err := Chosen(arch.Host, "--x", []string{"6.1", "riscv64:", "s390x:6.12"}); err != nil || strings.Join(got, " ") != "6.1 riscv64:6.12 riscv64:7.3 s390x:6.12" {
		t.Errorf("kernels of several machines: %q, %v", got, err)
	}
	for _, bad := range []string{"riscv64:6.1", "vax:6.1", "arm64:debug", "5.10", "./nosuch", ""} {
		if _, err := Chosen(arch.Host, "--x", []string{"6.1", bad}); err == nil || !strings.HasPrefix(err.Error(), "--x "+bad+": ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func openCacheOf(t *testing.T) *cache.Cache {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c, err := cache.Open(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
