// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"maps"
	"slices"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
)

// change makes one change and its event; k.mu is held.
func (k *tableKernel) change(kind EventKind, e Entry) {
	k.fillEnd(false)
	k.generation++
	e.Generation = k.generation
	if old, ok := k.entries[e.ID]; ok && kind != EventFlush {
		delete(k.log, old.Generation)
	}
	switch kind {
	case EventNew, EventSet:
		k.entries[e.ID] = e
		k.log[e.Generation] = e
		k.send(map[EventKind]uint8{EventNew: uapi.CmdEntryNewNtf, EventSet: uapi.CmdEntrySetNtf}[kind], entryAttrs(e))
	case EventDel:
		e = Entry{ID: e.ID, Generation: e.Generation, Deleted: true}
		delete(k.entries, e.ID)
		k.log[e.Generation] = e
		k.send(uapi.CmdEntryDelNtf, script.U32(uapi.AttrEntryID, e.ID), script.U64(uapi.AttrEntryGeneration, e.Generation))
	case EventFlush:
		count := len(k.entries)
		clear(k.entries)
		clear(k.log)
		k.floor = k.generation
		k.send(uapi.CmdTableFlushNtf, script.U64(uapi.AttrTableCount, uint64(count)), script.U64(uapi.AttrTableGeneration, k.generation))
	}
	k.remember()
}

func (k *tableKernel) remember() { k.history[k.generation] = maps.Clone(k.entries) }

// put is new or set of an entry, as it has to be.
func (k *tableKernel) put(e Entry) {
	k.fillEnd(false)
	kind := EventNew
	if _, ok := k.entries[e.ID]; ok {
		kind = EventSet
	}
	k.change(kind, e)
}

func (k *tableKernel) del(id uint32) {
	k.fillEnd(false)
	if _, ok := k.entries[id]; ok {
		k.change(EventDel, Entry{ID: id})
	}
}

// fillBegin makes entries that a dump sees, and that may have to go again.
func (k *tableKernel) fillBegin(from uint32, count int) {
	k.fillEnd(false)
	for id := from; id < from+uint32(count); id++ {
		if _, ok := k.entries[id]; ok {
			return
		}
	}
	for i := range uint64(count) {
		e := Entry{ID: from + uint32(i), Name: "filled", Generation: k.generation + 1 + i}
		k.entries[e.ID], k.log[e.Generation] = e, e
		k.filling = append(k.filling, e.ID)
	}
}

// fillEnd ends the fill that is being made, if there is one.
func (k *tableKernel) fillEnd(undo bool) {
	if len(k.filling) == 0 {
		return
	}
	for i, id := range k.filling {
		if undo {
			g := k.generation + 1 + uint64(i)
			delete(k.entries, id)
			k.log[g] = Entry{ID: id, Generation: g, Deleted: true}
		}
	}
	k.generation += uint64(len(k.filling))
	if !undo {
		k.send(uapi.CmdTableFillNtf, script.U32(uapi.AttrFillCount, uint32(len(k.filling))), script.U32(uapi.AttrFillIDStart, k.filling[0]),
			script.U32(uapi.AttrFillIDStride, 1), script.U64(uapi.AttrFillGeneration, k.generation))
	}
	k.filling = nil
	k.remember()
}

// forget drops the log up to now.
func (k *tableKernel) forget() {
	k.fillEnd(false)
	for g, e := range k.log {
		if e.Deleted {
			delete(k.log, g)
		}
	}
	k.floor = k.generation
}

func entryAttrs(e Entry) []byte {
	return slices.Concat(script.U32(uapi.AttrEntryID, e.ID), script.Text(uapi.AttrEntryName, e.Name),
		script.U64(uapi.AttrEntryValue, e.Value), script.U64(uapi.AttrEntryGeneration, e.Generation))
}
