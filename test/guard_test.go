// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// reload loads the module anew, with parameters for the time of the test.
func reload(t testing.TB, params string) *client.Client {
	t.Helper()
	setup(t)
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", params)
	t.Cleanup(func() {
		mustUnload(t, "bulkdump")
		load(t, "bulkdump", "")
	})
	return setup(t)
}

func TestGuardIsOneOfTwo(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	f, err := os.Open(moduleDir + "bulkdump.ko")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "guard=grap", 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("guard=grap: %v, want EINVAL", err)
	}
	load(t, "bulkdump", "")
}

// With guard=grab, too, each cursor sends what is there throughout exactly
// once where it promises it, under a writer that never rests.
func TestGrabUnderChurn(t *testing.T) {
	c := reload(t, "guard=grab")
	filled := fill(t, c, client.FillOptions{Count: 20_000, IDStart: 2000})
	stop := churn(t, 1)
	for _, cursor := range []client.Cursor{client.CursorKey, client.CursorWalker} {
		var sum client.Checksum
		for r, err := range c.Records(t.Context(), client.DumpOptions{Cursor: cursor}) {
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				t.Fatal(err)
			}
			if err == nil && r.ID >= 2000 {
				sum.Add(r)
			}
		}
		if sum != filled.Checksum {
			t.Errorf("%v: checksum %v, want %v", cursor, sum, filled.Checksum)
		}
	}
	if stop() == 0 {
		t.Error("nothing changed")
	}
}

// The three properties of the netlink table's lock, by the order of events:
// a reader passes a writer that waits; a writer enters when no reader is in;
// while it is in, everybody waits.
func TestGrabOrder(t *testing.T) {
	c := reload(t, "guard=grab")
	fill(t, c, client.FillOptions{Count: min(aMillion(t), 500_000)})
	tr := trace(t, "guard_*")
	first := func(name string, from int) int {
		events := tr.events()
		if from < 0 || from > len(events) {
			return -1
		}
		i := slices.IndexFunc(events[from:], func(e traced) bool { return e.name == name })
		if i < 0 {
			return -1
		}
		return from + i
	}
	after := func(name string, from int) (at int) {
		t.Helper()
		waitFor(t, name, func() bool { at = first(name, from); return at >= 0 })
		return at
	}

	// A reader that stays in until it is killed: it looks for what is not there
	// in the slowest way there is.
	long := exec.Command("bulkdump", "dump", "-o", "count", "--name-prefix", "nothing", "--cursor", "index")
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	reader := after("guard_read_enter", 0)
	// A writer comes, and waits for it.
	flushed := make(chan error)
	go func() {
		_, err := c.Flush(context.Background())
		flushed <- err
	}()
	waits := after("guard_write_wait", reader)
	// Another reader comes after the writer, and goes in before it.
	other := dial(t)
	if _, err := other.Get(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	passes := after("guard_read_enter", waits)
	if err := long.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := long.Wait(); err == nil {
		t.Error("the reader that was to stay in had left by itself")
	}
	enters := after("guard_write_enter", waits)
	// Now that it is in, a reader waits until it is out.
	if _, err := other.Get(t.Context(), 5); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a lookup during the flush: %v, want ENOENT", err)
	}
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	events := tr.events()
	leaves := first("guard_write_exit", enters)
	late := first("guard_read_wait", enters)
	in := first("guard_read_enter", enters)
	if passes >= enters || events[passes].number("readers") != 2 {
		t.Errorf("no reader passed the writer that waited: %v", events)
	}
	if events[enters].number("readers") != 0 {
		t.Errorf("a writer entered with readers: %v", events[enters])
	}
	if late < 0 || late > leaves || in < leaves {
		t.Errorf("a reader did not wait for the writer that was in: %v", events)
	}
	// At no time both.
	for _, e := range events {
		if e.number("readers") > 0 && e.number("writing") > 0 {
			t.Errorf("%v", e)
		}
	}
}
