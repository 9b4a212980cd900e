// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// inNewNetNS runs a function on a thread in a new network namespace. What the
// function leaves open keeps the namespace.
func inNewNetNS(t testing.TB, fn func()) {
	t.Helper()
	runtime.LockOSThread() // it stays locked, and the thread ends, if it cannot go back
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	fn()
	if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
}

// newNetNS creates a network namespace and returns its file.
func newNetNS(t testing.TB) (ns *os.File) {
	t.Helper()
	inNewNetNS(t, func() {
		var err error
		if ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

// Rule 13.
func TestTwoNamespacesSeeTwoTables(t *testing.T) {
	here := setup(t)
	there, err := client.Dial(client.Config{NetNS: int(newNetNS(t).Fd())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	hereBefore, thereBefore := state(t, here), state(t, there)
	if thereBefore.Count != 0 || thereBefore.DumpsStarted != 0 || thereBefore.Generation != 1 {
		t.Errorf("the table of a new namespace: %+v", thereBefore)
	}
	// There is no hash table of names yet.
	wantNoName(t, there, "entry")
	for _, cursor := range cursors {
		if ids, _ := unordered(t, there, client.DumpOptions{Cursor: cursor}); len(ids) != 0 {
			t.Errorf("%v: ids %v in a new namespace", cursor, ids)
		}
	}
	thereBefore = state(t, there)
	// The second and later pages are built in a thread of this namespace, for a
	// socket of the other one.
	fHere := fill(t, here, client.FillOptions{Count: 3000, Seed: 1})
	fThere := fill(t, there, client.FillOptions{Count: 4000, Seed: 2, IDStart: 1 << 20})
	for _, tt := range []struct {
		name string
		c    *client.Client
		want client.Filled
	}{{"here", here, fHere}, {"there", there, fThere}} {
		d := mustDump(t, tt.c, client.DumpOptions{BufferSize: smallBuffer})
		if d.count != uint64(tt.want.Count) || d.sum != tt.want.Checksum {
			t.Errorf("%s: %d records with checksum %v, want %d with %v", tt.name, d.count, d.sum, tt.want.Count, tt.want.Checksum)
		}
	}
	flush(t, here)
	if s := state(t, there); s.Count != 4000 || s.Generation != fThere.Generation {
		t.Errorf("a flush here left %d entries of generation %d there", s.Count, s.Generation)
	}
	if got := checkCounters(t, here).DumpsStarted - hereBefore.DumpsStarted; got != 1 {
		t.Errorf("dumps started here: %d, want 1", got)
	}
	if got := checkCounters(t, there).DumpsStarted - thereBefore.DumpsStarted; got != 1 {
		t.Errorf("dumps started there: %d, want 1", got)
	}
}

// A namespace can end with entries in it, and while a dump is parked in it.
// Rule 18.
func TestNamespaceEndsWithEntries(t *testing.T) {
	setup(t)
	ns := newNetNS(t)
	c, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 10000})
	begun := false
	for _, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer}) {
		if err != nil {
			t.Fatal(err)
		}
		begun = true
		_ = ns.Close() // the dump opened its socket with it
		_ = c.Close()  // the last reference to the namespace; the dump is still open
		break
	}
	if !begun {
		t.Error("the dump has no records")
	}
}

// A namespace with many entries can end while a dump is parked in another one.
func TestNamespaceEndsBesideParkedDump(t *testing.T) {
	here := setup(t)
	fill(t, here, client.FillOptions{Count: 5000})
	ns := newNetNS(t)
	there, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, there, client.FillOptions{Count: large()})
	p := parkAsItIs(t, here, attrU32(attrCursor, uint32(client.CursorWalker)))
	_ = ns.Close()
	_ = there.Close() // the last reference to it
	if missed, repeated := p.compare(); missed != nil || repeated != nil {
		t.Errorf("missed %d, repeated %d", len(missed), len(repeated))
	}
}
