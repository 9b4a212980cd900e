// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// at returns a cursor at an attribute with the value. Another attribute
// follows.
func at(value ...byte) *nldump.Attrs {
	a := nldump.Parse(append(script.Attr(1, value), script.U32(2, 2)...))
	a.Next()
	return &a
}

// accessors are the accessors that check the value's size, with the valid
// sizes.
var accessors = map[string]struct {
	get   func(*nldump.Attrs) any
	sizes []int
}{
	"Flag":     {func(a *nldump.Attrs) any { return a.Flag() }, []int{0}},
	"Uint8":    {func(a *nldump.Attrs) any { return a.Uint8() }, []int{1}},
	"Uint16":   {func(a *nldump.Attrs) any { return a.Uint16() }, []int{2}},
	"Uint32":   {func(a *nldump.Attrs) any { return a.Uint32() }, []int{4}},
	"Uint64":   {func(a *nldump.Attrs) any { return a.Uint64() }, []int{8}},
	"Uint":     {func(a *nldump.Attrs) any { return a.Uint() }, []int{4, 8}},
	"Int8":     {func(a *nldump.Attrs) any { return a.Int8() }, []int{1}},
	"Int16":    {func(a *nldump.Attrs) any { return a.Int16() }, []int{2}},
	"Int32":    {func(a *nldump.Attrs) any { return a.Int32() }, []int{4}},
	"Int64":    {func(a *nldump.Attrs) any { return a.Int64() }, []int{8}},
	"Int":      {func(a *nldump.Attrs) any { return a.Int() }, []int{4, 8}},
	"Uint16BE": {func(a *nldump.Attrs) any { return a.Uint16BE() }, []int{2}},
	"Uint32BE": {func(a *nldump.Attrs) any { return a.Uint32BE() }, []int{4}},
	"Uint64BE": {func(a *nldump.Attrs) any { return a.Uint64BE() }, []int{8}},
	"Addr":     {func(a *nldump.Attrs) any { return a.Addr() }, []int{4, 16}},
	"Struct":   {func(a *nldump.Attrs) any { return len(a.Struct(6)) }, []int{6, 7, 8, 9, 16, 17}},
	"Uint16s":  {func(a *nldump.Attrs) any { return count(a.Uint16s()) }, []int{0, 2, 4, 6, 8, 16}},
	"Uint32s":  {func(a *nldump.Attrs) any { return count(a.Uint32s()) }, []int{0, 4, 8, 16}},
	"Uint64s":  {func(a *nldump.Attrs) any { return count(a.Uint64s()) }, []int{0, 8, 16}},
}

func count[T any](seq func(func(int, T) bool)) (n int) {
	seq(func(int, T) bool { n++; return true })
	return n
}

// An accessor accepts its sizes. With any other size it returns zero and an
// error, and the cursor stops.
func TestAttrSizes(t *testing.T) {
	for name, x := range accessors {
		zero := "0"
		switch name {
		case "Flag":
			zero = "false"
		case "Addr":
			zero = "invalid IP"
		}
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17} {
			a := at(bytes.Repeat([]byte{1}, n)...)
			got := fmt.Sprint(x.get(a))
			if slices.Contains(x.sizes, n) {
				if a.Err() != nil || n > 0 && got == zero || !a.Next() {
					t.Errorf("%s of %d bytes: %v, %v", name, n, got, a.Err())
				}
				continue
			}
			if got != zero || !errors.Is(a.Err(), nldump.ErrMalformed) {
				t.Errorf("%s of %d bytes: %v, %v", name, n, got, a.Err())
			}
			first := a.Err()
			if again := fmt.Sprint(x.get(a)); again != zero || a.Err() != first || a.Next() {
				t.Errorf("%s of %d bytes: goes on after an error: %v, %v", name, n, again, a.Err())
			}
		}
	}
}

func TestAttrNumbers(t *testing.T) {
	native := func(size int, v uint64) []byte {
		b := binary.NativeEndian.AppendUint64(nil, v)
		if hostIsLittle {
			return b[:size]
		}
		return b[8-size:]
	}
	for name, ok := range map[string]bool{
		"Uint16":        at(native(2, 0xfffe)...).Uint16() == 0xfffe,
		"Uint32":        at(native(4, 0xfffffffe)...).Uint32() == 0xfffffffe,
		"Uint64":        at(native(8, 1<<63)...).Uint64() == 1<<63,
		"Uint of 4":     at(native(4, 0xfffffffe)...).Uint() == 0xfffffffe,
		"Uint of 8":     at(native(8, 1<<63)...).Uint() == 1<<63,
		"Int8":          at(0xfe).Int8() == -2,
		"Int16":         at(native(2, 0xfffe)...).Int16() == -2,
		"Int32":         at(native(4, 0xfffffffe)...).Int32() == -2,
		"Int64":         at(native(8, ^uint64(1))...).Int64() == -2,
		"Int of 4":      at(native(4, 0xfffffffe)...).Int() == -2,
		"Int of 8":      at(native(8, ^uint64(1))...).Int() == -2,
		"Uint16BE":      at(1, 2).Uint16BE() == 0x0102,
		"Uint32BE":      at(1, 2, 3, 4).Uint32BE() == 0x01020304,
		"Uint64BE":      at(1, 2, 3, 4, 5, 6, 7, 8).Uint64BE() == 0x0102030405060708,
		"Addr of 4":     at(10, 0, 0, 1).Addr().String() == "10.0.0.1",
		"Addr of 16":    at(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1).Addr().String() == "fe80::1",
		"Struct":        string(at('a', 'b', 'c').Struct(2)) == "ab",
		"Struct's end":  cap(at('a', 'b', 'c').Struct(2)) == 2,
		"Struct, whole": string(at('a', 'b', 'c').Struct(3)) == "abc",
	} {
		if !ok {
			t.Error(name)
		}
	}
}

func TestAttrArrays(t *testing.T) {
	a := at(bytes.Join([][]byte{binary.NativeEndian.AppendUint32(nil, 7), binary.NativeEndian.AppendUint32(nil, 0xffffffff), {0, 0, 0, 0}}, nil)...)
	var got []uint32
	for i, v := range a.Uint32s() {
		if i != len(got) {
			t.Errorf("index %d of %d", i, len(got))
		}
		got = append(got, v)
	}
	if !slices.Equal(got, []uint32{7, 0xffffffff, 0}) || a.Err() != nil {
		t.Errorf("got %v, %v", got, a.Err())
	}
	for range a.Uint32s() { // the loop may be left
		break
	}
	for i, v := range at(binary.NativeEndian.AppendUint16(nil, 0x1234)...).Uint16s() {
		if i != 0 || v != 0x1234 {
			t.Errorf("%d: %#x", i, v)
		}
	}
	for i, v := range at(binary.NativeEndian.AppendUint64(nil, 1<<63)...).Uint64s() {
		if i != 0 || v != 1<<63 {
			t.Errorf("%d: %#x", i, v)
		}
	}
}

func TestNestedArray(t *testing.T) {
	a := at(bytes.Join([][]byte{script.U32(0, 5), script.U32(1, 6), script.U32(7, 8)}, nil)...)
	sum := map[uint16]uint32{}
	for i, e := range a.Nest() {
		sum[i] += e.Uint32()
	}
	if fmt.Sprint(sum) != "map[0:5 1:6 7:8]" || a.Err() != nil || !a.Next() {
		t.Errorf("got %v, %v", sum, a.Err())
	}
	// Nests in the array.
	a = at(script.Attr(0, script.U32(3, 9))...)
	for _, e := range a.Nest() {
		if n := e.Nested(); !n.Find(3) || n.Uint32() != 9 {
			t.Errorf("no number in the nest: %v", n.Err())
		}
	}
	// The loop is left, and the cursor goes on after the array.
	a = at(append(script.U32(0, 5), script.U32(1, 6)...)...)
	for range a.Nest() {
		break
	}
	if !a.Next() || a.Uint32() != 2 {
		t.Error("the cursor is not at the attribute after the array")
	}
	// Errors: in the nest, in an element (also the last one), and in a nest
	// within the array.
	for name, value := range map[string][]byte{
		"inner":   append(script.Attr(0, script.Attr(3, []byte{1})), script.U32(1, 6)...),
		"nest":    append(script.U32(0, 5), 1, 2, 3),
		"element": script.Attr(0, []byte{1, 2, 3}),
		"first":   append(script.Attr(0, []byte{1, 2, 3}), script.U32(1, 6)...),
	} {
		a, n := at(value...), 0
		for _, e := range a.Nest() {
			if name == "inner" {
				for _, i := range e.Nest() {
					i.Uint32()
				}
			} else {
				e.Uint32()
			}
			n++
		}
		if !errors.Is(a.Err(), nldump.ErrMalformed) || n != 1 || a.Next() {
			t.Errorf("%s: %d elements, %v", name, n, a.Err())
		}
		for range a.Nest() {
			t.Errorf("%s: an array after an error", name)
		}
	}
}

// An error in a nest is also the error of all cursors around it.
func TestNestErrorReachesOut(t *testing.T) {
	a := at(script.Attr(1, script.Attr(2, []byte{1, 2, 3}), script.U32(3, 3))...)
	n := 0
	for _, outer := range a.Nest() {
		for _, inner := range outer.Nest() {
			inner.Uint32()
			n++
		}
		n += 10
		if outer.Err() == nil || outer.Next() {
			t.Errorf("the nest around it: %v", outer.Err())
		}
	}
	if n != 11 || !errors.Is(a.Err(), nldump.ErrMalformed) || a.Next() {
		t.Errorf("%d, %v", n, a.Err())
	}
	// The first error stays.
	a = at(1, 2, 3)
	a.Uint32()
	first := a.Err()
	for range a.Nest() {
		t.Error("a nest after an error")
	}
	if a.Uint64(); a.Err() != first {
		t.Errorf("got %v, then %v", first, a.Err())
	}
}

func TestNexthops(t *testing.T) {
	hop := func(n int, link byte, attrs ...[]byte) []byte {
		b := append([]byte{byte(n), 0, 4, 9, link, 0, 0, 0}, bytes.Join(attrs, nil)...)
		return b
	}
	gateway := script.Attr(unix.RTA_GATEWAY, []byte{10, 0, 0, 1})
	via := script.Attr(unix.RTA_VIA, append([]byte{unix.AF_INET6, 0}, make([]byte, 16)...))
	a := at(bytes.Join([][]byte{hop(8, 3), hop(16, 4, gateway), hop(8+len(via), 5, via)}, nil)...)
	var got []string
	for h := range a.Nexthops() {
		addr := netip.Addr{}
		if h.Attrs.Find(unix.RTA_GATEWAY) {
			addr = h.Attrs.Addr()
		} else if h.Attrs.Find(unix.RTA_VIA) {
			addr = h.Attrs.Via()
		}
		got = append(got, fmt.Sprint(h.Link, h.Flags, h.Hops, addr))
	}
	if want := []string{"3 4 9 invalid IP", "4 4 9 10.0.0.1", "5 4 9 ::"}; !slices.Equal(got, want) || a.Err() != nil || !a.Next() {
		t.Errorf("got %q, %v; want %q", got, a.Err(), want)
	}
	for range a.Nexthops() {
		break
	}
	for name, b := range map[string][]byte{
		"header":           hop(8, 3)[:7],
		"shorter":          hop(7, 3),
		"longer":           hop(12, 3),
		"second":           append(hop(8, 3), 1),
		"attribute":        hop(11, 3, []byte{1, 2, 3, 0}),
		"no address":       hop(16, 3, script.Attr(unix.RTA_GATEWAY, []byte{1, 2, 3})),
		"no address after": append(hop(16, 3, script.Attr(unix.RTA_GATEWAY, []byte{1, 2, 3})), hop(8, 3)...),
	} {
		a, n := at(b...), 0
		for h := range a.Nexthops() {
			n++
			if h.Attrs.Find(unix.RTA_GATEWAY) {
				h.Attrs.Addr()
			}
		}
		if !errors.Is(a.Err(), nldump.ErrMalformed) || n > 1 || a.Next() {
			t.Errorf("%s: %d nexthops, %v", name, n, a.Err())
		}
		if text := fmt.Sprint(a.Err()); name == "header" && !strings.HasSuffix(text, "nexthop of 0 bytes where 7 are left") {
			t.Error(text)
		}
	}
}

func TestAddresses(t *testing.T) {
	v6 := []byte{0x20, 1, 0xd, 0xb8, 15: 1}
	for _, tt := range []struct {
		family uint8
		b      []byte
		want   string
	}{
		{unix.AF_INET, []byte{192, 0, 2, 1}, "192.0.2.1"},
		{unix.AF_INET, append([]byte{192, 0, 2, 1}, make([]byte, 12)...), "192.0.2.1"},
		{unix.AF_INET6, v6, "2001:db8::1"},
		{unix.AF_INET, []byte{192, 0, 2}, "invalid IP"},
		{unix.AF_INET6, v6[:15], "invalid IP"},
		{unix.AF_MPLS, v6, "invalid IP"},
	} {
		if got := nldump.AddrOf(tt.family, tt.b); got.String() != tt.want {
			t.Errorf("family %d, % x: %v, want %s", tt.family, tt.b, got, tt.want)
		}
	}
	for _, b := range [][]byte{nil, {2}, {2, 0}, {2, 0, 10, 0, 0}, {2, 0, 10, 0, 0, 1, 0}, {2, 1, 10, 0, 0, 1}, append([]byte{10, 0}, v6[:15]...)} {
		a := at(b...)
		if addr := a.Via(); addr.IsValid() || !errors.Is(a.Err(), nldump.ErrMalformed) {
			t.Errorf("% x: %v, %v", b, addr, a.Err())
		}
	}
}

// TestAttrsNoAlloc reads values of every kind.
func TestAttrsNoAlloc(t *testing.T) {
	if nldump.RaceEnabled {
		t.Skip("with the race detector the compiler inlines less, and iterators allocate")
	}
	hop := append([]byte{16, 0, 0, 1, 5, 0, 0, 0}, script.Attr(unix.RTA_GATEWAY, []byte{10, 0, 0, 1})...)
	record := bytes.Join([][]byte{
		script.U32(1, 7), script.U64(2, 8), script.Attr(3, []byte{10, 0, 0, 1}), script.Attr(4, make([]byte, 4000)),
		script.Attr(5, script.U32(0, 1), script.U32(1, 2), script.U32(2, 3)), script.Text(6, "text"),
		script.Attr(7, hop, hop), script.Attr(8, script.Attr(1, script.U32(2, 3))), script.Attr(9, []byte{unix.AF_INET, 0, 10, 0, 0, 1}),
	}, nil)
	var sum uint64
	n := testing.AllocsPerRun(100, func() {
		a := nldump.Parse(record)
		for a.Next() {
			switch a.Type() {
			case 1:
				sum += uint64(a.Uint32BE()) + uint64(a.Int32())
			case 2:
				sum += a.Uint()
			case 3:
				sum += uint64(a.Addr().BitLen())
			case 4:
				for _, v := range a.Uint32s() {
					sum += uint64(v)
				}
				for _, v := range a.Uint64s() {
					sum += v
				}
				sum += uint64(len(a.Struct(64)))
			case 5:
				for i, e := range a.Nest() {
					sum += uint64(i) + uint64(e.Uint32())
				}
			case 6:
				sum += uint64(len(a.Text()))
			case 7:
				for h := range a.Nexthops() {
					if h.Attrs.Find(unix.RTA_GATEWAY) {
						sum += uint64(h.Attrs.Addr().BitLen()) + uint64(h.Link)
					}
				}
			case 8:
				for _, outer := range a.Nest() {
					for typ, inner := range outer.Nest() {
						sum += inner.Uint() + uint64(typ)
					}
				}
				outer := a.Nested()
				if outer.Find(1) {
					inner := outer.Nested()
					for inner.Next() {
						sum += inner.Uint()
					}
				}
			case 9:
				sum += uint64(a.Via().BitLen())
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	})
	if n != 0 || sum == 0 {
		t.Errorf("%v allocations a record", n)
	}
}
