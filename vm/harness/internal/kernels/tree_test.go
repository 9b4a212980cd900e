// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
)

// builtConfig is the least that runs here.
func builtConfig() string {
	var b strings.Builder
	for _, any := range guestNeeds {
		fmt.Fprintf(&b, "CONFIG_%s=y\n", any[0])
	}
	return b.String()
}

// builtTree is what openTree looks at in a kernel's tree; changes are made to
// it: an empty text takes the file away.
func builtTree(t *testing.T, changes map[string]string) string {
	t.Helper()
	head := make([]byte, 0x400)
	copy(head[0x202:], "HdrS")
	head[0x20e] = 0x80 // the version lies at 0x200 more
	copy(head[0x280:], "6.99.0-mine (me@here) #1 SMP\x00")
	files := map[string]string{
		"Makefile":                      "all:\n",
		".config":                       builtConfig(),
		"include/config/kernel.release": "6.99.0-mine\n",
		"arch/x86/boot/bzImage":         string(head),
	}
	for name, text := range changes {
		files[name] = text
	}
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if text == "" {
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenTree(t *testing.T) {
	dir := builtTree(t, nil)
	k, err := openTree(arch.Host, dir)
	if err != nil {
		t.Fatal(err)
	}
	if k.root != dir || k.Release != "6.99.0-mine" || !k.tree || k.Image != filepath.Join(dir, "arch/x86/boot/bzImage") {
		t.Errorf("got %+v", k)
	}
	first := k.identity()
	if err := os.WriteFile(filepath.Join(dir, "Module.symvers"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if k.identity() == first {
		t.Error("it was built again, and passes for the same")
	}
	if _, err := makeInTree(k, dir, Build{}); err == nil || !strings.Contains(err.Error(), "CONFIG_MODULES=y") {
		t.Errorf("a module for a kernel without modules: %v", err)
	}
}

func TestOpenTreeRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"no tree":        {map[string]string{"Makefile": ""}, "it has no Makefile"},
		"not configured": {map[string]string{".config": ""}, "it has no .config"},
		"trimmed": {map[string]string{".config": strings.Replace(builtConfig(), "CONFIG_EPOLL=y\n", "", 1)},
			"its .config lacks CONFIG_EPOLL=y"},
		"no way to end": {map[string]string{".config": strings.Replace(builtConfig(), "CONFIG_X86_IOPL_IOPERM=y\n", "CONFIG_DEVPORT=m\n", 1)},
			"CONFIG_X86_IOPL_IOPERM=y or CONFIG_DEVPORT=y"},
		"not built":     {map[string]string{"include/config/kernel.release": ""}, "is not built: run make there"},
		"no image":      {map[string]string{"arch/x86/boot/bzImage": ""}, "it has no arch/x86/boot/bzImage"},
		"another image": {map[string]string{"arch/x86/boot/bzImage": strings.Repeat("MZ", 0x400)}, "no image of an x86 kernel"},
		"older image":   {map[string]string{"include/config/kernel.release": "7.0.0"}, "was built as 6.99.0-mine, and is 7.0.0 now"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := builtTree(t, tt.changes)
			if _, err := openTree(arch.Host, dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := openTree(arch.Host, "/no/such"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no directory: %v", err)
	}
}

func TestIsTree(t *testing.T) {
	for name, want := range map[string]bool{"6.1": false, "debug": false, "": false, ".": true, "..": true, "./x": true, "/x": true, "linux/": true} {
		if IsTree(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
