// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// sameValues compares the fields that users set.
func sameValues(a, b client.Entry) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Flags == b.Flags && a.Value == b.Value && bytes.Equal(a.Payload, b.Payload)
}

func mustGet(t testing.TB, c *client.Client, id uint32) client.Entry {
	t.Helper()
	e, err := c.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNewAndGet(t *testing.T) {
	c := setup(t)
	for _, want := range []client.Entry{
		{ID: 0, Name: "a"},
		{ID: math.MaxUint32, Name: strings.Repeat("n", client.NameLenMax), Flags: math.MaxUint32, Value: math.MaxUint64},
		{ID: 1, Name: "\xff\x01 any bytes", Value: math.MaxUint32, Payload: bytes.Repeat([]byte{0}, client.PayloadLenMax)},
		{ID: 2, Name: "a", Value: math.MaxUint32 + 1, Payload: []byte{1}}, // a name need not be unique
	} {
		before := state(t, c)
		generation, err := c.New(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		got := mustGet(t, c, want.ID)
		if !sameValues(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		after := state(t, c)
		if generation != before.Generation+1 || after.Generation != generation || got.Generation != generation {
			t.Errorf("generation %d before; new returned %d, the entry has %d, the table %d",
				before.Generation, generation, got.Generation, after.Generation)
		}
		if after.Count != before.Count+1 || after.Bytes <= before.Bytes+uint64(len(want.Payload)) {
			t.Errorf("count from %d to %d, bytes from %d to %d", before.Count, after.Count, before.Bytes, after.Bytes)
		}
	}
}

func TestNewOfTakenID(t *testing.T) {
	c := setup(t)
	want := client.Entry{ID: 1, Name: "first", Value: 1}
	makeEntry(t, c, want)
	before := state(t, c)
	if _, err := c.New(t.Context(), client.Entry{ID: 1, Name: "second"}); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want %v", err, os.ErrExist)
	}
	if got := mustGet(t, c, 1); !sameValues(got, want) {
		t.Errorf("it became %+v", got)
	}
	if after := state(t, c); after.Generation != before.Generation || after.Count != 1 {
		t.Errorf("count %d, generation from %d to %d", after.Count, before.Generation, after.Generation)
	}
}

// If several entries have the same name, the one with the smallest id is found.
func TestGetByNameIsTheSmallestID(t *testing.T) {
	c := setup(t)
	for _, id := range []uint32{9, 3, 7} {
		makeEntry(t, c, client.Entry{ID: id, Name: "same"})
	}
	makeEntry(t, c, client.Entry{ID: 1, Name: "sam"})
	for _, want := range []uint32{3, 7, 9} { // the smallest id left with the name
		e, err := c.GetByName(t.Context(), "same")
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != want {
			t.Errorf("id %d, want %d", e.ID, want)
		}
		if _, err := c.Delete(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.GetByName(t.Context(), "same"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
	// A renamed entry is found by its new name only.
	if _, err := c.Set(t.Context(), client.Change{ID: 1, Name: ptr("renamed")}); err != nil {
		t.Fatal(err)
	}
	if e, err := c.GetByName(t.Context(), "renamed"); err != nil || e.ID != 1 {
		t.Errorf("entry %d, error %v", e.ID, err)
	}
	if _, err := c.GetByName(t.Context(), "sam"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}

// A lookup counts as a hit of its entry. A dump does not.
// Rule 25.
func TestStatsCountLookups(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 5, Name: "five", Payload: make([]byte, 100)})
	for n := range uint64(3) {
		if e := mustGet(t, c, 5); e.Stats.Hits != n || e.Stats.Bytes != 100*n {
			t.Errorf("after %d lookups: %+v", n, e.Stats)
		}
		mustDump(t, c, client.DumpOptions{})
	}
	// Changing an entry keeps its counters.
	if _, err := c.Set(t.Context(), client.Change{ID: 5, Payload: []byte{}}); err != nil {
		t.Fatal(err)
	}
	e := mustGet(t, c, 5)
	if e.Stats.Hits != 3 || e.Stats.Bytes != 300 || len(e.Payload) != 0 {
		t.Errorf("after the change: %d bytes of payload, %+v", len(e.Payload), e.Stats)
	}
	if !e.Stats.Updated.After(e.Stats.Created) {
		t.Errorf("updated %v, created %v", e.Stats.Updated, e.Stats.Created)
	}
}

// Set changes only the fields in the request.
func TestSetChangesOnlyWhatIsGiven(t *testing.T) {
	c := setup(t)
	was := client.Entry{ID: 1, Name: "name", Flags: 2, Value: 3, Payload: []byte{4, 5}}
	for _, tt := range []struct {
		name   string
		change client.Change
		want   func(*client.Entry)
	}{
		{"nothing", client.Change{}, func(*client.Entry) {}},
		{"name", client.Change{Name: ptr("another")}, func(e *client.Entry) { e.Name = "another" }},
		{"flags to 0", client.Change{Flags: ptr(uint32(0))}, func(e *client.Entry) { e.Flags = 0 }},
		{"value to 0", client.Change{Value: ptr(uint64(0))}, func(e *client.Entry) { e.Value = 0 }},
		{"payload away", client.Change{Payload: []byte{}}, func(e *client.Entry) { e.Payload = nil }},
		{"larger payload", client.Change{Payload: make([]byte, client.PayloadLenMax)},
			func(e *client.Entry) { e.Payload = make([]byte, client.PayloadLenMax) }},
		{"create of one that is there", client.Change{Value: ptr(uint64(9)), Create: true}, func(e *client.Entry) { e.Value = 9 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			flush(t, c)
			makeEntry(t, c, was)
			before := state(t, c)
			tt.change.ID = was.ID
			generation, err := c.Set(t.Context(), tt.change)
			if err != nil {
				t.Fatal(err)
			}
			want, got := was, mustGet(t, c, was.ID)
			tt.want(&want)
			if !sameValues(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			after := state(t, c)
			if generation != before.Generation+1 || got.Generation != generation || after.Generation != generation {
				t.Errorf("generation %d before; set returned %d, the entry has %d, the table %d",
					before.Generation, generation, got.Generation, after.Generation)
			}
			grown := int64(len(want.Name)+len(want.Payload)) - int64(len(was.Name)+len(was.Payload))
			if after.Count != 1 || int64(after.Bytes-before.Bytes) != grown {
				t.Errorf("count %d; %d bytes more, want %d", after.Count, int64(after.Bytes-before.Bytes), grown)
			}
		})
	}
}

func TestSetOfMissingEntry(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	if _, err := c.Set(t.Context(), client.Change{ID: 1, Name: ptr("one")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 1, Create: true}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("create without a name: error %v, want EINVAL", err)
	}
	if after := state(t, c); after.Count != 0 || after.Generation != before.Generation {
		t.Errorf("count %d, generation from %d to %d", after.Count, before.Generation, after.Generation)
	}
	if _, err := c.Set(t.Context(), client.Change{ID: 1, Name: ptr("one"), Create: true}); err != nil {
		t.Fatal(err)
	}
	if e := mustGet(t, c, 1); e.Name != "one" {
		t.Errorf("got %+v", e)
	}
}

func TestDelete(t *testing.T) {
	c := setup(t)
	empty := state(t, c)
	makeEntry(t, c, client.Entry{ID: 1, Payload: make([]byte, 1000)})
	generation, err := c.Delete(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	after := state(t, c)
	if generation != empty.Generation+2 || after.Generation != generation {
		t.Errorf("generation %d, delete returned %d, the table has %d", empty.Generation, generation, after.Generation)
	}
	if after.Count != 0 || after.Bytes != empty.Bytes || after.RecordMax != 0 {
		t.Errorf("an empty table has %d entries, %d bytes, a record of up to %d", after.Count, after.Bytes, after.RecordMax)
	}
	for _, id := range []uint32{1, 0, math.MaxUint32} {
		if _, err := c.Delete(t.Context(), id); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("id %d: error %v, want %v", id, err, os.ErrNotExist)
		}
		if _, err := c.Get(t.Context(), id); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("id %d: error %v, want %v", id, err, os.ErrNotExist)
		}
	}
}

func TestFlush(t *testing.T) {
	c := setup(t)
	empty := state(t, c)
	fill(t, c, client.FillOptions{Count: 1001, PayloadMax: 100})
	last, err := c.Delete(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if s := state(t, c); s.Tombstones != 1 {
		t.Errorf("%d tombstones after a delete", s.Tombstones)
	}
	flushed, err := c.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if flushed.Count != 1000 || flushed.Generation != last+1 {
		t.Errorf("flushed %d, generation from %d to %d", flushed.Count, last, flushed.Generation)
	}
	after := state(t, c)
	if after.Count != 0 || after.Bytes != empty.Bytes || after.Generation != flushed.Generation || after.IDMin != nil || after.IDMax != nil ||
		after.RecordMax != 0 || after.Tombstones != 0 || after.LogFloor != flushed.Generation {
		t.Errorf("after the flush: %+v", after)
	}
}
