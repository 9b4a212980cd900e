// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/hosttest"

	"bulkdump/vm/harness/internal/cache"
)

func TestOpenKernel(t *testing.T) {
	const virtio = "/kernel/drivers/virtio/"
	older := hosttest.MakeTree(t, "boot/vmlinuz-6.1.0-1", "boot/config-6.1.0-1",
		"lib/modules/6.1.0-1"+virtio+"virtio.ko", "lib/modules/6.1.0-1"+virtio+"virtio_ring.ko",
		"lib/modules/6.1.0-1"+virtio+"virtio_pci.ko", "lib/modules/6.1.0-1"+virtio+"virtio_balloon.ko",
		"lib/modules/6.1.0-1/kernel/drivers/char/virtio_console.ko")
	k, err := openKernel(older)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range k.Drivers {
		names = append(names, filepath.Base(d))
	}
	if want := []string{"virtio.ko", "virtio_ring.ko", "virtio_pci.ko", "virtio_console.ko"}; !slices.Equal(names, want) {
		t.Errorf("drivers %q, want %q", names, want)
	}
	if k.Release != "6.1.0-1" || k.Image != filepath.Join(older, "boot/vmlinuz-6.1.0-1") || !k.HasVirtio() {
		t.Errorf("got %+v", k)
	}

	newer := hosttest.MakeTree(t, "usr/lib/modules/7.3.0/vmlinuz")
	k, err = openKernel(newer)
	if err != nil || k.Release != "7.3.0" || len(k.Drivers) != 0 || k.HasVirtio() {
		t.Errorf("got %+v, %v", k, err)
	}
	headers := filepath.Join(newer, "usr/src/linux-headers-7.3.0")
	os.MkdirAll(headers, 0o755)
	os.WriteFile(filepath.Join(headers, ".config"), []byte("\n# x\nCONFIG_VIRTIO_CONSOLE=y\nCONFIG_VIRTIO_PCI=y\n"), 0o644)
	if !k.HasVirtio() {
		t.Error("a built-in console is not seen")
	}

	for _, dir := range []string{hosttest.MakeTree(t), hosttest.MakeTree(t, "boot/vmlinuz-1", "boot/vmlinuz-2")} {
		if k, err := openKernel(dir); err == nil {
			t.Errorf("not one image, yet %+v", k)
		}
	}
}

func TestChosenKernels(t *testing.T) {
	tree := builtTree(t, nil)
	if got, err := Chosen("--x", nil); err != nil || strings.Join(got, " ") != "6.1 6.12 7.3 debug kcsan" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Chosen("--x", []string{"6.1", tree, "6.1"}); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"5.10", "./nosuch", ""} {
		if _, err := Chosen("--x", []string{"6.1", bad}); err == nil || !strings.HasPrefix(err.Error(), "--x "+bad+": ") {
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
