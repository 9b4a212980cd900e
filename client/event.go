// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"fmt"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// An EventKind says what changed.
type EventKind uint8

// The kinds of an Event.
const (
	EventNew   EventKind = iota + 1 // an entry was made
	EventSet                        // an entry was changed
	EventDel                        // an entry was deleted
	EventFill                       // many entries were made, each with a generation of its own
	EventFlush                      // all entries were deleted
)

var eventNames = []string{"", "new", "set", "del", "fill", "flush"}

// String returns new, set, del, fill or flush.
func (k EventKind) String() string { return nameOf("event", eventNames, uint32(k)) }

// MarshalText is String.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *EventKind) UnmarshalText(text []byte) error {
	var v uint32
	if err := named("event", eventNames, string(text), &v); err != nil {
		return err
	}
	*k = EventKind(v)
	return nil
}

// An Event is one change of the table.
type Event struct {
	Kind EventKind `json:"kind"`

	// Generation is the table's after the change: one more than before it, or
	// Count more after EventFill.
	Generation uint64 `json:"generation"`

	// Entry is, with EventNew and EventSet, all of the entry as it is now;
	// with EventDel its ID and Generation, and Deleted. Else it is zero.
	Entry Entry `json:"entry,omitzero"`

	// Count is how many entries were made by EventFill, or deleted by
	// EventFlush.
	Count uint64 `json:"count,omitempty"`

	// IDStart and IDStride say which ids EventFill made: Count of them from
	// IDStart on, IDStride apart. What they hold is not told; a dump with
	// Since, from the generation before, tells it.
	IDStart  uint32 `json:"id_start,omitempty"`
	IDStride uint32 `json:"id_stride,omitempty"`
}

// decodeEvent reads the event behind a netlink header. One that the spec does
// not have yet has the kind 0.
func decodeEvent(b []byte) (Event, error) {
	if len(b) < genlHeaderLen {
		return Event{}, fmt.Errorf("%w: event of %d bytes", ErrBadReply, len(b))
	}
	attrs := b[genlHeaderLen:]
	switch b[0] {
	case uapi.CmdEntryNewNtf:
		return decodeEntryEvent(EventNew, attrs)
	case uapi.CmdEntrySetNtf:
		return decodeEntryEvent(EventSet, attrs)
	case uapi.CmdEntryDelNtf:
		return decodeEntryEvent(EventDel, attrs)
	case uapi.CmdTableFillNtf:
		return decodeFillEvent(attrs)
	case uapi.CmdTableFlushNtf:
		t, err := decodeTable(attrs)
		return Event{Kind: EventFlush, Generation: t.Generation, Count: t.Count}, err
	}
	return Event{}, nil
}

func decodeEntryEvent(kind EventKind, b []byte) (Event, error) {
	var r Record
	if err := decodeRecord(b, &r); err != nil {
		return Event{}, err
	}
	r.Deleted = kind == EventDel
	return Event{Kind: kind, Generation: r.Generation, Entry: r.Entry()}, nil
}

func decodeFillEvent(b []byte) (Event, error) {
	e := Event{Kind: EventFill}
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case uapi.AttrFillCount:
			e.Count = uint64(a.Uint32())
		case uapi.AttrFillIDStart:
			e.IDStart = a.Uint32()
		case uapi.AttrFillIDStride:
			e.IDStride = a.Uint32()
		case uapi.AttrFillGeneration:
			e.Generation = a.Uint()
		}
	}
	if a.Err() != nil {
		return Event{}, fmt.Errorf("%w: event of a fill: %w", ErrBadReply, a.Err())
	}
	return e, nil
}

// What generic netlink's controller says to its group "notify", whose number
// is fixed (net/netlink/genetlink.c:genl_allocate_reserve_groups).
const controllerGroup = unix.GENL_ID_CTRL

// isFarewell tells whether a message of the controller's says that the family
// with the number is gone.
func isFarewell(b []byte, family uint16) bool {
	if len(b) < genlHeaderLen || b[0] != unix.CTRL_CMD_DELFAMILY {
		return false
	}
	a := nldump.Parse(b[genlHeaderLen:])
	return a.Find(unix.CTRL_ATTR_FAMILY_ID) && a.Uint16() == family
}
