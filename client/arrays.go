// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"unsafe"
)

// A number of 2, 4 or 8 bytes in the host's byte order, and without alignment:
// in a page an attribute begins at any multiple of 4.
type (
	num16 [2]byte
	num32 [4]byte
	num64 [8]byte
)

func (n *num16) get() int    { return int(binary.NativeEndian.Uint16(n[:])) }
func (n *num32) get() uint32 { return binary.NativeEndian.Uint32(n[:]) }
func (n *num64) get() uint64 { return binary.NativeEndian.Uint64(n[:]) }

// arrayOf is b as an array of numbers, without what is left over at its end. An
// index of it is compared with its length and no more, where one of bytes would
// be multiplied, and cut out of the slice.
func arrayOf[T num16 | num32 | num64](b []byte) []T {
	var number T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/len(number))
}
