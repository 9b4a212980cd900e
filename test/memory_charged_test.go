// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const chargedCount = 10_000 // filled by the role

// The memory of an entry is charged to the control group of the process that
// creates it, not to that of the creator of the namespace.
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
	writeFile(t, filepath.Join(root, "cgroup.subtree_control"), "+memory")
	group := filepath.Join(root, "creator")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		removeGroup(t, group)
		giveBack(t, root)
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
	// Each of the two indexes, by id and of the changes, has a slot of 8 bytes
	// per entry. The charge of an entry is larger than its size: it includes a
	// pointer to the group and the rest of the size class
	// (mm/memcontrol.c:obj_full_size).
	slots := 2 * 8 * s.Count
	entries := s.Bytes + 16*s.Count
	var got charge
	charged := func(enough func() bool) func() bool {
		return func() bool {
			got = slab(t, group) // every two seconds, the kernel adds up the counts of all processors
			return enough()
		}
	}
	if !within(charged(func() bool { return got.entries >= entries && got.nodes >= slots })) {
		t.Errorf("%+v are charged, want at least %d and %d", got, entries, slots)
	}
	flush(t, c)
	if !within(charged(func() bool { return got.entries < entries/2 && got.nodes < slots/2 })) {
		t.Errorf("%+v are charged after the flush, before it %d and %d", got, entries, slots)
	}

	// Without the module, nothing is left but the rest of a page for each processor.
	reload(t, "")
	var left uint64
	if !within(func() bool {
		writeFile(t, "/proc/sys/vm/drop_caches", "2")          // the dentries of the role; one that was used goes at the second time
		writeFile(t, filepath.Join(group, "memory.high"), "0") // pages that each processor keeps for the group
		left = readNumber(t, filepath.Join(group, "memory.current"))
		return left <= uint64(runtime.NumCPU()*os.Getpagesize())
	}) {
		t.Errorf("%d bytes are charged without the module", left)
	}
}

// removeGroup removes a group, and waits until it is gone.
func removeGroup(t testing.TB, group string) {
	t.Helper()
	waitFor(t, "the group is empty", func() bool { return unix.Rmdir(group) == nil })
	waitFor(t, "the group is gone", func() bool {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(group), "cgroup.stat"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(text, []byte("nr_dying_descendants 0\n"))
	})
}

// giveBack makes each processor take back what it keeps of the root's charges. It
// does when another group is charged (mm/memcontrol.c:refill_stock). Were it later,
// after a test has mounted version 1, those pages would be taken off a counter of
// memory and swap, too, to which version 2 did not add them, with a warning.
func giveBack(t testing.TB, root string) {
	t.Helper()
	group := filepath.Join(root, "other")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for cpu := range runtime.NumCPU() {
		cmd := exec.Command("true")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
		startOn(t, cmd, cpu)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	removeGroup(t, group)
}

// A charge is in bytes of slab. The kernel counts caches that it may shrink
// separately, and does so with the nodes of an XArray (lib/radix-tree.c).
type charge struct{ entries, nodes uint64 }

// slab returns a group's charge.
func slab(t testing.TB, group string) (c charge) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(group, "memory.stat"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range bytes.Lines(text) {
		for format, n := range map[string]*uint64{"slab_unreclaimable %d": &c.entries, "slab_reclaimable %d": &c.nodes} {
			if _, err := fmt.Sscanf(string(line), format, n); err == nil {
				found++
			}
		}
	}
	if found != 2 {
		t.Fatalf("%d of two numbers in %s", found, text)
	}
	return c
}
