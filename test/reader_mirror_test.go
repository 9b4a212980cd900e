// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"flag"
	"reflect"
	"slices"
	"testing"
	"time"

	"bulkdump/client"
	"bulkdump/client/mirror"
)

var hourOfChanges = flag.Uint64("mirror-changes", 72_000, "how many changes are an hour's worth: 20 a second")

func openMirror(t testing.TB, c *client.Client, o mirror.Options) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// converge waits until the mirror equals a table that does not change, and
// compares them byte for byte. It returns how long that took.
func converge(t testing.TB, c *client.Client, m *mirror.Mirror) time.Duration {
	t.Helper()
	start := time.Now()
	generation := state(t, c).Generation
	if err := m.Wait(t.Context(), generation); err != nil {
		t.Fatalf("%v, %+v, table at %d", err, m.Stats(), generation)
	}
	took := time.Since(start)
	got, want := slices.Collect(m.All()), collect(t, c, client.DumpOptions{})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the mirror has %d entries, the table %d, or they differ: %+v", len(got), len(want), m.Stats())
	}
	if m.Generation() != generation || m.Len() != len(want) {
		t.Errorf("%+v, want %d entries of generation %d", m.Stats(), len(want), generation)
	}
	return took
}

// The kernel makes changes as fast as it can, and the receive buffer holds only
// a few events. So the mirror loses many. When the changes end, it soon equals
// the table.
func TestMirrorConvergesAfterChurn(t *testing.T) {
	// The delta that is under way, the one that follows because it was interrupted,
	// and another one if the socket was full again meanwhile.
	const passes = 3
	runs, atLeast := 20, uint64(5000)
	if name := watcher(); name != "" {
		runs, atLeast = 3, 500
		t.Logf("%d runs of %d changes: the kernel has %s", runs, atLeast, name)
	}
	const count = 500
	var longest, churned time.Duration
	var changes, overruns, deltas, full, most uint64
	c := setup(t)
	for range runs {
		flush(t, c)
		fillForChurn(t, c, count)
		m := openMirror(t, c, mirror.Options{ReceiveBuffer: 8 << 10})
		if err := m.Synced(t.Context()); err != nil {
			t.Fatal(err)
		}
		churner := newChurner(t, 0, 1, count)
		start := time.Now()
		churner.start(t, func() bool { return churner.changes >= atLeast && m.Stats().Overruns > 0 })()
		changes += churner.changes
		churned += time.Since(start)
		before := m.Stats()
		longest = max(longest, converge(t, c, m))
		s := m.Stats()
		if n := s.Deltas + s.FullPasses - before.Deltas - before.FullPasses; n > passes {
			t.Errorf("converged %d passes after the last change, want %d at most", n, passes)
		} else {
			most = max(most, n)
		}
		overruns, deltas, full = overruns+s.Overruns, deltas+s.Deltas, full+s.FullPasses
		_ = m.Close()
	}
	figures(t, "%d runs: %.0f changes a second, %d overruns, %d deltas, %d full passes; converged %v and %d passes after the last change at most",
		runs, float64(changes)/churned.Seconds(), overruns, deltas, full, longest.Round(time.Millisecond), most)
}

// The mirror follows an hour's worth of changes, made without a pause.
func TestMirrorOfAnHourOfChanges(t *testing.T) {
	changes := *hourOfChanges
	if watcher() != "" {
		changes /= 20
	}
	const count = 3000
	c := setup(t)
	fillForChurn(t, c, count)
	m := openMirror(t, c, mirror.Options{})
	churner := newChurner(t, 0, 1, count)
	start := time.Now()
	churner.start(t, func() bool { return churner.changes >= changes })()
	took := time.Since(start)
	converged := converge(t, c, m)
	figures(t, "%d changes in %.1f s: %.0f a second; converged %v after the last; %+v", churner.changes, took.Seconds(),
		float64(churner.changes)/took.Seconds(), converged.Round(time.Millisecond), m.Stats())
}

// Some changes have no event of their own: a fill that succeeds, a fill that is
// undone, and a flush while events were lost.
func TestMirrorOfFillAndFlush(t *testing.T) {
	c := setup(t)
	// The smallest buffer: it has room for one of the events below.
	m := openMirror(t, c, mirror.Options{ReceiveBuffer: 1})
	converge(t, c, m)
	fill(t, c, client.FillOptions{Count: 3000, PayloadMax: 100})
	converge(t, c, m)
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 10, IDStart: 2995}); err == nil {
		t.Error("a fill over what is there")
	}
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 3000, IDStart: 1 << 20, IDStride: 1}); err != nil {
		t.Fatal(err)
	}
	makeEntry(t, c, client.Entry{ID: 1 << 21})
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 10, IDStart: 1<<21 - 5}); err == nil {
		t.Error("a fill over what is there")
	}
	converge(t, c, m) // although the last change has no event
	ids, payload := make([]uint32, 150), make([]byte, 1000)
	for i := range ids {
		ids[i] = 1<<22 + uint32(i)
	}
	makeEntries(t, c, "lost", payload, ids...)
	flush(t, c)
	for i := range ids {
		ids[i] += 1000
	}
	makeEntries(t, c, "after the flush", payload, ids...)
	converge(t, c, m)
	if s := m.Stats(); s.Overruns == 0 {
		t.Errorf("no event was lost: %+v", s)
	}
}
