// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// A busier makes random changes at each look at the model, up to a limit.
type busier struct {
	t     *rapid.T
	m     *model
	limit int
}

func (b *busier) look() {
	if b.limit == 0 {
		return
	}
	for range rapid.IntRange(0, min(2, b.limit)).Draw(b.t, "changes") {
		b.limit--
		b.change()
	}
}

// change makes one change. There are few ids, so the same ids are created,
// changed, deleted and created again.
func (b *busier) change() {
	id := rapid.SampledFrom([]uint32{0, 1, 2, 3, 5, 8, 1 << 31, 1<<32 - 2, 1<<32 - 1}).Draw(b.t, "id")
	switch kind := rapid.IntRange(0, 39).Draw(b.t, "kind"); {
	case kind == 0:
		b.m.change(change{flush: true})
	case kind < 14:
		if _, there := b.m.entries[id]; there {
			b.m.del(id)
		}
	default:
		b.m.change(change{id: id, value: rapid.Uint64().Draw(b.t, "value")})
	}
}

// Whatever changes happen, applying what Sync yields gives the table of the
// generation that it reports. If Sync gives up, all changes up to that
// generation are there.
func TestSyncMakesATable(t *testing.T) {
	ctx := t.Context()
	ends := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		m.pageRecords = rapid.IntRange(1, 4).Draw(t, "records on a page")
		m.tombstonesMax = rapid.SampledFrom([]int{0, 1, 3, 100}).Draw(t, "tombstones")
		b := &busier{t: t, m: m, limit: rapid.IntRange(0, 60).Draw(t, "limit")}
		for range rapid.IntRange(0, 15).Draw(t, "before") {
			b.change()
		}
		held := make(map[uint32]version)
		var synced Synced
		resets := 0
		o := SyncOptions{
			Passes: rapid.IntRange(1, 12).Draw(t, "passes"), Full: rapid.IntRange(1, 5).Draw(t, "full"),
			Synced: &synced, Reset: func() { clear(held); resets++ },
		}
		if rapid.Bool().Draw(t, "since") {
			since := rapid.Uint64Range(0, m.generation).Draw(t, "generation")
			o.Dump.Since = &since
			held = m.at(since)
		}
		if rapid.Bool().Draw(t, "range") {
			o.Dump.IDFrom = ptr(rapid.Uint32Range(0, 8).Draw(t, "from"))
			o.Dump.IDTo = ptr(rapid.Uint32Range(8, 1<<32-1).Draw(t, "to"))
		}
		within(held, o.Dump)
		c, err := m.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		m.busy = b.look
		err = apply(ctx, t, c, o, held)

		m.busy = nil
		want := m.at(synced.Generation)
		within(want, o.Dump)
		ends[fmt.Sprintf("error %v, %d resets", err != nil, min(resets, 2))]++
		switch {
		case err == nil:
			if !maps.Equal(held, want) {
				t.Fatalf("%+v: held %v\nwant %v", synced, held, want)
			}
			if o.Dump.IDFrom == nil && m.generation == synced.Generation && !maps.Equal(held, m.entries) {
				t.Fatalf("%+v: held %v, the table is %v", synced, held, m.entries)
			}
		case errors.Is(err, ErrNotSynced):
			wantUpTo(t, m, synced.Generation, o.Dump, held)
		default:
			t.Fatal(err)
		}
		if resets != synced.Stale || synced.Full+synced.Deltas > o.Passes || synced.Full > o.Full {
			t.Fatalf("%d resets, %+v, of at most %d passes, %d full", resets, synced, o.Passes, o.Full)
		}
	})
	t.Log(ends)
	for _, end := range []string{"error false, 0 resets", "error false, 1 resets", "error false, 2 resets", "error true, 0 resets", "error true, 2 resets"} {
		if ends[end] == 0 {
			t.Errorf("none of the runs ended with %s", end)
		}
	}
}

// apply applies what Sync yields.
func apply(ctx context.Context, t rapid.TB, c *Client, o SyncOptions, held map[uint32]version) error {
	for r, err := range c.Sync(ctx, o) {
		switch {
		case err != nil:
			return err
		case r.Deleted:
			delete(held, r.ID)
		case held[r.ID].generation > r.Generation:
			t.Fatalf("id %d of generation %d after %d", r.ID, r.Generation, held[r.ID].generation)
		default:
			held[r.ID] = version{r.Generation, r.Value}
		}
	}
	return nil
}

// within removes the entries that the options exclude.
func within(table map[uint32]version, o DumpOptions) {
	maps.DeleteFunc(table, func(id uint32, _ version) bool {
		return o.IDFrom != nil && id < *o.IDFrom || o.IDTo != nil && id > *o.IDTo
	})
}

// wantUpTo checks that held has each entry whose last change is not after the
// generation, and no other entry that old.
func wantUpTo(t rapid.TB, m *model, generation uint64, o DumpOptions, held map[uint32]version) {
	now := maps.Clone(m.entries)
	within(now, o)
	for id, v := range now {
		if v.generation <= generation && held[id] != v {
			t.Fatalf("up to %d: id %d is %v, want %v", generation, id, held[id], v)
		}
	}
	for id, v := range held {
		if _, there := now[id]; !there && !m.changedAfter(generation, id) {
			t.Fatalf("up to %d: id %d, %v, is gone", generation, id, v)
		}
	}
}

func (m *model) changedAfter(generation uint64, id uint32) bool {
	for _, c := range m.history[generation+1:] {
		if c.flush || c.id == id {
			return true
		}
	}
	return false
}
