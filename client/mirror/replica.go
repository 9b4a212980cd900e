// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"iter"
	"maps"

	"github.com/tidwall/btree"

	"bulkdump/client"
)

// A replica is the table as far as it is known, in order of id. What is told of
// an entry twice, by an event and by a dump, may come in any order: the higher
// generation counts. So the order in which the two are applied does not matter.
type replica struct {
	held btree.Map[uint32, *held]

	// While a pass runs, that is a dump, deleted entries are remembered with
	// the generation of their deletion: a page may be older than an event, and
	// an event that is read after it older than a page.
	pass       uint64 // its number; 0: none runs
	passes     uint64
	tombstones map[uint32]uint64

	flushed uint64 // generation of the last flush: what is not newer is gone
}

// held is one entry. It is not changed once it is in the replica, but for pass,
// so that a reader may keep it.
type held struct {
	entry client.Entry
	pass  uint64 // the last one that had the entry in it
}

// wants tells whether what a record or an event says is newer than what is known
// of its id. A deletion may have the generation of what it deletes: that of an
// entry of a fill that had to be undone.
func (r *replica) wants(id uint32, generation uint64, deleted, byPass bool) bool {
	h, ok := r.held.Get(id)
	if !ok {
		return generation > max(r.flushed, r.tombstones[id])
	}
	if byPass && !deleted {
		h.pass = r.pass
	}
	known := max(r.flushed, h.entry.Generation)
	return generation > known || deleted && generation == known
}

// put applies an entry, or with Deleted its deletion, and tells what that
// changed: 0 if what is known is not older.
func (r *replica) put(e *client.Entry, byPass bool) client.EventKind {
	if !r.wants(e.ID, e.Generation, e.Deleted, byPass) {
		return 0
	}
	_, ok := r.held.Get(e.ID)
	if e.Deleted {
		if r.pass != 0 {
			r.tombstones[e.ID] = e.Generation
		}
		if !ok {
			return 0
		}
		r.held.Delete(e.ID)
		return client.EventDel
	}
	delete(r.tombstones, e.ID)
	h := &held{entry: *e}
	if byPass {
		h.pass = r.pass
	}
	r.held.Set(e.ID, h)
	if ok {
		return client.EventSet
	}
	return client.EventNew
}

// flush applies a flush and returns how many entries that took away. What is
// newer stays: a dump may have told of it before the flush's event was read.
func (r *replica) flush(generation uint64) (count uint64) {
	r.flushed = max(r.flushed, generation)
	if r.held.Len() == 0 {
		return 0
	}
	return uint64(len(r.remove(func(h *held) bool { return h.entry.Generation <= generation })))
}

// begin begins a pass.
func (r *replica) begin() {
	r.passes++
	r.pass = r.passes
	if r.tombstones == nil {
		r.tombstones = make(map[uint32]uint64)
	}
}

// end ends the pass. What is older than the generation will not be told again.
func (r *replica) end(generation uint64) {
	r.pass = 0
	maps.DeleteFunc(r.tombstones, func(_ uint32, g uint64) bool { return g <= generation })
}

// sweep takes away what a pass over the whole table did not have in it, and
// returns the ids. Not what is newer than the generation that the table had
// before the pass began: that may have been made behind its back.
func (r *replica) sweep(generation uint64) []uint32 {
	return r.remove(func(h *held) bool { return h.pass != r.pass && h.entry.Generation <= generation })
}

func (r *replica) remove(which func(*held) bool) (ids []uint32) {
	r.held.Scan(func(id uint32, h *held) bool {
		if which(h) {
			ids = append(ids, id)
		}
		return true
	})
	for _, id := range ids {
		r.held.Delete(id)
	}
	return ids
}

// snapshot returns the entries of now, which stay as they are whatever is
// applied later.
func (r *replica) snapshot() iter.Seq[client.Entry] {
	s := r.held.Copy()
	return func(yield func(client.Entry) bool) {
		s.Scan(func(_ uint32, h *held) bool { return yield(h.entry) })
	}
}
