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

	"bulkdump/client/internal/uapi"
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
		case uapi.AttrEntryID:
			r.ID = a.Uint32()
			hasID = true
		case uapi.AttrEntryName:
			r.Name = bytes.TrimSuffix(a.Bytes(), nul)
		case uapi.AttrEntryFlags:
			r.Flags = a.Uint32()
		case uapi.AttrEntryValue:
			r.Value = a.Uint()
		case uapi.AttrEntryPayload:
			r.Payload = a.Bytes()
		case uapi.AttrEntryStats:
			if err := decodeStats(a.Nested(), &r.Stats); err != nil {
				return fmt.Errorf("%w: stats: %w", ErrBadReply, err)
			}
		case uapi.AttrEntryGeneration:
			r.Generation = a.Uint()
		case uapi.AttrEntryDeleted:
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
		case uapi.AttrStatsHits:
			s.Hits = a.Uint()
		case uapi.AttrStatsBytes:
			s.Bytes = a.Uint()
		case uapi.AttrStatsCreated:
			s.Created = decodeTime(a.Uint())
		case uapi.AttrStatsUpdated:
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
		case uapi.AttrTableCount:
			t.Count = a.Uint()
		case uapi.AttrTableGeneration:
			t.Generation = a.Uint()
		case uapi.AttrTableIDMin:
			t.IDMin = u32(&a)
		case uapi.AttrTableIDMax:
			t.IDMax = u32(&a)
		case uapi.AttrTableBytes:
			t.Bytes = a.Uint()
		case uapi.AttrTableRecordMax:
			t.RecordMax = a.Uint32()
		case uapi.AttrTableEntriesMax:
			t.EntriesMax = a.Uint()
		case uapi.AttrTableDumpsStarted:
			t.DumpsStarted = a.Uint()
		case uapi.AttrTableDumpsFinished:
			t.DumpsFinished = a.Uint()
		case uapi.AttrTableDumpsAbandoned:
			t.DumpsAbandoned = a.Uint()
		case uapi.AttrTableDumpsInterrupted:
			t.DumpsInterrupted = a.Uint()
		case uapi.AttrTableDumpsOpen:
			t.DumpsOpen = a.Uint()
		case uapi.AttrTablePages:
			t.Pages = a.Uint()
		case uapi.AttrTableRecords:
			t.Records = a.Uint()
		case uapi.AttrTableScanned:
			t.Scanned = a.Uint()
		case uapi.AttrTableDumpsMemory:
			t.DumpsMemory = a.Uint()
		case uapi.AttrTableLogFloor:
			t.LogFloor = a.Uint()
		case uapi.AttrTableTombstones:
			t.Tombstones = a.Uint()
		case uapi.AttrTableTombstonesMax:
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
		case uapi.AttrFillCount:
			f.Count = a.Uint32()
		case uapi.AttrFillGeneration:
			f.Generation = a.Uint()
		case uapi.AttrFillChecksum:
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
