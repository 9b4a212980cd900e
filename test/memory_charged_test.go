// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const chargedCount = 10_000 // filled by the role

// The memory of an entry is charged to the control group of the process that
// creates it, not to that of the creator of the namespace.
func TestMemoryIsCharged(t *testing.T) {
	c := setup(t)
	group := memoryGroup(t, 2)
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
