// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The memory of the log depends on the entries and the tombstones, not on how
// often the table changed.
func TestLogMemoryIsBounded(t *testing.T) {
	const count, tombstones, changes = 4, 10, 20_000
	c := reload(t, fmt.Sprintf("max_tombstones=%d", tombstones))
	fillForChurn(t, c, count)
	churner := newChurner(t, 0, 1, count)
	before := xarrayNodes(t)
	for churner.changes < changes {
		if err := churner.makeBatch(); err != nil {
			t.Fatal(err)
		}
		if s := state(t, c); s.Tombstones > tombstones || s.TombstonesMax != tombstones {
			t.Fatalf("%d tombstones of at most %d, want %d", s.Tombstones, s.TombstonesMax, tombstones)
		}
	}
	// In the worst case, each slot in use has a bottom node of its own. The
	// rest is room for the nodes above those, and for what others allocate
	// meanwhile.
	const slots, room = idKinds*count + fillCount + tombstones, 50
	if changes/64 < 2*(slots+room) {
		t.Fatal("too few changes to tell the log from one that forgets nothing")
	}
	after := 0
	waitFor(t, fmt.Sprintf("at most %d nodes of XArrays more than %d", slots+room, before), func() bool {
		after = xarrayNodes(t)
		return after <= before+slots+room
	})
	figures(t, "%d changes: from %d nodes of XArrays to %d", churner.changes, before, after)
}

// xarrayNodes returns the number of nodes of all XArrays in the kernel.
func xarrayNodes(t testing.TB) (nodes int) {
	t.Helper()
	rcuBarrier(t) // nodes that wait for a grace period are counted as in use, too
	// Nodes that a processor keeps in reserve are counted as in use.
	writeFile(t, "/sys/kernel/slab/radix_tree_node/shrink", "1")
	text, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "radix_tree_node %d", &nodes); err == nil {
			return nodes
		}
	}
	t.Fatalf("no radix_tree_node in %s", text)
	return 0
}
