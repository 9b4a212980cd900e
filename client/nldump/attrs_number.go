// SPDX-License-Identifier: BSD-3-Clause

package nldump

import "encoding/binary"

// Flag checks that the value is empty, as that of a flag is, and returns true. At
// no attribute it is false.
func (a *Attrs) Flag() bool { return a.at > 0 && a.width(0) }

// Uint8 returns the value, which must be of 1 byte.
func (a *Attrs) Uint8() uint8 {
	if !a.width(1) {
		return 0
	}
	return a.b[a.at]
}

// Uint16 returns the value, which must be of 2 bytes.
func (a *Attrs) Uint16() uint16 {
	if !a.width(2) {
		return 0
	}
	return binary.NativeEndian.Uint16(a.b[a.at:])
}

// Uint32 returns the value, which must be of 4 bytes.
func (a *Attrs) Uint32() uint32 {
	if !a.width(4) {
		return 0
	}
	return binary.NativeEndian.Uint32(a.b[a.at:])
}

// Uint64 returns the value, which must be of 8 bytes. It need not be aligned.
func (a *Attrs) Uint64() uint64 {
	if !a.width(8) {
		return 0
	}
	return binary.NativeEndian.Uint64(a.b[a.at:])
}

// Uint returns the value, which must be of 4 or 8 bytes: the type "uint" of
// YNL, nla_get_uint in the kernel.
func (a *Attrs) Uint() uint64 {
	if a.len() == 4 {
		return uint64(a.Uint32())
	}
	return a.Uint64()
}

// Int8 is Uint8 with a sign.
func (a *Attrs) Int8() int8 { return int8(a.Uint8()) }

// Int16 is Uint16 with a sign.
func (a *Attrs) Int16() int16 { return int16(a.Uint16()) }

// Int32 is Uint32 with a sign.
func (a *Attrs) Int32() int32 { return int32(a.Uint32()) }

// Int64 is Uint64 with a sign.
func (a *Attrs) Int64() int64 { return int64(a.Uint64()) }

// Int is Uint with a sign: the type "sint" of YNL, nla_get_sint in the kernel.
func (a *Attrs) Int() int64 {
	if a.len() == 4 {
		return int64(a.Int32())
	}
	return a.Int64()
}

// Uint16BE returns the value, which must be of 2 bytes, big endian.
func (a *Attrs) Uint16BE() uint16 {
	if !a.width(2) {
		return 0
	}
	return binary.BigEndian.Uint16(a.b[a.at:])
}

// Uint32BE returns the value, which must be of 4 bytes, big endian.
func (a *Attrs) Uint32BE() uint32 {
	if !a.width(4) {
		return 0
	}
	return binary.BigEndian.Uint32(a.b[a.at:])
}

// Uint64BE returns the value, which must be of 8 bytes, big endian.
func (a *Attrs) Uint64BE() uint64 {
	if !a.width(8) {
		return 0
	}
	return binary.BigEndian.Uint64(a.b[a.at:])
}
