// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// Nest yields the attributes in the value, each with its type and with the cursor
// at it. A nest may be a record of its own, or an array: members whose types are
// their indices (the type "indexed-array" of YNL), or all of one type
// ("multi-attr" within a nest).
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
// What is in a member is read by its Nest again, or by its Nested and Find.
//
// An error in the nest, or of what is read of it, ends the loop and is a's then; so
// one look at a.Err after it, or after all of a, is enough.
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

// A Nexthop is one of those that RTA_MULTIPATH holds (struct rtnexthop,
// include/uapi/linux/rtnetlink.h).
type Nexthop struct {
	Flags uint8  // RTNH_F_DEAD and the like
	Hops  uint8  // the nexthop's weight, less one
	Link  uint32 // index of the outgoing link; 0 means none
	Attrs Attrs  // RTA_GATEWAY, RTA_VIA, RTA_ENCAP …
}

// Nexthops yields the nexthops of a route, each with its attributes. An error in
// one of them, or of its attributes, is a's from then on, and ends the loop.
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
