// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A socket has one dump at a time: the second is refused, the first goes on.
func TestSecondDumpOnBusySocket(t *testing.T) {
	const count = 5000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	before := state(t, c)
	s := openRaw(t, client.FamilyName, 4<<10)
	first := s.send(cmdEntryGet, flagDump)
	second := s.send(cmdEntryGet, flagDump)
	next, refused := uint32(0), false
	for done := false; !done; {
		page, _ := s.read()
		for _, m := range page {
			switch {
			case m.Seq == second:
				if v := verdictOf(t, m); v.errno != unix.EBUSY {
					t.Errorf("the second dump: %v, want EBUSY", v.errno)
				}
				refused = true
			case m.Seq != first:
				t.Fatalf("message of request %d", m.Seq)
			case m.Type == unix.NLMSG_DONE:
				done = true
				if m.Flags&flagIntr != 0 || verdictOf(t, m).errno != 0 {
					t.Errorf("the first dump ended with flags %#x and %v", m.Flags, verdictOf(t, m).errno)
				}
			default:
				if id := idOf(t, m); id != next {
					t.Fatalf("id %d, want %d", id, next)
				}
				next++
			}
		}
	}
	if !refused {
		t.Error("the second dump was not refused")
	}
	if next != count {
		t.Errorf("the first dump had %d records, want %d", next, count)
	}
	after := checkCounters(t, c)
	if got := after.DumpsStarted - before.DumpsStarted; got != 1 {
		t.Errorf("started dumps rose by %d, want 1", got)
	}
	// Now it is free.
	s.send(cmdEntryGet, flagDump)
	if pages, _ := s.readDump(); len(pages) < 2 {
		t.Error("the third dump is too short")
	}
}

// Rule 7.
func TestSocketClosedDuringDump(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 5000})
	for name, leave := range map[string]func(t *testing.T){
		"before the first read": func(t *testing.T) {
			s := openRaw(t, client.FamilyName, 4<<10)
			s.send(cmdEntryGet, flagDump)
			s.close()
		},
		"after the first read": func(t *testing.T) {
			s := openRaw(t, client.FamilyName, 4<<10)
			s.send(cmdEntryGet, flagDump)
			s.read()
			s.close()
		},
		"left loop": func(t *testing.T) {
			for _, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: 4 << 10}) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
		},
		"cancelled context": func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			for _, last = range c.Records(ctx, client.DumpOptions{BufferSize: 4 << 10}) {
				cancel()
			}
			if !errors.Is(last, context.Canceled) {
				t.Errorf("error %v, want %v", last, context.Canceled)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := checkCounters(t, c)
			leave(t)
			after := checkCounters(t, c)
			if got := after.DumpsAbandoned - before.DumpsAbandoned; got != 1 {
				t.Errorf("abandoned dumps rose by %d, want 1", got)
			}
			if got := after.DumpsFinished - before.DumpsFinished; got != 0 {
				t.Errorf("finished dumps rose by %d, want 0", got)
			}
			mustDump(t, c, client.DumpOptions{}) // the client works on
		})
	}
}

// newNetNS makes a network namespace and returns a file that names it. The
// thread that entered it ends with its goroutine.
func newNetNS(t testing.TB) *os.File {
	t.Helper()
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: err}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		made <- result{f, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = r.file.Close() })
	return r.file
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
	// Pages after the first are built in a thread of this namespace, for a
	// socket of the other.
	fHere := fill(t, here, client.FillOptions{Count: 3000, Seed: 1})
	fThere := fill(t, there, client.FillOptions{Count: 4000, Seed: 2, IDStart: 1 << 20})
	for _, tt := range []struct {
		name string
		c    *client.Client
		want client.Filled
	}{{"here", here, fHere}, {"there", there, fThere}} {
		d := mustDump(t, tt.c, client.DumpOptions{BufferSize: 4 << 10})
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
	if got := checkCounters(t, there).DumpsStarted; got != 1 {
		t.Errorf("dumps started there: %d, want 1", got)
	}
}

// A namespace goes with entries in it, and while a dump is parked in it.
// Rule 18.
func TestNamespaceEndsWithEntries(t *testing.T) {
	setup(t)
	ns := newNetNS(t)
	c, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 10000})
	_ = ns.Close()
	for _, err := range c.Records(t.Context(), client.DumpOptions{BufferSize: 4 << 10}) {
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close() // the last that holds the namespace, with the dump open
		break
	}
}

// roleEnv makes the test binary play another program.
const roleEnv = "BULKDUMP_TEST_ROLE"

const (
	roleNobody = "nobody" // changes must be refused, a dump must not
	roleGuest  = "guest"  // the same in a user namespace of its own, as root there
	roleOwner  = "owner"  // in a user namespace of its own: everything is allowed
	roleFill   = "fill"   // fills until it is killed
	roleCharge = "charge" // fills, and ends
	roleSync   = "sync"   // reads all by Sync, and tells of its memory
)

func play(role string) int {
	if err := playRole(role); err != nil {
		_, _ = os.Stderr.WriteString(role + ": " + err.Error() + "\n")
		return 1
	}
	return 0
}

// roleCommand is this binary in a role.
func roleCommand(t testing.TB, role string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// runRole runs this binary in a role, with files after stderr.
func runRole(t testing.TB, role string, attr *syscall.SysProcAttr, files ...*os.File) {
	t.Helper()
	cmd := roleCommand(t, role)
	cmd.SysProcAttr = attr
	cmd.ExtraFiles = files
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
}
