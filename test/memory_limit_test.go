// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A fill hits the memory limit of its control group. It is refused, nothing of it
// is left, and the table of others is as it was.
func TestFillAtTheMemoryLimit(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1 << 31})
	before := state(t, c)
	group := limitedGroup(t, "64M")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Version 1 only takes the number of a process.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$1"`, group, exe)
	cmd.Env = append(os.Environ(), roleEnv+"="+roleFill)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "cannot allocate memory: no memory for the ") {
		t.Errorf("the fill ended with %v: %s", err, out)
	}
	after := state(t, c)
	if after.Count != 1 || after.Bytes != before.Bytes || after.Generation == before.Generation {
		t.Errorf("from %+v to %+v", before, after)
	}
	wantIDs(t, mustDump(t, c, client.DumpOptions{}).ids, 1<<31)
	text, err := os.ReadFile(filepath.Join(group, "memory.failcnt"))
	if err != nil || strings.TrimSpace(string(text)) == "0" {
		t.Errorf("the limit was hit %s times (%v)", text, err)
	}
}

// limitedGroup makes a control group whose allocations fail at a limit. Only
// version 1 can do that: in version 2, the kernel kills somebody instead.
func limitedGroup(t *testing.T, limit string) (group string) {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("cgroup", root, "cgroup", 0, "memory"); err != nil {
		t.Skipf("the kernel has no control groups of version 1 for memory: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	group = filepath.Join(root, "limited")
	if err := os.Mkdir(group, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		waitFor(t, "the group is empty", func() bool { return unix.Rmdir(group) == nil })
	})
	for file, text := range map[string]string{"memory.limit_in_bytes": limit, "memory.oom_control": "1"} {
		if err := os.WriteFile(filepath.Join(group, file), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	return group
}
