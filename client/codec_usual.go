// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/uapi"
)

// decodeUsual is decodeRecord for a record as this kernel module writes it: one
// attribute of each kind at most, in the order of their numbers, none that is
// new. It is a fifth of the work, because each attribute is looked for where
// it must be, and its header is one number to compare. False says that the
// record is another, and nothing of r. Unlike there, b begins with the headers:
// to cut them off costs as much as to find an attribute.
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
	// Next come flags, of 8 bytes, value, of 12 most often, and at last generation,
	// of 8 until the table changed 2^32 times. Each cut of a slice is some
	// instructions, so there is but one; fewer, if something is known to be left,
	// and the capacity is the length.
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

// decodeUsualEnd decodes what is behind the name, where that is more than flags,
// a value of 8 bytes and a generation of 4, or less.
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

// cutUint cuts off a number of 4 or 8 bytes, if b begins with one of the type.
func cutUint(b []byte, typ uint32) (v uint64, rest []byte, ok bool) {
	switch {
	case len(b) >= 12 && headAt(b) == head(12, typ):
		return binary.NativeEndian.Uint64(b[4:]), b[12:], true
	case len(b) >= 8 && headAt(b) == head(8, typ):
		return uint64(binary.NativeEndian.Uint32(b[4:])), b[8:], true
	}
	return 0, nil, false
}

// head is the header of an attribute of n bytes, itself among them, as headAt
// reads it: struct nlattr, whose two halves are numbers of the host.
func head(n, typ uint32) uint32 {
	if cpu.IsBigEndian {
		return n<<16 | typ
	}
	return n | typ<<16
}

// headAt is the header that b begins with.
func headAt(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

// attrLen returns the length of the attribute that b begins with; 0 if it is of
// another type or there is none.
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
