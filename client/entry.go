// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"time"
)

// An Entry is one entry of the table. In JSON the payload is base64, and the
// invalid bytes of a name that is not UTF-8 are replaced.
type Entry struct {
	ID         uint32 `json:"id"`
	Name       string `json:"name"` // 1 to NameLenMax bytes; it need not be unique
	Flags      uint32 `json:"flags"`
	Value      uint64 `json:"value"`
	Payload    []byte `json:"payload,omitempty"` // up to PayloadLenMax bytes
	Stats      Stats  `json:"stats"`
	Generation uint64 `json:"generation"` // the table's, at the entry's last change

	// Deleted says, in a dump with Since, that the entry was deleted in this
	// generation. Only its ID is known besides.
	Deleted bool `json:"deleted,omitempty"`
}

// Stats counts the lookups of an entry (dumps are none) and has its times. A time
// that the kernel did not send is zero.
type Stats struct {
	Hits    uint64    `json:"hits"`
	Bytes   uint64    `json:"bytes"`
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
}

// A Record is an entry that is lent: Name and Payload point into the page that it
// came in. A dump's Record is valid until the loop's next iteration. Entry makes a
// copy to keep.
type Record struct {
	ID         uint32
	Name       []byte // without a final NUL
	Flags      uint32
	Value      uint64
	Payload    []byte
	Stats      Stats
	Generation uint64
	Deleted    bool // in a dump with Since: only ID and Generation are known
}

// Entry returns a copy that shares no memory with r.
func (r *Record) Entry() Entry {
	return Entry{
		ID:         r.ID,
		Name:       string(r.Name),
		Flags:      r.Flags,
		Value:      r.Value,
		Payload:    bytes.Clone(r.Payload),
		Stats:      r.Stats,
		Generation: r.Generation,
		Deleted:    r.Deleted,
	}
}

// A Change says what Set changes of the entry with the ID. nil leaves an attribute
// as it is; a Payload that is empty but not nil empties it.
type Change struct {
	ID      uint32
	Name    *string
	Flags   *uint32
	Value   *uint64
	Payload []byte
	Create  bool // make the entry if there is none, which needs a Name
}

// FillOptions says which synthetic entries Fill makes. The seed determines their
// names, flags, values and payloads.
type FillOptions struct {
	Count      uint32 // at least 1
	Seed       uint64
	IDStart    uint32
	IDStride   uint32 // from one id to the next; 0 means 1
	PayloadMin uint32 // bytes
	PayloadMax uint32 // bytes; 0 means PayloadMin
}

// Filled is the result of Fill.
type Filled struct {
	Count      uint32   `json:"count"`
	Generation uint64   `json:"generation"` // of the table with the new entries in it
	Checksum   Checksum `json:"checksum"`   // of the new entries
}

// Flushed is the result of Flush.
type Flushed struct {
	Count      uint64 `json:"count"` // how many entries were deleted
	Generation uint64 `json:"generation"`
}

// Table is the state of the whole table.
type Table struct {
	Count      uint64  `json:"count"`
	Generation uint64  `json:"generation"`       // rises with every change; never 0
	IDMin      *uint32 `json:"id_min,omitempty"` // nil if the table is empty
	IDMax      *uint32 `json:"id_max,omitempty"` // nil if the table is empty
	Bytes      uint64  `json:"bytes"`            // memory that the entries occupy
	// RecordMax is a size that no record of a dump exceeds, in bytes of a
	// netlink message. The largest record is at most a KiB smaller. A receive
	// buffer of this size never truncates a page of plain or direct records.
	RecordMax  uint32 `json:"record_max"`
	EntriesMax uint64 `json:"entries_max"` // the limit of Count

	// DumpsStarted is the sum of finished, abandoned and open ones.
	DumpsStarted     uint64 `json:"dumps_started"`
	DumpsFinished    uint64 `json:"dumps_finished"`    // reached their end, with or without an error
	DumpsAbandoned   uint64 `json:"dumps_abandoned"`   // the socket was closed before the end
	DumpsInterrupted uint64 `json:"dumps_interrupted"` // finished, and the table changed meanwhile
	DumpsOpen        uint64 `json:"dumps_open"`
	Pages            uint64 `json:"pages"`
	Records          uint64 `json:"records"`
	Scanned          uint64 `json:"scanned"`      // entries that dumps looked at to send those records
	DumpsMemory      uint64 `json:"dumps_memory"` // bytes that open dumps hold, besides pages in sockets

	LogFloor      uint64 `json:"log_floor"`  // the smallest DumpOptions.Since
	Tombstones    uint64 `json:"tombstones"` // deleted entries that the log of changes knows
	TombstonesMax uint64 `json:"tombstones_max"`
}
