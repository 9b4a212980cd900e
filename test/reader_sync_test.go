// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"time"

	"bulkdump/client"
)

// A historian is the only one that changes a table. So it knows the generation
// of each of its changes, and the table of each generation.
type historian struct {
	*churner
	start   map[uint32]uint64 // the generation of each entry before the changes
	base    uint64            // the generation of the table before the changes
	history []logged
}

// A logged change led to the next generation of the table.
type logged struct {
	id      uint32
	deleted bool
}

func newHistorian(t testing.TB, c *client.Client, count uint32) *historian {
	t.Helper()
	fillForChurn(t, c, count)
	h := &historian{churner: newChurner(t, 0, 1, count), base: state(t, c).Generation}
	h.start = generations(collect(t, c, client.DumpOptions{}))
	h.made = func(cmd uint8, id uint32) {
		if cmd == cmdTableFill {
			for i := range uint32(fillCount) {
				h.history = append(h.history, logged{id: h.fillStart() + i})
			}
			return
		}
		h.history = append(h.history, logged{id: id, deleted: cmd == cmdEntryDel})
	}
	return h
}

func generations(entries []client.Entry) map[uint32]uint64 {
	m := make(map[uint32]uint64)
	for _, e := range entries {
		m[e.ID] = e.Generation
	}
	return m
}

// at returns the table of a generation, as the generation of each entry. All of
// these differ.
func (h *historian) at(generation uint64) map[uint32]uint64 {
	table := maps.Clone(h.start)
	for i, e := range h.history[:generation-h.base] {
		if e.deleted {
			delete(table, e.id)
		} else {
			table[e.id] = h.base + uint64(i) + 1
		}
	}
	return table
}

// churn makes changes until stop is called. If rests is true, it pauses after
// each batch for as long as a reader needs for the changes in it. This also
// works on a kernel that checks itself, where both are slower.
func (c *churner) churn(t testing.TB, rests bool) (stop func()) {
	stopped := make(chan struct{})
	ended := make(chan error)
	go func() {
		for {
			begin := time.Now()
			if err := c.makeBatch(); err != nil {
				ended <- err
				return
			}
			rest := time.Duration(0)
			if rests {
				rest = max(20*time.Millisecond, 4*time.Since(begin))
			}
			select {
			case <-stopped:
				ended <- nil
				return
			case <-time.After(rest):
			}
		}
	}()
	return func() {
		t.Helper()
		close(stopped)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Sync yields the table of the generation that it reports, entry by entry,
// while the table changes all the time. If the table rests at times, Sync never
// gives up.
func TestSyncIsExactUnderChurn(t *testing.T) {
	for _, rests := range []bool{true, false} {
		t.Run(fmt.Sprintf("rests %v", rests), func(t *testing.T) {
			c := setup(t)
			h := newHistorian(t, c, 2000)
			stop := h.churn(t, rests)
			var snapshots []*client.Snapshot
			interrupted, gaveUp := 0, 0
			for round := range 6 {
				var synced client.Synced
				s, err := c.Snapshot(t.Context(), client.SyncOptions{Dump: client.DumpOptions{Encoding: encodings[round%3]}, Synced: &synced})
				interrupted += synced.Interrupted
				switch {
				case err == nil:
					snapshots = append(snapshots, s)
				case rests || !errors.Is(err, client.ErrNotSynced):
					t.Errorf("%v", err)
				default:
					gaveUp++
				}
				figures(t, "rests %v: %+v, %v", rests, synced, err)
			}
			stop()
			now := wholeTable(t, c)
			for _, s := range snapshots {
				checkSnapshot(t, h, s, now)
			}
			if interrupted == 0 {
				t.Error("no pass was interrupted")
			}
			figures(t, "%d snapshots were right, %d were none, of %d changes", len(snapshots), gaveUp, len(h.history))
		})
	}
}

// checkSnapshot compares the generation of each entry, and all fields of those
// that are still in the table.
func checkSnapshot(t testing.TB, h *historian, s *client.Snapshot, now replica) {
	t.Helper()
	got, want := generations(s.Entries()), h.at(s.Generation)
	if !maps.Equal(got, want) {
		t.Errorf("generation %d: %d entries, want %d, or they differ", s.Generation, len(got), len(want))
	}
	compared := 0
	for _, e := range s.Entries() {
		if there, ok := now[e.ID]; ok && there.Generation == e.Generation {
			compared++
			if !reflect.DeepEqual(e, there) {
				t.Errorf("got %+v, want %+v", e, there)
			}
		}
	}
	if compared < int(h.count) { // at least these are never touched
		t.Errorf("only %d entries could be compared", compared)
	}
}

// A snapshot is the table, in order of ids.
func TestSnapshotIsTheTable(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 3000, IDStart: 1, IDStride: 3, PayloadMax: 100})
	makeEntry(t, c, client.Entry{ID: 0})
	makeEntry(t, c, client.Entry{ID: 0xffffffff})
	var synced client.Synced
	s, err := c.Snapshot(t.Context(), client.SyncOptions{Synced: &synced})
	if err != nil {
		t.Fatal(err)
	}
	if generation := state(t, c).Generation; s.Generation != generation || synced.Full != 1 || synced.Deltas != 1 {
		t.Errorf("generation %d, want %d; %+v", s.Generation, generation, synced)
	}
	if want := collect(t, c, client.DumpOptions{}); !reflect.DeepEqual(s.Entries(), want) {
		t.Errorf("%d entries, want %d, or they differ", len(s.Entries()), len(want))
	}
	// The changes since then, in a range.
	since := s.Generation
	for _, id := range []uint32{7, 500, 4} {
		if _, err := c.Delete(t.Context(), id-(id-1)%3); err != nil {
			t.Fatal(err)
		}
	}
	o := client.SyncOptions{Dump: client.DumpOptions{Since: &since, IDTo: ptr(uint32(7))}, Synced: &synced}
	for r, err := range c.Sync(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(r)
	}
	if len(s.Entries()) != 3000 || synced.Records != 2 || synced.Full != 0 {
		t.Errorf("%d entries, %+v", len(s.Entries()), synced)
	}
}

// A flush drops the log. The reader starts over, and ends with the table after
// the flush.
func TestSyncStartsOver(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 5000})
	var s client.Snapshot
	var synced client.Synced
	for r, err := range c.Sync(t.Context(), client.SyncOptions{Reset: s.Reset, Synced: &synced}) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Apply(r); r.ID == 0 { // the first one, deleted by this flush
			flush(t, c)
			fill(t, c, client.FillOptions{Count: 100, IDStart: 1000})
		}
	}
	if want := collect(t, c, client.DumpOptions{}); !reflect.DeepEqual(s.Entries(), want) || synced.Stale != 1 || synced.Full != 2 {
		t.Errorf("%d entries, want %d, or they differ; %+v", len(s.Entries()), len(want), synced)
	}
	if synced.Generation != state(t, c).Generation {
		t.Errorf("generation %d, want %d", synced.Generation, state(t, c).Generation)
	}
}

// A syncMemory is the memory of a process that does nothing but a Sync.
type syncMemory struct {
	client.Synced
	First, Most int // KiB
}

// playSync reads the table with Sync, and prints its memory.
func playSync(ctx context.Context, c *client.Client) error {
	table, err := c.Table(ctx)
	if err != nil {
		return err
	}
	var m syncMemory
	n := uint64(0)
	for _, err := range c.Sync(ctx, client.SyncOptions{Synced: &m.Synced}) {
		if err != nil {
			return err
		}
		if n++; n%(table.Count/20) != 0 {
			continue
		}
		now, err := residentMemory()
		if err != nil {
			return err
		}
		if m.Most = max(m.Most, now); m.First == 0 {
			m.First = now
			// When the churner rests, the first pass is interrupted.
			if _, err := c.Set(ctx, client.Change{ID: idChanged, Value: &n}); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// Sync takes no more memory for the last record than for the first, no matter
// how many records there are and how the table changes. It runs in a process of
// its own, because the memory of other tests and of the churner could hide
// growth or look like it.
func TestSyncMemoryIsFlat(t *testing.T) {
	const slack = 4 << 10 // KiB
	c := setup(t)
	count := large() * 4 / 25
	fillForChurn(t, c, count)
	stop := newChurner(t, 0, 1, count).churn(t, true)
	cmd := roleCommand(t, roleSync)
	cmd.Stderr = stderr
	out, err := cmd.Output()
	stop()
	var m syncMemory
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		t.Fatalf("%v, %q", err, out)
	}
	figures(t, "%d records in %d passes, %d interrupted: %d KiB at first, then at most %d KiB",
		m.Records, m.Full+m.Deltas, m.Interrupted, m.First, m.Most)
	if m.Records < uint64(2*count) || m.Interrupted == 0 || m.First == 0 || m.Most-m.First > slack {
		t.Errorf("%+v", m)
	}
}

var resident = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// residentMemory returns the resident memory of this process, in KiB.
func residentMemory() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	m := resident.FindSubmatch(status)
	if m == nil {
		return 0, fmt.Errorf("no VmRSS in %q", status)
	}
	return strconv.Atoi(string(m[1]))
}
