// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// hostIsLittle: the literals below are little endian.
var hostIsLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func TestAttrs(t *testing.T) {
	if !hostIsLittle {
		t.Skip("the bytes are those of a little endian host")
	}
	a := nldump.Parse([]byte{
		5, 0, 1, 0, 0xab, 0, 0, 0, // 1: a byte, padded
		6, 0, 2, 0x40, 0x34, 0x12, 0, 0, // 2, NLA_F_NET_BYTEORDER: 16 bits
		8, 0, 3, 0, 0x78, 0x56, 0x34, 0x12, // 3: 32 bits
		12, 0, 4, 0, 8, 7, 6, 5, 4, 3, 2, 1, // 4: 64 bits
		4, 0, 5, 0, // 5: a flag
		12, 0, 6, 0x80, 8, 0, 1, 0, 9, 0, 0, 0, // 6, NLA_F_NESTED: {1: 9}
		7, 0, 7, 0, 'a', 'b', 'c', 0, // 7: a string without NUL, padded
		8, 0, 8, 0, 'a', 'b', 0, 'x', // 8: bytes after the NUL
		5, 0, 9, 0, 1, // 9: the last one, not padded
	})
	next := func() {
		t.Helper()
		if !a.Next() {
			t.Fatalf("the end after %d: %v", a.Type(), a.Err())
		}
	}
	check := func(ok bool) {
		t.Helper()
		if !ok || a.Err() != nil {
			t.Errorf("attribute %d: % x, %v", a.Type(), a.Bytes(), a.Err())
		}
	}
	next()
	check(a.Type() == 1 && a.Uint8() == 0xab && !a.IsNested() && !a.IsBigEndian())
	next()
	check(a.Type() == 2 && a.Uint16() == 0x1234 && a.IsBigEndian() && !a.IsNested())
	next()
	check(a.Type() == 3 && a.Uint32() == 0x12345678 && a.Uint() == 0x12345678)
	next()
	check(a.Type() == 4 && a.Uint64() == 0x0102030405060708 && a.Uint() == 0x0102030405060708)
	next()
	check(a.Type() == 5 && a.Flag())
	next()
	n := a.Nested()
	check(a.Type() == 6 && a.IsNested() && n.Next() && n.Type() == 1 && n.Uint32() == 9 && !n.Next() && n.Err() == nil)
	next()
	check(a.Type() == 7 && string(a.Text()) == "abc")
	next()
	check(a.Type() == 8 && string(a.Text()) == "ab")
	next()
	check(a.Type() == 9 && bytes.Equal(a.Bytes(), []byte{1}))
	if a.Next() || a.Err() != nil || a.Bytes() != nil {
		t.Errorf("after the last: % x, %v", a.Bytes(), a.Err())
	}
}

func TestAttrsMalformed(t *testing.T) {
	good := script.U32(1, 7)
	for name, b := range map[string][]byte{
		"3 bytes left":     append(good[:8:8], 1, 2, 3),
		"length 3":         {3, 0, 1, 0},
		"length 0":         {0, 0, 1, 0},
		"longer than left": {9, 0, 1, 0, 1, 2, 3, 4},
		"overrun":          {255, 255, 1, 0, 1, 2, 3, 4},
	} {
		a := nldump.Parse(b)
		for a.Next() {
			if a.Uint32() != 7 {
				t.Errorf("%s: attribute %d: % x", name, a.Type(), a.Bytes())
			}
		}
		if !errors.Is(a.Err(), nldump.ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, a.Err())
		}
		if a.Next() {
			t.Errorf("%s: Next goes on after an error", name)
		}
	}
}

func TestAttrsWidth(t *testing.T) {
	for name, get := range map[string]func(*nldump.Attrs) uint64{
		"Uint8":  func(a *nldump.Attrs) uint64 { return uint64(a.Uint8()) },
		"Uint16": func(a *nldump.Attrs) uint64 { return uint64(a.Uint16()) },
		"Uint32": func(a *nldump.Attrs) uint64 { return uint64(a.Uint32()) },
		"Uint64": func(a *nldump.Attrs) uint64 { return a.Uint64() },
		"Uint":   func(a *nldump.Attrs) uint64 { return a.Uint() },
		"Flag": func(a *nldump.Attrs) uint64 {
			if a.Flag() {
				return 1
			}
			return 0
		},
	} {
		for _, n := range []int{1, 3, 5, 7, 9} {
			if name == "Uint8" && n == 1 {
				continue
			}
			a := nldump.Parse(append(script.Attr(1, bytes.Repeat([]byte{1}, n)), script.U32(2, 2)...))
			a.Next()
			if got := get(&a); got != 0 || !errors.Is(a.Err(), nldump.ErrMalformed) {
				t.Errorf("%s of %d bytes: %d, %v", name, n, got, a.Err())
			}
			if get(&a) != 0 || a.Next() {
				t.Errorf("%s of %d bytes: goes on after an error", name, n)
			}
		}
	}
}
