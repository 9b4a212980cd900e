// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
)

// Whatever is applied, the snapshot has what a map would have, in order.
func TestSnapshotApplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Snapshot
		want := make(map[uint32]uint64)
		for range rapid.IntRange(0, 60).Draw(t, "records") {
			r := Record{ID: rapid.Uint32Range(0, 9).Draw(t, "id"), Value: rapid.Uint64().Draw(t, "value")}
			if r.ID == 9 {
				r.ID = 1<<32 - 1
			}
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0:
				s.Reset()
				clear(want)
			case 1:
				checkSnapshot(t, &s, want)
			case 2, 3, 4, 5, 6, 7, 8:
				r.Deleted = true
				s.Apply(&r)
				delete(want, r.ID)
			default:
				s.Apply(&r)
				want[r.ID] = r.Value
			}
		}
		checkSnapshot(t, &s, want)
	})
}

func checkSnapshot(t *rapid.T, s *Snapshot, want map[uint32]uint64) {
	got := s.Entries()
	if !slices.IsSortedFunc(got, func(a, b Entry) int { return int(int64(a.ID) - int64(b.ID)) }) || len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for _, e := range got {
		if value, there := want[e.ID]; !there || e.Value != value || e.Deleted {
			t.Fatalf("got %+v, want %v", e, want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	page := script.Page
	c, _ := dialTables(t, []uint64{5, 9, 9, 9}, []script.Step{
		page(upsert(1, 4), upsert(3, 5), done()), page(script.Done(0, unix.ESTALE)),
		page(entry(0, 2, script.U64(uapi.AttrEntryGeneration, 8), script.Attr(uapi.AttrEntryPayload, []byte("lent"))), upsert(4, 9)), page(done()),
		page(upsert(3, 11), deleted(4, 12), done()),
	})
	resets := 0
	var synced Synced
	s, err := c.Snapshot(t.Context(), SyncOptions{Reset: func() { resets++ }, Synced: &synced})
	if err != nil {
		t.Fatal(err)
	}
	got := s.Entries()
	if len(got) != 2 || got[0].ID != 2 || !bytes.Equal(got[0].Payload, []byte("lent")) || got[1].ID != 3 || got[1].Generation != 11 {
		t.Errorf("got %+v", got)
	}
	if s.Generation != 12 || synced.Generation != 12 || resets != 1 || synced.Stale != 1 {
		t.Errorf("generation %d, %d resets, %+v", s.Generation, resets, synced)
	}
}

func TestSnapshotFails(t *testing.T) {
	c, _ := dialTables(t, []uint64{5, 6}, []script.Step{script.Page(upsert(1, 4), done()), script.Page(script.Done(unix.NLM_F_DUMP_INTR, 0))})
	if s, err := c.Snapshot(t.Context(), SyncOptions{Passes: 2}); s != nil || !errors.Is(err, ErrNotSynced) {
		t.Errorf("got %v, %v", s, err)
	}
}
