// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// decodeUsual is decodeRecord for a record as this kernel module writes it: one
// attribute of each kind at most, in the order of their numbers, none that is
// new. It is a quarter of the work, because each attribute is looked for where
// it must be. False says that the record is another, and nothing of r.
func decodeUsual(b []byte, r *Record) bool {
	if !isAttr(b, 8, attrEntryID) {
		return false
	}
	*r = Record{ID: binary.NativeEndian.Uint32(b[4:])}
	b = b[8:]
	if n := attrLen(b, attrEntryName); n > 0 {
		if n == attrHeaderLen || n > attrHeaderLen+NameLenMax+1 || b[n-1] != 0 {
			return false
		}
		r.Name = b[attrHeaderLen : n-1 : n-1]
		b = b[min(alignAttr(n), len(b)):]
	}
	if isAttr(b, 8, attrEntryFlags) {
		r.Flags = binary.NativeEndian.Uint32(b[4:])
		b = b[8:]
	}
	r.Value, b = cutUint(b, attrEntryValue)
	if n := attrLen(b, attrEntryPayload); n > 0 {
		if n > attrHeaderLen+PayloadLenMax {
			return false
		}
		r.Payload = b[attrHeaderLen:n:n]
		b = b[min(alignAttr(n), len(b)):]
	}
	if n := attrLen(b, attrEntryStats|unix.NLA_F_NESTED); n > 0 {
		if decodeStats(nldump.Parse(b[attrHeaderLen:n]), &r.Stats) != nil {
			return false
		}
		b = b[min(alignAttr(n), len(b)):]
	}
	r.Generation, b = cutUint(b, attrEntryGeneration)
	return len(b) == 0
}

// isAttr tells whether b begins with an attribute of the type and of n bytes,
// its header and itself.
func isAttr(b []byte, n int, typ uint16) bool {
	return len(b) >= n && int(binary.NativeEndian.Uint16(b)) == n && binary.NativeEndian.Uint16(b[2:]) == typ
}

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

// cutUint cuts off a number of 4 or 8 bytes, if b begins with one of the type.
func cutUint(b []byte, typ uint16) (v uint64, rest []byte) {
	if isAttr(b, 12, typ) {
		return binary.NativeEndian.Uint64(b[4:]), b[12:]
	}
	if isAttr(b, 8, typ) {
		return uint64(binary.NativeEndian.Uint32(b[4:])), b[8:]
	}
	return 0, b
}

func alignAttr(n int) int { return (n + 3) &^ 3 }
