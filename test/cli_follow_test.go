// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
)

func TestCLIWatch(t *testing.T) {
	c := setup(t)
	stop := keepChanging(t, c)
	defer stop()
	r := bulkdump(t, "watch", "-o", "jsonl", "--count", "5", "--rcvbuf", "4000000")
	lines := json.NewDecoder(strings.NewReader(r.stdout))
	for i := range 5 {
		var e client.Event
		if err := lines.Decode(&e); err != nil || e.Kind != client.EventSet || e.Entry.ID != 1 {
			t.Errorf("line %d: %+v, %v", i, e, err)
		}
	}
	if r.code != 0 || !strings.Contains(r.stderr, "5 events in ") {
		t.Errorf("%+v", r)
	}
	if r := bulkdump(t, "watch", "--timeout", "5m", "--count", "1"); r.code != 0 || !strings.Contains(r.stdout, "  set             1  ") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"watch", "-o", "jsonl"}, {"mirror", "-o", "csv"}} {
		if stderr := interrupt(t, args...); !strings.Contains(stderr, "events") {
			t.Errorf("%q after a signal: stderr %q", args, stderr)
		}
	}
}

// interrupt runs the CLI and sends it SIGINT when it has printed something.
func interrupt(t testing.TB, args ...string) (stderr string) {
	t.Helper()
	var b strings.Builder
	cmd, stdout := startCLI(t, &b, 200, args...)
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGINT)
	return b.String()
}

// All entries come first, and then the changes. A reader that has seen enough
// ends the command, and a slow reader gets merged changes.
func TestCLIMirrorStreams(t *testing.T) {
	const count = 3 * mirror.DefaultChangesLimit
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	cmd := exec.CommandContext(t.Context(), "bulkdump", "mirror", "-o", "jsonl")
	stderr := new(strings.Builder)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(stdout)
	next := func() (e client.Event) {
		t.Helper()
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for id := range uint32(count) {
		if e := next(); e.Kind != client.EventNew || e.Entry.ID != id {
			t.Fatalf("%+v, want the entry %d", e, id)
		}
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 7, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.Kind != client.EventSet || e.Entry.ID != 7 {
		t.Errorf("%+v, want a change of 7", e)
	}
	// More changes than all buffers can hold, and nobody reads meanwhile.
	flushed, err := c.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 2 * count, IDStart: count / 2})
	makeEntry(t, c, client.Entry{ID: 1 << 30})
	copied := make(map[uint32]uint64) // generations by id
	for id := range uint32(count) {
		copied[id] = 1
	}
	fresh := 0
	for fresh < 2*count+1 || fresh < len(copied) {
		e := next()
		id := e.Entry.ID
		switch e.Kind {
		case client.EventFlush:
			maps.DeleteFunc(copied, func(_ uint32, generation uint64) bool { return generation <= e.Generation })
		case client.EventDel:
			delete(copied, id)
		default:
			if known := copied[id]; known >= e.Generation || (known > 0) != (e.Kind == client.EventSet) {
				t.Fatalf("%+v, known of generation %d", e, known)
			}
			if copied[id] <= flushed.Generation {
				fresh++
			}
			copied[id] = e.Generation
		}
	}
	if copied[count/2-1] > 0 || copied[count/2] == 0 || copied[1<<30] == 0 {
		t.Error("these are others than those of the table")
	}
	if err := stdout.Close(); err != nil { // from here on nothing changes
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, stderr %q", err, stderr)
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", "bulkdump mirror -o jsonl | head -n 1").Output(); err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
}

// mirror prints what dump prints, byte for byte.
func TestCLIMirror(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000, PayloadMax: 40})
	for _, format := range []string{"table", "json", "jsonl", "csv"} {
		want := mustRun(t, "dump", "-o", format)
		if got := mustRun(t, "mirror", "--once", "-o", format); got != want {
			t.Errorf("%s: mirror printed %d bytes, dump %d", format, len(got), len(want))
		}
	}
	r := bulkdump(t, "mirror", "--timeout", "1s", "--dump-at-end")
	if r.code != 0 || r.stdout != mustRun(t, "dump") || !slices.Contains(strings.Split(r.stderr, "\n"), "synced       true") {
		t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
	}
}

// keepChanging changes an entry repeatedly until stop is called, because a
// command may not be listening yet.
func keepChanging(t testing.TB, c *client.Client) (stop func()) {
	makeEntry(t, c, client.Entry{ID: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for n := uint64(0); ctx.Err() == nil; n++ {
			if _, err := c.Set(ctx, client.Change{ID: 1, Value: &n}); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); running.Wait() }
}
