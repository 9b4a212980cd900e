// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"

	"golang.org/x/sys/unix"
)

// attrHeader is sizeof(struct nlattr): length and type, 16 bits each.
const attrHeader = unix.SizeofNlAttr

// attrTypeMask is NLA_TYPE_MASK: without the bits NLA_F_NESTED and
// NLA_F_NET_BYTEORDER.
const attrTypeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

// Attrs is a cursor over netlink attributes. It allocates nothing, except for an
// error. What it returns points into the bytes that it walks. The first error stops
// it: from then on Next returns false, and the accessors return zero.
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
// Numbers are in the byte order of the host, as in most families. The accessors with
// BE in their name are for big endian, which some families announce by
// NLA_F_NET_BYTEORDER. Sizes are strict: a number of another size is an ErrMalformed.
// It is never cut or extended.
type Attrs struct {
	// Places, not slices: to store a pointer costs more than a number, and Next
	// would store two.
	b       []byte // nil after an error
	at, end int    // of the value
	next    int    // where the next attribute begins; behind b if padding is missing
	typ     uint16
	err     error
}

// Parse returns a cursor before the first attribute of b.
func Parse(b []byte) Attrs { return Attrs{b: b} }

// Next goes to the next attribute. It returns false at the end of the bytes, and
// if they do not go on with an attribute.
func (a *Attrs) Next() bool {
	left := len(a.b) - a.next
	if left < attrHeader {
		return a.stop(left)
	}
	b := a.b[a.next:]
	n := int(binary.NativeEndian.Uint16(b))
	a.typ = binary.NativeEndian.Uint16(b[2:])
	if n < attrHeader || n > left {
		a.fail("attribute %d of %d bytes where %d are left", a.Type(), n, left)
		return false
	}
	a.at, a.end = a.next+attrHeader, a.next+n
	a.next += align(n)
	return true
}

// stop ends the walk where no attribute is left, but so many bytes.
func (a *Attrs) stop(left int) bool {
	if left > 0 {
		a.fail("%d bytes after the last attribute", left)
	}
	a.at, a.end, a.typ = 0, 0, 0
	return false
}

// Find goes to the first attribute of the type, wherever the cursor is, and returns
// false if there is none. The flag bits of the type do not matter. Next goes on from
// there. So attributes are found in any order. If there may be several of one type,
// use a loop over Next.
func (a *Attrs) Find(typ uint16) bool {
	a.next = 0
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
func (a *Attrs) Bytes() []byte { return a.b[a.at:a.end:a.end] }

// Flag checks that the value is empty, as the value of a flag is, and returns true.
// It returns false if the cursor is at no attribute.
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

// Text returns the value up to its first NUL, lent. The NUL may be missing
// (NLA_STRING).
func (a *Attrs) Text() []byte {
	value := a.Bytes()
	if i := bytes.IndexByte(value, 0); i >= 0 {
		return value[:i]
	}
	return value
}

// Struct returns the first size bytes of the value, lent. The value must have at
// least as many: newer kernels append to their structures, and never cut them.
func (a *Attrs) Struct(size int) []byte {
	if a.err == nil && a.len() < size {
		a.fail("attribute %d: structure of %d bytes, want %d", a.Type(), a.len(), size)
	}
	if a.err != nil {
		return nil
	}
	return a.Bytes()[:size:size]
}

// Addr returns the value, which must be of 4 or 16 bytes, as an IP address. To put
// one into a request, use its AsSlice.
func (a *Attrs) Addr() netip.Addr {
	addr, ok := netip.AddrFromSlice(a.Bytes())
	if !ok && a.err == nil {
		a.fail("attribute %d: address of %d bytes", a.Type(), a.len())
	}
	return addr
}

// Via returns the address in a struct rtvia (include/uapi/linux/rtnetlink.h), which
// is the value of RTA_VIA: an address family, AF_INET or AF_INET6, and an address.
func (a *Attrs) Via() netip.Addr {
	b := a.Bytes()
	var addr netip.Addr
	if len(b) >= 2 {
		addr = AddrOf(uint8(min(binary.NativeEndian.Uint16(b), 0xff)), b[2:])
	}
	if a.err == nil && (!addr.IsValid() || len(b) != 2+addr.BitLen()/8) {
		a.fail("attribute %d: no address with its family: % x", a.Type(), b)
		return netip.Addr{}
	}
	return addr
}

// AddrOf returns the IP address at the start of b: 4 bytes for AF_INET, 16 for
// AF_INET6. It is for structures such as those of xfrm and inet_diag, which have room
// for both, and the family elsewhere. For another family, or if b is too short, it
// returns the zero netip.Addr.
func AddrOf(family uint8, b []byte) netip.Addr {
	switch {
	case family == unix.AF_INET && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b))
	case family == unix.AF_INET6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b))
	}
	return netip.Addr{}
}

// Nested returns a cursor over the attributes in the value. It has errors of its own;
// those of Nest are a's.
func (a *Attrs) Nested() Attrs { return Parse(a.Bytes()) }

// Nest yields the attributes in the value: the type of each, and a cursor at it. A
// nest may be a structure, or an array: its members have their indices as types (the
// type "indexed-array" of YNL), or all the same type ("multi-attr" within a nest).
//
//	for typ, n := range a.Nest() {
//		switch typ {
//		case unix.IFLA_INFO_KIND:
//			kind = string(n.Text())
//		case unix.IFLA_INFO_DATA:
//			for typ, n := range n.Nest() {
//				...
//			}
//		}
//	}
//
// To read what is in a member, use its Nest, or its Nested and Find.
//
// An error in the nest ends the loop, and becomes an error of a. So it is enough to
// look at a.Err after the loop, or at the end of a.
func (a *Attrs) Nest() iter.Seq2[uint16, *Attrs] {
	return func(yield func(uint16, *Attrs) bool) {
		e := Parse(a.Bytes())
		var member Attrs // alone, so that Find stays with it
		for e.Next() {
			own := e.b[e.at-attrHeader : e.end : e.end]
			member = Attrs{b: own, at: attrHeader, end: len(own), next: len(own), typ: e.typ}
			more := yield(member.Type(), &member)
			if e.take(member.err); !more {
				break
			}
		}
		a.take(e.err)
	}
}

// Uint16s yields the numbers of a C array, with their index. The value's length
// must be a multiple of 2 bytes; if it is not, nothing is yielded.
func (a *Attrs) Uint16s() iter.Seq2[int, uint16] {
	return numbers(a, 2, binary.NativeEndian.Uint16)
}

// Uint32s yields the numbers of a C array, with their index. The value's length
// must be a multiple of 4 bytes; if it is not, nothing is yielded.
func (a *Attrs) Uint32s() iter.Seq2[int, uint32] {
	return numbers(a, 4, binary.NativeEndian.Uint32)
}

// Uint64s yields the numbers of a C array, with their index. The value's length
// must be a multiple of 8 bytes; if it is not, nothing is yielded. It need not
// be aligned.
func (a *Attrs) Uint64s() iter.Seq2[int, uint64] {
	return numbers(a, 8, binary.NativeEndian.Uint64)
}

func numbers[T any](a *Attrs, size int, get func([]byte) T) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		if a.len()%size != 0 {
			a.fail("attribute %d: array of %d bytes, want a multiple of %d", a.Type(), a.len(), size)
			return
		}
		b := a.Bytes()
		for i := 0; len(b) > 0; i++ {
			if !yield(i, get(b)) {
				return
			}
			b = b[size:]
		}
	}
}

// A Nexthop is a nexthop in RTA_MULTIPATH (struct rtnexthop,
// include/uapi/linux/rtnetlink.h).
type Nexthop struct {
	Flags uint8  // RTNH_F_DEAD and the like
	Hops  uint8  // the nexthop's weight, less one
	Link  uint32 // index of the outgoing link; 0 means none
	Attrs Attrs  // RTA_GATEWAY, RTA_VIA, RTA_ENCAP …
}

// Nexthops yields the nexthops of a route, each with its attributes. An error in one
// of them, or in its attributes, ends the loop and becomes an error of a.
//
//	for h := range a.Nexthops() {
//		if h.Attrs.Find(unix.RTA_GATEWAY) {
//			use(h.Link, h.Attrs.Addr())
//		}
//	}
func (a *Attrs) Nexthops() iter.Seq[*Nexthop] {
	return func(yield func(*Nexthop) bool) {
		for b := a.Bytes(); len(b) > 0; {
			n := 0
			if len(b) >= unix.SizeofRtNexthop {
				n = int(binary.NativeEndian.Uint16(b))
			}
			if n < unix.SizeofRtNexthop || n > len(b) {
				a.fail("attribute %d: nexthop of %d bytes where %d are left", a.Type(), n, len(b))
				return
			}
			h := Nexthop{
				Flags: b[2],
				Hops:  b[3],
				Link:  binary.NativeEndian.Uint32(b[4:]),
				Attrs: Parse(b[unix.SizeofRtNexthop:n:n]),
			}
			more := yield(&h)
			if a.take(h.Attrs.err); !more || a.err != nil {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

func (a *Attrs) len() int { return a.end - a.at }

// width tells whether the value has n bytes.
func (a *Attrs) width(n int) bool { return a.len() == n && a.err == nil || a.failWidth(n) }

func (a *Attrs) failWidth(n int) bool {
	if a.err == nil {
		a.fail("attribute %d: value of %d bytes, want %d", a.Type(), a.len(), n)
	}
	return false
}

func (a *Attrs) fail(format string, args ...any) {
	a.take(fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...))
}

// take stops the cursor at its first error, or the first in its value.
func (a *Attrs) take(err error) {
	if a.err == nil && err != nil {
		a.err = err
		a.b, a.at, a.end, a.next = nil, 0, 0, 0
	}
}

// align rounds up to the 4 bytes of both NLMSG_ALIGN and NLA_ALIGN.
func align(n int) int { return (n + 3) &^ 3 }
