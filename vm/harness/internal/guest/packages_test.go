// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Programs of packages come to /bin, before busybox's and after our own; links
// lead where they led.
func TestPackagesInGuest(t *testing.T) {
	root := t.TempDir()
	var errs []error
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib/x", "usr/lib64", "usr/share/p", "dev", "etc"} {
		errs = append(errs, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for name, text := range map[string]string{
		"usr/bin/ip": "IP", "usr/sbin/tc": "TC", "usr/lib/x/ld.so": "LD", "usr/share/p/f": "F", "dev/null": "", "etc/rpc": "R", "usr/bin/busybox": "B",
	} {
		errs = append(errs, os.WriteFile(filepath.Join(root, name), []byte(text), 0o755))
	}
	for name, to := range map[string]string{
		"usr/lib64/ld.so": "../lib/x/ld.so", "usr/sbin/ip": "../bin/ip", "usr/bin/f": "../share/p/f", "usr/bin/tool": "/usr/sbin/tc",
	} {
		errs = append(errs, os.Symlink(to, filepath.Join(root, name)))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	fill := func(busybox bool) map[string]string {
		a := newArchive()
		a.link("/bin/ip", "busybox")
		a.file("/bin/busybox", 0o755, []byte("STATIC"))
		if err := a.packages(root, busybox); err != nil {
			t.Fatal(err)
		}
		return unpack(t, pack(t, a))
	}
	got := fill(true)
	if other := fill(false); other["bin/busybox"] != "100755 STATIC" || other["bin/ip"] != got["bin/ip"] {
		t.Errorf("without their busybox: got %q, %q", other["bin/busybox"], other["bin/ip"])
	}
	for name, want := range map[string]string{
		"bin/busybox": "100755 B", "bin/ip": "100755 IP", "bin/tc": "100755 TC", "bin/tool": "120777 /bin/tc", "bin/f": "120777 /usr/share/p/f",
		"lib/x/ld.so": "100755 LD", "lib64/ld.so": "120777 /lib/x/ld.so", "usr/lib": "120777 /lib", "usr/lib64": "120777 /lib64",
		"usr/share/p/f": "100755 F", "etc/rpc": "100755 R", "dev/null": "",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}
