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

// memoryGroup makes a control group for memory, of version 1 or 2, until the test
// ends.
//
// Nothing may be charged to it then. Otherwise the kernel does not give memory back
// to the other version. And what was charged under version 2 and goes under version 1
// is taken off a counter of memory and swap, too, to which version 2 did not add it:
// the kernel warns of an underflow.
func memoryGroup(t testing.TB, version int) (group string) {
	t.Helper()
	root := t.TempDir()
	unmount := func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}
	err := unix.Mount("cgroup", root, "cgroup", 0, "memory")
	both := err == nil
	switch {
	case version == 1 && !both && watcher() != "":
		t.Fatalf("a kernel that we build has control groups of version 1: %v", err)
	case version == 1 && !both:
		t.Skipf("the kernel has no control groups of version 1 for memory: %v", err)
	case version == 2:
		if both {
			unmount()
		}
		if err := unix.Mount("cgroup2", root, "cgroup2", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(unmount)
	if version == 2 {
		waitFor(t, "version 2 has the controller of memory", func() bool {
			return os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0) == nil
		})
	}
	group = filepath.Join(root, "of-a-test")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mustUnload(t, "bulkdump") // and with it all that it was charged
		load(t, "bulkdump", "")
		removeGroup(t, group, version)
		if version == 2 && both {
			giveBack(t, root)
		}
	})
	return group
}

// removeGroup removes a group, and waits until nothing is charged to it.
func removeGroup(t testing.TB, group string, version int) {
	t.Helper()
	drain := map[int]string{1: "memory.force_empty", 2: "memory.high"}[version]
	waitFor(t, "the group has no process", func() bool {
		// Pages that each processor keeps for the group. It may be gone.
		_ = writeBlocking(filepath.Join(group, drain), "0")
		return unix.Rmdir(group) == nil
	})
	waitFor(t, "nothing is charged to the group", func() bool {
		writeFile(t, "/proc/sys/vm/drop_caches", "4") // no line in the kernel's log
		writeFile(t, "/proc/sys/vm/drop_caches", "2") // dentries; one that was used goes at the second time
		return groups(t, filepath.Dir(group), version) == 0
	})
}

// groups returns how many groups there are besides the root, with those that are
// removed and to which something is charged.
func groups(t testing.TB, root string, version int) (n int) {
	t.Helper()
	file := "/proc/cgroups"
	if version == 2 {
		file = filepath.Join(root, "cgroup.stat")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var hierarchy int
		if _, err := fmt.Sscanf(string(line), "memory %d %d", &hierarchy, &n); err == nil {
			return n - 1
		}
		if _, err := fmt.Sscanf(string(line), "nr_dying_descendants %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("%s does not tell how many groups there are: %s", file, text)
	return 0
}

// giveBack makes each processor take back what it keeps of the root's charges. It
// does so when another group is charged there (mm/memcontrol.c:refill_stock). If
// something of that group is left, the root gets it, and all is to be done again.
func giveBack(t testing.TB, root string) {
	t.Helper()
	for cpu := range runtime.NumCPU() {
		waitFor(t, "a group of which nothing is left", func() bool { return chargeOnce(t, filepath.Join(root, "other"), cpu) })
	}
}

// chargeOnce charges a group on one processor, removes it, and reports whether nothing
// was charged to it by then. All is given back there, too: of two processors that have
// parts of one page of memory, none gives it to the kernel (drain_obj_stock_slot).
func chargeOnce(t testing.TB, group string, cpu int) (empty bool) {
	t.Helper()
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := onProcessor(t, cpu, cmd.Run); err != nil {
		t.Error(err)
	}
	for tries := 0; !empty && tries < 1000; tries++ {
		writeFile(t, filepath.Join(group, "memory.high"), "0")
		empty = readNumber(t, filepath.Join(group, "memory.current")) == 0
	}
	removeGroup(t, group, 2)
	return empty
}
