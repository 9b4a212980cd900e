// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/cpu"
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

// A decoder makes records out of a dump's pages.
type decoder struct {
	family  uint16
	yield   yield
	record  Record              // what yield gets
	pages   func(*Columns) bool // in place of yield: gets whole pages
	columns Columns             // what pages gets
	records uint64              // how many were handed over
}

// page hands over the records of a page, and tells whether more are wanted.
func (d *decoder) page(p nldump.Page) (more bool, err error) {
	ms := p.Messages() // a variable of the for statement would be copied each time
	for len(ms) > 0 {
		if ms.Type() != d.family {
			return false, errForeign
		}
		if d.pages == nil && decodeUsual(ms.Bytes(), &d.record) {
			d.records++
			if !d.yield(&d.record, nil) {
				return false, nil
			}
		} else if more, err := d.decodeUnusual(ms.Data()); err != nil || !more {
			return false, err
		}
		ms = ms.Next()
	}
	return true, nil
}

var errForeign = fmt.Errorf("%s: %w: record of another family or command", opEntryGet.name, ErrBadReply)

// decodeUnusual hands over a page of columns, or a record that decodeUsual left.
func (d *decoder) decodeUnusual(b []byte) (more bool, err error) {
	if len(b) < genlHeaderLen || b[0] != uapi.CmdEntryGet {
		return false, errForeign
	}
	b = b[genlHeaderLen:]
	if a := nldump.Parse(b); a.Next() && a.Type() == uapi.AttrEntryColumns {
		more, err = d.decodeColumns(a.Nested())
	} else if d.pages != nil {
		err = fmt.Errorf("%w: a record that is not in columns", ErrBadReply)
	} else if err = decodeRecord(b, &d.record); err == nil {
		d.records++
		more = d.yield(&d.record, nil)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", opEntryGet.name, err)
	}
	return more, nil
}

// decodeRecord reads the attributes of an entry into r, which then points into b.
// It refuses wrong lengths and a record without an id. It skips attributes that
// it does not know, and takes the last of several that are alike. If decodeUsual
// accepts a record, both decode it to the same.
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

// decodeTime turns ns since the epoch into a time. It divides first: the largest
// values would be negative as an int64.
func decodeTime(ns uint64) time.Time {
	return time.Unix(int64(ns/1e9), int64(ns%1e9)).UTC()
}

// decodeTable reads the reply of table-get.
func decodeTable(b []byte) (Table, error) {
	var t Table
	numbers := map[uint16]*uint64{
		uapi.AttrTableCount:            &t.Count,
		uapi.AttrTableGeneration:       &t.Generation,
		uapi.AttrTableBytes:            &t.Bytes,
		uapi.AttrTableEntriesMax:       &t.EntriesMax,
		uapi.AttrTableDumpsStarted:     &t.DumpsStarted,
		uapi.AttrTableDumpsFinished:    &t.DumpsFinished,
		uapi.AttrTableDumpsAbandoned:   &t.DumpsAbandoned,
		uapi.AttrTableDumpsInterrupted: &t.DumpsInterrupted,
		uapi.AttrTableDumpsOpen:        &t.DumpsOpen,
		uapi.AttrTablePages:            &t.Pages,
		uapi.AttrTableRecords:          &t.Records,
		uapi.AttrTableScanned:          &t.Scanned,
		uapi.AttrTableDumpsMemory:      &t.DumpsMemory,
		uapi.AttrTableLogFloor:         &t.LogFloor,
		uapi.AttrTableTombstones:       &t.Tombstones,
		uapi.AttrTableTombstonesMax:    &t.TombstonesMax,
	}
	a := nldump.Parse(b)
	for a.Next() {
		switch typ := a.Type(); typ {
		case uapi.AttrTableIDMin:
			t.IDMin = new(a.Uint32())
		case uapi.AttrTableIDMax:
			t.IDMax = new(a.Uint32())
		case uapi.AttrTableRecordMax:
			t.RecordMax = a.Uint32()
		default:
			if number := numbers[typ]; number != nil {
				*number = a.Uint()
			}
		}
	}
	if a.Err() != nil {
		return Table{}, fmt.Errorf("%w: table: %w", ErrBadReply, a.Err())
	}
	return t, nil
}

// A fill is what the family says of a fill: in the reply of table-fill all but
// the ids, in an event all but the checksum.
type fill struct {
	Filled
	idStart, idStride uint32
}

func decodeFill(b []byte) (fill, error) {
	var f fill
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case uapi.AttrFillCount:
			f.Count = a.Uint32()
		case uapi.AttrFillGeneration:
			f.Generation = a.Uint()
		case uapi.AttrFillChecksum:
			f.Checksum = Checksum(a.Uint())
		case uapi.AttrFillIDStart:
			f.idStart = a.Uint32()
		case uapi.AttrFillIDStride:
			f.idStride = a.Uint32()
		}
	}
	if a.Err() != nil {
		return fill{}, fmt.Errorf("%w: fill: %w", ErrBadReply, a.Err())
	}
	return f, nil
}

// decodeUsual is decodeRecord for a record as this kernel module writes it: at
// most one attribute of each kind, in the order of their numbers, and none that
// is new. It is a fifth of the work, because it looks for each attribute only
// where it must be, and compares its header as one number. If it returns false,
// the record is not of that kind, and r is undefined. Here b begins with the
// headers: cutting them off costs as much as finding an attribute.
func decodeUsual(b []byte, r *Record) bool {
	const id, name = headersLen, headersLen + 8 // where these attributes begin
	if len(b) < name || b[unix.SizeofNlMsghdr] != uapi.CmdEntryGet || headAt(b[id:]) != head(8, uapi.AttrEntryID) {
		return false
	}
	*r = Record{}
	r.ID = binary.NativeEndian.Uint32(b[id+attrHeaderLen:])
	end := name
	if len(b) >= name+attrHeaderLen && binary.NativeEndian.Uint16(b[name+2:]) == uapi.AttrEntryName {
		n := int(binary.NativeEndian.Uint16(b[name:]))
		nul := name + n - 1
		if n <= attrHeaderLen+1 || n > attrHeaderLen+NameLenMax+1 || nul >= len(b) || b[nul] != 0 {
			return false
		}
		r.Name = b[name+attrHeaderLen : nul : nul]
		end += alignAttr(n)
	}
	// Next come flags (8 bytes), value (mostly 12) and, last, generation (8 until
	// the table has changed 2^32 times). Each cut of a slice costs some
	// instructions, so there is only one. It costs fewer if something is known to
	// be left and the capacity is the length.
	if len(b)-end < 20 {
		return end <= len(b) && decodeUsualEnd(b[end:], r)
	}
	b = b[end:len(b):len(b)]
	if headAt(b) == head(8, uapi.AttrEntryFlags) && headAt(b[8:]) == head(12, uapi.AttrEntryValue) {
		r.Flags = binary.NativeEndian.Uint32(b[4:])
		r.Value = binary.NativeEndian.Uint64(b[12:])
		if len(b) == 28 && headAt(b[20:]) == head(8, uapi.AttrEntryGeneration) {
			r.Generation = uint64(binary.NativeEndian.Uint32(b[24:]))
			return true
		}
		b = b[20:]
	}
	return decodeUsualEnd(b, r)
}

// decodeUsualEnd decodes what follows the name, if that is not exactly flags, a
// value of 8 bytes and a generation of 4.
func decodeUsualEnd(b []byte, r *Record) bool {
	if len(b) >= 8 && headAt(b) == head(8, uapi.AttrEntryFlags) {
		r.Flags = binary.NativeEndian.Uint32(b[4:])
		b = b[8:]
	}
	if value, rest, ok := cutUint(b, uapi.AttrEntryValue); ok {
		r.Value, b = value, rest
	}
	if n := attrLen(b, uapi.AttrEntryPayload); n > 0 {
		if n > attrHeaderLen+PayloadLenMax {
			return false
		}
		r.Payload = b[attrHeaderLen:n:n]
		b = b[min(alignAttr(n), len(b)):]
	}
	if n := attrLen(b, uapi.AttrEntryStats|unix.NLA_F_NESTED); n > 0 {
		if !decodeUsualStats(b[attrHeaderLen:n], &r.Stats) {
			return false
		}
		b = b[n:] // numbers are padded
	}
	if generation, rest, ok := cutUint(b, uapi.AttrEntryGeneration); ok {
		r.Generation, b = generation, rest
	}
	return len(b) == 0
}

// decodeUsualStats does for decodeStats what decodeUsual does for decodeRecord.
func decodeUsualStats(b []byte, s *Stats) bool {
	if hits, rest, ok := cutUint(b, uapi.AttrStatsHits); ok {
		s.Hits, b = hits, rest
	}
	if bytes, rest, ok := cutUint(b, uapi.AttrStatsBytes); ok {
		s.Bytes, b = bytes, rest
	}
	if created, rest, ok := cutUint(b, uapi.AttrStatsCreated); ok {
		s.Created, b = decodeTime(created), rest
	}
	if updated, rest, ok := cutUint(b, uapi.AttrStatsUpdated); ok {
		s.Updated, b = decodeTime(updated), rest
	}
	return len(b) == 0
}

// cutUint cuts off a number of 4 or 8 bytes if b begins with one of the type.
func cutUint(b []byte, typ uint32) (v uint64, rest []byte, ok bool) {
	switch {
	case len(b) >= 12 && headAt(b) == head(12, typ):
		return binary.NativeEndian.Uint64(b[4:]), b[12:], true
	case len(b) >= 8 && headAt(b) == head(8, typ):
		return uint64(binary.NativeEndian.Uint32(b[4:])), b[8:], true
	}
	return 0, nil, false
}

// head is the header of an attribute of n bytes, header included, as headAt reads
// it: a struct nlattr, whose two halves are in the host's byte order.
func head(n, typ uint32) uint32 {
	if cpu.IsBigEndian {
		return n<<16 | typ
	}
	return n | typ<<16
}

// headAt is the header that b begins with.
func headAt(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

// attrLen returns the length of the attribute that b begins with, or 0 if there is
// none or it is of another type.
func attrLen(b []byte, typ uint16) int {
	if len(b) < attrHeaderLen || binary.NativeEndian.Uint16(b[2:]) != typ {
		return 0
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < attrHeaderLen || n > len(b) {
		return 0
	}
	return n
}

func alignAttr(n int) int { return (n + 3) &^ 3 }
