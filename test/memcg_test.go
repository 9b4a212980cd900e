// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const chargedCount = 10_000 // entries that the role fills in

// The memory of entries is charged to the control group of who makes them, not
// of who started the namespace.
func TestMemoryIsCharged(t *testing.T) {
	c := setup(t)
	root := t.TempDir()
	if err := unix.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		t.Fatal(err)
	}
	group := filepath.Join(root, "creator")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Rmdir(group); err != nil {
			t.Error(err)
		}
	})
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()

	runRole(t, roleCharge, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())})
	s := state(t, c)
	if s.Count != chargedCount {
		t.Fatalf("%d entries, want %d", s.Count, chargedCount)
	}
	// Two indexes of 8 bytes an entry are charged, too.
	want := s.Bytes + 16*s.Count
	if got := slab(t, group); got < want {
		t.Errorf("%d bytes are charged, want at least %d", got, want)
	}
	flush(t, c)
	waitFor(t, "the charge goes with the entries", func() bool { return slab(t, group) < want/2 })
}

// slab is the kernel memory that is charged to a group.
func slab(t testing.TB, group string) (n uint64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(group, "memory.stat"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if _, err := fmt.Sscanf(string(line), "slab_unreclaimable %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no slab_unreclaimable in %s", text)
	return 0
}
