// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"iter"
	"maps"

	"github.com/tidwall/btree"

	"bulkdump/client"
)

// A replica is the table as far as it is known, in order of id. An event and a dump
// may tell of an entry in any order: the higher generation counts.
type replica struct {
	entries btree.Map[uint32, *item]

	// A pass is a dump. While one runs, deleted entries are remembered with the
	// generation of their deletion, because a page may be older than an event
	// that came before it, and the other way round.
	pass       uint64 // the number of the one that runs, or 0
	passes     uint64
	tombstones map[uint32]uint64

	flushed uint64 // generation of the last flush: entries that are not newer are gone
}

// An item is an entry in the replica. Only its pass ever changes, so that a reader
// may keep the entry.
type item struct {
	entry client.Entry
	pass  uint64 // the last one that brought the entry
}

// wants tells whether a record or an event is newer than what is known of its id. A
// deletion may have the generation of the entry that it deletes, if a fill that
// made the entry was undone.
func (r *replica) wants(id uint32, generation uint64, deleted, byPass bool) bool {
	h, ok := r.entries.Get(id)
	if !ok {
		return generation > max(r.flushed, r.tombstones[id])
	}
	if byPass && !deleted {
		h.pass = r.pass
	}
	known := max(r.flushed, h.entry.Generation)
	return generation > known || deleted && generation == known
}

// put applies an entry, or its deletion, and tells what that changed: 0 if it is
// not newer than what is known.
func (r *replica) put(e *client.Entry, byPass bool) client.EventKind {
	if !r.wants(e.ID, e.Generation, e.Deleted, byPass) {
		return 0
	}
	_, ok := r.entries.Get(e.ID)
	if e.Deleted {
		if r.pass != 0 {
			r.tombstones[e.ID] = e.Generation
		}
		if !ok {
			return 0
		}
		r.entries.Delete(e.ID)
		return client.EventDel
	}
	delete(r.tombstones, e.ID)
	h := &item{entry: *e}
	if byPass {
		h.pass = r.pass
	}
	r.entries.Set(e.ID, h)
	if ok {
		return client.EventSet
	}
	return client.EventNew
}

// flush applies a flush, and returns how many entries it took away. Newer entries
// stay: a dump may have brought them before the event of the flush was read.
func (r *replica) flush(generation uint64) (count uint64) {
	r.flushed = max(r.flushed, generation)
	if r.entries.Len() == 0 {
		return 0
	}
	return uint64(len(r.remove(func(h *item) bool { return h.entry.Generation <= generation })))
}

// begin begins a pass.
func (r *replica) begin() {
	r.passes++
	r.pass = r.passes
	if r.tombstones == nil {
		r.tombstones = make(map[uint32]uint64)
	}
}

// end ends the pass. Nothing up to the generation will come again.
func (r *replica) end(generation uint64) {
	r.pass = 0
	maps.DeleteFunc(r.tombstones, func(_ uint32, g uint64) bool { return g <= generation })
}

// sweep takes away what a pass over the whole table did not bring, and returns the
// ids. It leaves what is newer than the generation of the table before the pass:
// that may have been made where the dump had already been.
func (r *replica) sweep(generation uint64) []uint32 {
	return r.remove(func(h *item) bool { return h.pass != r.pass && h.entry.Generation <= generation })
}

func (r *replica) remove(which func(*item) bool) (ids []uint32) {
	r.entries.Scan(func(id uint32, h *item) bool {
		if which(h) {
			ids = append(ids, id)
		}
		return true
	})
	for _, id := range ids {
		r.entries.Delete(id)
	}
	return ids
}

// snapshot returns the entries as they are now, whatever is applied later.
func (r *replica) snapshot() iter.Seq[client.Entry] {
	s := r.entries.Copy()
	return func(yield func(client.Entry) bool) {
		s.Scan(func(_ uint32, h *item) bool { return yield(h.entry) })
	}
}
