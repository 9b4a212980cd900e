// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"reflect"
	"testing"

	"bulkdump/client"
)

// names returns the names by id.
func (r *replica) names() map[uint32]string {
	all := make(map[uint32]string)
	for e := range r.snapshot() {
		all[e.ID] = e.Name
	}
	return all
}

// A replica ignores a record that is older than its own state, even after a
// deletion during a pass.
func TestReplicaTakesTheNewest(t *testing.T) {
	var r replica
	r.begin()
	for i, step := range []struct {
		e      client.Entry
		byPass bool
		want   client.EventKind
	}{
		{client.Entry{ID: 1, Name: "five", Generation: 5}, false, client.EventNew},
		{client.Entry{ID: 1, Name: "four", Generation: 4}, true, 0},
		{client.Entry{ID: 1, Name: "five again", Generation: 5}, true, 0},
		{client.Entry{ID: 1, Name: "six", Generation: 6}, true, client.EventSet},
		{client.Entry{ID: 1, Deleted: true, Generation: 4}, false, 0},
		{client.Entry{ID: 1, Deleted: true, Generation: 7}, false, client.EventDel},
		{client.Entry{ID: 1, Name: "six", Generation: 6}, true, 0},
		{client.Entry{ID: 1, Name: "eight", Generation: 8}, true, client.EventNew},
		{client.Entry{ID: 1, Deleted: true, Generation: 8}, true, client.EventDel}, // an undone change
		{client.Entry{ID: 1, Name: "eight", Generation: 8}, true, 0},
		{client.Entry{ID: 2, Deleted: true, Generation: 9}, true, 0}, // an entry that was never here
		{client.Entry{ID: 2, Name: "three", Generation: 3}, false, 0},
		{client.Entry{ID: 3, Name: "ten", Generation: 10}, false, client.EventNew},
	} {
		if got := r.put(&step.e, step.byPass); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	if count := r.flush(10); count != 1 || r.entries.Len() != 0 {
		t.Errorf("%d deleted, %d left", count, r.entries.Len())
	}
	if r.put(&client.Entry{ID: 3, Name: "ten", Generation: 10}, true) != 0 || r.put(&client.Entry{ID: 3, Name: "later", Generation: 11}, true) != client.EventNew {
		t.Error("what the flush took is back, or what is newer is not")
	}
	if count := r.flush(10); count != 0 || r.entries.Len() != 1 {
		t.Errorf("a flush took what is newer: %d", count)
	}
	r.end(8)
	if len(r.tombstones) != 1 || r.tombstones[2] != 9 {
		t.Errorf("tombstones %v", r.tombstones)
	}
}

// A sweep removes the entries that a full pass did not bring, except those
// newer than the start of the pass.
func TestReplicaSweeps(t *testing.T) {
	var r replica
	for id := range uint32(6) {
		r.put(&client.Entry{ID: id, Name: "old", Generation: uint64(id) + 1}, false)
	}
	r.begin()
	r.put(&client.Entry{ID: 0, Name: "old", Generation: 1}, true) // the pass sees the current state
	r.put(&client.Entry{ID: 1, Name: "x", Generation: 1}, true)   // the pass sees an older state than the event's
	r.put(&client.Entry{ID: 2, Name: "new", Generation: 30}, true)
	r.put(&client.Entry{ID: 3, Name: "event", Generation: 21}, false) // at an id that the pass had already read
	ids := r.sweep(20)
	if want := (map[uint32]string{0: "old", 1: "old", 2: "new", 3: "event"}); !reflect.DeepEqual(r.names(), want) || !reflect.DeepEqual(ids, []uint32{4, 5}) {
		t.Errorf("left %v, swept %v", r.names(), ids)
	}
}

func TestHorizon(t *testing.T) {
	one := func(g uint64) *client.Event { return &client.Event{Kind: client.EventSet, Generation: g} }
	h := horizon{open: true}
	if got := h.event(one(5)); got != eventNext || h.complete != 0 {
		t.Errorf("the first event: %d, complete up to %d", got, h.complete)
	}
	if !h.reach(4, true) || h.complete != 5 {
		t.Errorf("a dump up to the run: complete up to %d", h.complete)
	}
	for _, step := range []struct {
		e        *client.Event
		want     int
		complete uint64
	}{
		{one(5), eventOld, 5},
		{one(6), eventNext, 6},
		{one(8), eventGap, 6},
		{one(9), eventNext, 6},
		{one(9), eventOld, 6},
		{one(11), eventGap, 6},
		{&client.Event{Kind: client.EventFill, Generation: 20, Count: 9}, eventFill, 6},
		{one(21), eventNext, 6},
	} {
		if got := h.event(step.e); got != step.want || h.complete != step.complete {
			t.Errorf("%+v: %d, complete %d, want %d, %d", step.e, got, h.complete, step.want, step.complete)
		}
	}
	if h.reach(19, true) || h.complete != 19 {
		t.Errorf("a dump up to before the fill's end: complete up to %d", h.complete)
	}
	if !h.reach(20, true) || h.complete != 21 {
		t.Errorf("a dump up to the fill's end: complete up to %d", h.complete)
	}
	// After an unknown loss, the run starts again.
	h.lose()
	if h.event(one(25)) != eventNext || h.complete != 21 || !h.reach(30, true) || h.complete != 30 {
		t.Errorf("after a loss: %+v", h)
	}
	if h.event(one(32)) != eventGap {
		t.Error("31 is missing")
	}
	h.lose()
	if !h.reach(33, false) || !h.open || h.event(one(40)) != eventNext || h.complete != 33 {
		t.Errorf("a loss during the dump: %+v", h)
	}
	// If nothing was lost, the next event continues the run.
	h = horizon{complete: 7, first: 8, last: 7, open: true}
	if h.event(one(8)) != eventNext || h.complete != 8 {
		t.Errorf("%+v", h)
	}
}
