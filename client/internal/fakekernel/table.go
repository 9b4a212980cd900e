// SPDX-License-Identifier: BSD-3-Clause

package fakekernel

import (
	"maps"
	"slices"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
)

// change makes one change and its event.
func (k *Kernel) change(e Entry, cmd uint8, attrs []byte) {
	if old, ok := k.Entries[e.ID]; ok {
		delete(k.log, old.Generation)
	}
	if e.Deleted {
		delete(k.Entries, e.ID)
	} else {
		k.Entries[e.ID] = e
	}
	k.log[e.Generation] = e
	k.send(cmd, attrs)
	k.remember()
}

// next ends a fill, and is the generation of a change.
func (k *Kernel) next() uint64 {
	k.FillEnd(false)
	k.Generation++
	return k.Generation
}

func (k *Kernel) remember() { k.History[k.Generation] = maps.Clone(k.Entries) }

// Put makes the entry, or sets it.
func (k *Kernel) Put(e Entry) {
	e.Generation = k.next()
	cmd := uint8(uapi.CmdEntryNewNtf)
	if _, ok := k.Entries[e.ID]; ok {
		cmd = uapi.CmdEntrySetNtf
	}
	k.change(e, cmd, entryAttrs(e))
}

// Del deletes the entry with the id, if there is one.
func (k *Kernel) Del(id uint32) {
	k.FillEnd(false)
	if _, ok := k.Entries[id]; ok {
		e := Entry{ID: id, Generation: k.next(), Deleted: true}
		k.change(e, uapi.CmdEntryDelNtf, slices.Concat(script.U32(uapi.AttrEntryID, id), script.U64(uapi.AttrEntryGeneration, e.Generation)))
	}
}

// Flush deletes all entries.
func (k *Kernel) Flush() {
	k.floor = k.next()
	count := len(k.Entries)
	clear(k.Entries)
	clear(k.log)
	k.send(uapi.CmdTableFlushNtf, script.U64(uapi.AttrTableCount, uint64(count)), script.U64(uapi.AttrTableGeneration, k.Generation))
	k.remember()
}

// FillBegin makes entries that a dump sees, and that FillEnd may undo.
func (k *Kernel) FillBegin(from uint32, count int) {
	k.FillEnd(false)
	for id := from; id < from+uint32(count); id++ {
		if _, ok := k.Entries[id]; ok {
			return
		}
	}
	for i := range uint64(count) {
		e := Entry{ID: from + uint32(i), Name: "filled", Generation: k.Generation + 1 + i}
		k.Entries[e.ID], k.log[e.Generation] = e, e
		k.filling = append(k.filling, e.ID)
	}
}

// FillEnd ends the fill that is being made, if there is one.
func (k *Kernel) FillEnd(undo bool) {
	if len(k.filling) == 0 {
		return
	}
	for i, id := range k.filling {
		if undo {
			g := k.Generation + 1 + uint64(i)
			delete(k.Entries, id)
			k.log[g] = Entry{ID: id, Generation: g, Deleted: true}
		}
	}
	k.Generation += uint64(len(k.filling))
	if !undo {
		k.send(uapi.CmdTableFillNtf, script.U32(uapi.AttrFillCount, uint32(len(k.filling))), script.U32(uapi.AttrFillIDStart, k.filling[0]),
			script.U32(uapi.AttrFillIDStride, 1), script.U64(uapi.AttrFillGeneration, k.Generation))
	}
	k.filling = nil
	k.remember()
}

// Forget drops the log up to now.
func (k *Kernel) Forget() {
	k.FillEnd(false)
	for g, e := range k.log {
		if e.Deleted {
			delete(k.log, g)
		}
	}
	k.floor = k.Generation
}

func entryAttrs(e Entry) []byte {
	return slices.Concat(script.U32(uapi.AttrEntryID, e.ID), script.Text(uapi.AttrEntryName, e.Name),
		script.U64(uapi.AttrEntryValue, e.Value), script.U64(uapi.AttrEntryGeneration, e.Generation))
}
