// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"encoding/binary"
	"fmt"
	"log"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// encode encodes attributes as the kernel would.
func encode(put func(*netlink.AttributeEncoder)) []byte {
	e := netlink.NewAttributeEncoder()
	put(e)
	b, err := e.Encode()
	if err != nil {
		log.Fatal(err)
	}
	return b
}

// The usual loop, with one error to check at its end.
func ExampleAttrs() {
	b := encode(func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.IFLA_MTU, 1500)
		e.String(unix.IFLA_IFNAME, "lo")
		e.Bytes(unix.IFLA_STATS64, make([]byte, 200))
	})
	var mtu uint32
	var name string
	var packets uint64
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case unix.IFLA_MTU:
			mtu = a.Uint32()
		case unix.IFLA_IFNAME:
			name = string(a.Text()) // the bytes are lent
		case unix.IFLA_STATS64:
			// The kernel may have extended the structure since 2010.
			if s := a.Struct(184); s != nil {
				packets = binary.NativeEndian.Uint64(s)
			}
		}
	}
	fmt.Println("mtu", mtu, name, packets, a.Err())
	// Output: mtu 1500 lo 0 <nil>
}

// A number with another size is an error. It is never cut.
func ExampleAttrs_Err() {
	b := encode(func(e *netlink.AttributeEncoder) { e.Uint64(unix.IFLA_MTU, 1500) })
	a := nldump.Parse(b)
	for a.Next() {
		fmt.Println(a.Uint32())
	}
	fmt.Println(a.Err())
	// Output:
	// 0
	// malformed netlink data: attribute 4: value of 8 bytes, want 4
}

// Attributes after a fixed header, whose length is checked first.
func ExampleMessage_Attrs() {
	m := nldump.Message{Data: append(make([]byte, unix.SizeofRtMsg), encode(func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.RTA_DST, []byte{192, 0, 2, 0})
	})...)}
	m.Data[1] = 24 // rtm_dst_len
	a := m.Attrs(unix.SizeofRtMsg)
	if a.Find(unix.RTA_DST) {
		fmt.Println(a.Addr().Prefix(int(m.Data[1])))
	}
	short := nldump.Message{Data: m.Data[:3]}
	a = short.Attrs(unix.SizeofRtMsg)
	fmt.Println(a.Next(), a.Err())
	// Output:
	// 192.0.2.0/24 <nil>
	// false malformed netlink data: message of 3 bytes, want a header of 12
}

// Nests, one of which is an array of nests. It is enough to check the error of
// the outermost cursor.
func ExampleAttrs_Nest() {
	b := encode(func(e *netlink.AttributeEncoder) {
		e.Nested(1, func(e *netlink.AttributeEncoder) error {
			for i, port := range []uint16{80, 443} {
				e.Nested(uint16(i), func(e *netlink.AttributeEncoder) error {
					e.Uint16(7, port)
					return nil
				})
			}
			return nil
		})
	})
	a := nldump.Parse(b)
	for a.Next() {
		fmt.Println("nested:", a.IsNested())
		for i, e := range a.Nest() {
			for typ, n := range e.Nest() {
				if typ == 7 {
					fmt.Println(i, n.Uint16())
				}
			}
		}
	}
	fmt.Println(a.Err())
	// Another cursor finds attributes in any order.
	a = nldump.Parse(b)
	a.Find(1)
	n := a.Nested()
	fmt.Println(n.Find(1), n.Find(0), n.Err())
	// Output:
	// nested: true
	// 0 80
	// 1 443
	// <nil>
	// true true <nil>
}

// C arrays: nothing is copied, and the length is checked.
func ExampleAttrs_Uint32s() {
	b := encode(func(e *netlink.AttributeEncoder) {
		e.Bytes(1, binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 7), 8))
		e.Bytes(2, binary.NativeEndian.AppendUint64(nil, 1<<40))
		e.Bytes(3, []byte{1, 2, 3})
	})
	a := nldump.Parse(b)
	for a.Next() {
		switch a.Type() {
		case 1:
			for i, v := range a.Uint32s() {
				fmt.Println(i, v)
			}
		case 2:
			for i, v := range a.Uint64s() {
				fmt.Println(i, v)
			}
		case 3:
			for range a.Uint16s() {
				fmt.Println("never")
			}
		}
	}
	fmt.Println(a.Err())
	// Output:
	// 0 7
	// 1 8
	// 0 1099511627776
	// malformed netlink data: attribute 3: array of 3 bytes, want a multiple of 2
}

// Numbers of every kind.
func ExampleAttrs_Uint() {
	minus := int16(-2)
	for _, b := range [][]byte{
		encode(func(e *netlink.AttributeEncoder) { e.Uint8(1, 254) }),
		encode(func(e *netlink.AttributeEncoder) { e.Uint16(2, uint16(minus)) }),
		encode(func(e *netlink.AttributeEncoder) { e.Uint32(3, 1<<31) }),
		encode(func(e *netlink.AttributeEncoder) { e.Uint64(4, 1<<63) }),
		encode(func(e *netlink.AttributeEncoder) { e.Bytes(5|unix.NLA_F_NET_BYTEORDER, []byte{0, 80}) }),
		encode(func(e *netlink.AttributeEncoder) { e.Bytes(6, []byte{0, 0, 1, 0}) }),
		encode(func(e *netlink.AttributeEncoder) { e.Bytes(7, []byte{0, 0, 0, 0, 0, 0, 1, 0}) }),
		encode(func(e *netlink.AttributeEncoder) { e.Flag(8, true) }),
	} {
		a := nldump.Parse(b)
		for a.Next() {
			switch a.Type() {
			case 1:
				fmt.Println(a.Uint8(), a.Int8())
			case 2:
				fmt.Println(a.Uint16(), a.Int16())
			case 3: // "uint" and "sint" of YNL are of 4 or 8 bytes
				fmt.Println(a.Uint(), a.Int(), a.Int32())
			case 4:
				fmt.Println(a.Uint(), a.Uint64(), a.Int64())
			case 5:
				fmt.Println(a.Uint16BE(), a.IsBigEndian())
			case 6:
				fmt.Println(a.Uint32BE())
			case 7:
				fmt.Println(a.Uint64BE(), len(a.Bytes()))
			case 8:
				fmt.Println(a.Flag())
			}
		}
		if a.Err() != nil {
			log.Fatal(a.Err())
		}
	}
	// Output:
	// 254 -2
	// 65534 -2
	// 2147483648 -2147483648 -2147483648
	// 9223372036854775808 9223372036854775808 -9223372036854775808
	// 80 true
	// 256
	// 256 8
	// true
}
