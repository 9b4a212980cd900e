// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// attrHeader is sizeof(struct nlattr): length and type, 16 bits each.
const attrHeader = unix.SizeofNlAttr

// attrTypeMask is NLA_TYPE_MASK: without the bits NLA_F_NESTED and
// NLA_F_NET_BYTEORDER.
const attrTypeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

// Attrs is a cursor over netlink attributes. It allocates only for an error,
// and what it returns points into the bytes it walks. The first error stops
// it: Next returns false from then on, and the accessors return zero.
//
//	a := nldump.Parse(b)
//	for a.Next() {
//		switch a.Type() {
//		case unix.IFLA_MTU:
//			mtu = a.Uint32()
//		}
//	}
//	if err := a.Err(); err != nil { ... } // ErrMalformed
//
// Numbers are in the byte order of the host, as the kernel has them unless
// NLA_F_NET_BYTEORDER is set.
type Attrs struct {
	rest  []byte
	value []byte
	typ   uint16
	err   error
}

// Parse returns a cursor before the first attribute of b.
func Parse(b []byte) Attrs { return Attrs{rest: b} }

// Next goes to the next attribute. It returns false at the end of the bytes,
// and if what is left is no attribute.
func (a *Attrs) Next() bool {
	a.value = nil
	if a.err != nil || len(a.rest) == 0 {
		return false
	}
	if len(a.rest) < attrHeader {
		a.fail("%d bytes after the last attribute", len(a.rest))
		return false
	}
	n := int(binary.NativeEndian.Uint16(a.rest))
	a.typ = binary.NativeEndian.Uint16(a.rest[2:])
	if n < attrHeader || n > len(a.rest) {
		a.fail("attribute %d of %d bytes where %d are left", a.Type(), n, len(a.rest))
		return false
	}
	a.value = a.rest[attrHeader:n:n]
	a.rest = a.rest[min(align(n), len(a.rest)):]
	return true
}

// Err returns the first error, an ErrMalformed, or nil.
func (a *Attrs) Err() error { return a.err }

// Type returns the attribute's type, without the flag bits.
func (a *Attrs) Type() uint16 { return a.typ & attrTypeMask }

// IsNested tells whether NLA_F_NESTED is set. Older families leave it out.
func (a *Attrs) IsNested() bool { return a.typ&unix.NLA_F_NESTED != 0 }

// IsBigEndian tells whether NLA_F_NET_BYTEORDER is set.
func (a *Attrs) IsBigEndian() bool { return a.typ&unix.NLA_F_NET_BYTEORDER != 0 }

// Bytes returns the value, lent.
func (a *Attrs) Bytes() []byte { return a.value }

// Text returns the value up to its first NUL, lent. The NUL may be missing
// (NLA_STRING).
func (a *Attrs) Text() []byte {
	if i := bytes.IndexByte(a.value, 0); i >= 0 {
		return a.value[:i]
	}
	return a.value
}

// Nested returns a cursor over the attributes in the value.
func (a *Attrs) Nested() Attrs { return Parse(a.value) }

// Flag checks that the value is empty, as that of a flag is, and returns true.
func (a *Attrs) Flag() bool { return a.width(0) }

// Uint8 returns the value, which must be of 1 byte.
func (a *Attrs) Uint8() uint8 {
	if !a.width(1) {
		return 0
	}
	return a.value[0]
}

// Uint16 returns the value, which must be of 2 bytes.
func (a *Attrs) Uint16() uint16 {
	if !a.width(2) {
		return 0
	}
	return binary.NativeEndian.Uint16(a.value)
}

// Uint32 returns the value, which must be of 4 bytes.
func (a *Attrs) Uint32() uint32 {
	if !a.width(4) {
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

// Uint64 returns the value, which must be of 8 bytes.
func (a *Attrs) Uint64() uint64 {
	if !a.width(8) {
		return 0
	}
	return binary.NativeEndian.Uint64(a.value)
}

// Uint returns the value, which must be of 4 or 8 bytes: the type "uint" of
// YNL, nla_get_uint in the kernel.
func (a *Attrs) Uint() uint64 {
	if len(a.value) == 4 {
		return uint64(a.Uint32())
	}
	return a.Uint64()
}

func (a *Attrs) width(n int) bool {
	if a.err != nil {
		return false
	}
	if len(a.value) != n {
		a.fail("attribute %d: value of %d bytes, want %d", a.Type(), len(a.value), n)
		return false
	}
	return true
}

func (a *Attrs) fail(format string, args ...any) {
	a.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	a.value = nil
}

// align rounds up to the 4 bytes of both NLMSG_ALIGN and NLA_ALIGN.
func align(n int) int { return (n + 3) &^ 3 }
