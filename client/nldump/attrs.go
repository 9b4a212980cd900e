// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

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
// Numbers are in the byte order of the host, as most families have them; those
// with BE in their name are big endian, which NLA_F_NET_BYTEORDER announces in
// some families. Lengths are strict: a number of another size is an
// ErrMalformed, never cut or extended.
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

// Find goes forward to the next attribute of the type, without its flag bits,
// and returns false if there is none.
func (a *Attrs) Find(typ uint16) bool {
	for a.Next() {
		if a.Type() == typ {
			return true
		}
	}
	return false
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

// Struct returns the first size bytes of the value, lent. The value must have
// as many: kernels later than the caller's headers append to their structures,
// and never cut them.
func (a *Attrs) Struct(size int) []byte {
	if a.err == nil && len(a.value) < size {
		a.fail("attribute %d: structure of %d bytes, want %d", a.Type(), len(a.value), size)
	}
	if a.err != nil {
		return nil
	}
	return a.value[:size:size]
}

// Addr returns the value, which must be of 4 or 16 bytes, as an IP address.
func (a *Attrs) Addr() netip.Addr {
	addr, ok := netip.AddrFromSlice(a.value)
	if !ok && a.err == nil {
		a.fail("attribute %d: address of %d bytes", a.Type(), len(a.value))
	}
	return addr
}

// Nested returns a cursor over the attributes in the value, with errors of its
// own.
func (a *Attrs) Nested() Attrs { return Parse(a.value) }

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
