// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

const (
	genlHeaderLen = 4 // sizeof(struct genlmsghdr): command, version, 16 bits reserved
	attrHeaderLen = unix.SizeofNlAttr
	headersLen    = unix.SizeofNlMsghdr + genlHeaderLen
)

// nul ends a name.
var nul = []byte{0}

// decodeRecord reads the attributes of an entry into r, which then points into
// b. It refuses wrong lengths and a record without an id, skips attributes that
// it does not know, and takes the last of several alike. What decodeUsual
// accepts it decodes to the same.
func decodeRecord(b []byte, r *Record) error {
	*r = Record{}
	hasID := false
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case attrEntryID:
			r.ID = a.Uint32()
			hasID = true
		case attrEntryName:
			r.Name = bytes.TrimSuffix(a.Bytes(), nul)
		case attrEntryFlags:
			r.Flags = a.Uint32()
		case attrEntryValue:
			r.Value = a.Uint()
		case attrEntryPayload:
			r.Payload = a.Bytes()
		case attrEntryStats:
			if err := decodeStats(a.Nested(), &r.Stats); err != nil {
				return fmt.Errorf("%w: stats: %w", ErrBadReply, err)
			}
		case attrEntryGeneration:
			r.Generation = a.Uint()
		case attrEntryDeleted:
			r.Deleted = a.Flag()
		}
	}
	switch {
	case a.Err() != nil:
		return fmt.Errorf("%w: entry: %w", ErrBadReply, a.Err())
	case !hasID:
		return fmt.Errorf("%w: entry without an id", ErrBadReply)
	case len(r.Name) > NameLenMax:
		return fmt.Errorf("%w: name of %d bytes", ErrBadReply, len(r.Name))
	case len(r.Payload) > PayloadLenMax:
		return fmt.Errorf("%w: payload of %d bytes", ErrBadReply, len(r.Payload))
	}
	return nil
}

func decodeStats(a nldump.Attrs, s *Stats) error {
	for a.Next() {
		switch a.Type() {
		case attrStatsHits:
			s.Hits = a.Uint()
		case attrStatsBytes:
			s.Bytes = a.Uint()
		case attrStatsCreated:
			s.Created = decodeTime(a.Uint())
		case attrStatsUpdated:
			s.Updated = decodeTime(a.Uint())
		}
	}
	return a.Err()
}

// decodeTime turns ns since the epoch into a time. Division first: as an int64
// the largest values would be negative.
func decodeTime(ns uint64) time.Time {
	return time.Unix(int64(ns/1e9), int64(ns%1e9)).UTC()
}

// decodeTable reads the reply of table-get.
func decodeTable(b []byte) (Table, error) {
	var t Table
	u32 := func(a *nldump.Attrs) *uint32 { v := a.Uint32(); return &v }
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case attrTableCount:
			t.Count = a.Uint()
		case attrTableGeneration:
			t.Generation = a.Uint()
		case attrTableIDMin:
			t.IDMin = u32(&a)
		case attrTableIDMax:
			t.IDMax = u32(&a)
		case attrTableBytes:
			t.Bytes = a.Uint()
		case attrTableRecordMax:
			t.RecordMax = a.Uint32()
		case attrTableEntriesMax:
			t.EntriesMax = a.Uint()
		case attrTableDumpsStarted:
			t.DumpsStarted = a.Uint()
		case attrTableDumpsFinished:
			t.DumpsFinished = a.Uint()
		case attrTableDumpsAbandoned:
			t.DumpsAbandoned = a.Uint()
		case attrTableDumpsInterrupted:
			t.DumpsInterrupted = a.Uint()
		case attrTableDumpsOpen:
			t.DumpsOpen = a.Uint()
		case attrTablePages:
			t.Pages = a.Uint()
		case attrTableRecords:
			t.Records = a.Uint()
		case attrTableScanned:
			t.Scanned = a.Uint()
		case attrTableDumpsMemory:
			t.DumpsMemory = a.Uint()
		case attrTableLogFloor:
			t.LogFloor = a.Uint()
		case attrTableTombstones:
			t.Tombstones = a.Uint()
		case attrTableTombstonesMax:
			t.TombstonesMax = a.Uint()
		}
	}
	if a.Err() != nil {
		return Table{}, fmt.Errorf("%w: table: %w", ErrBadReply, a.Err())
	}
	return t, nil
}

// decodeFilled reads the reply of table-fill.
func decodeFilled(b []byte) (Filled, error) {
	var f Filled
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case attrFillCount:
			f.Count = a.Uint32()
		case attrFillGeneration:
			f.Generation = a.Uint()
		case attrFillChecksum:
			f.Checksum = Checksum(a.Uint())
		}
	}
	if a.Err() != nil {
		return Filled{}, fmt.Errorf("%w: fill: %w", ErrBadReply, a.Err())
	}
	return f, nil
}

// putUint encodes YNL's "uint": 4 bytes if the value fits, else 8.
func putUint(e *netlink.AttributeEncoder, typ uint16, v uint64) {
	if v <= math.MaxUint32 {
		e.Uint32(typ, uint32(v))
	} else {
		e.Uint64(typ, v)
	}
}

// putName encodes a name. A NUL inside would cut it short in the kernel; its
// length is the kernel's to judge.
func putName(e *netlink.AttributeEncoder, typ uint16, name string) {
	e.Do(typ, func() ([]byte, error) {
		if strings.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("name %q has a NUL in it: %w", name, unix.EINVAL)
		}
		return append([]byte(name), 0), nil
	})
}
