// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Attr encodes an attribute: its value is all the bytes, one after the other.
func Attr(typ uint16, value ...[]byte) []byte {
	v := slices.Concat(value...)
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	return append(b, make([]byte, -len(b)&3)...)
}

// Nest encodes an attribute with attributes in it.
func Nest(typ uint16, attrs ...[]byte) []byte { return Attr(typ|unix.NLA_F_NESTED, attrs...) }

func u8(n uint8) []byte    { return []byte{n} }
func u16(n uint16) []byte  { return binary.NativeEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte  { return binary.NativeEndian.AppendUint32(nil, n) }
func be16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func text(s string) []byte { return append([]byte(s), 0) }
func zeros(n int) []byte   { return make([]byte, n) }
func align(n int) int      { return (n + 3) &^ 3 }
