// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// hostIsLittle is needed because the literals below are little endian.
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
	if a.Next() || a.Err() != nil || len(a.Bytes()) != 0 {
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

// TestFind looks for types in any order.
func TestFind(t *testing.T) {
	b := bytes.Join([][]byte{script.U32(1, 10), script.U32(2|unix.NLA_F_NESTED, 20), script.U32(1, 11)}, nil)
	a := nldump.Parse(b)
	for _, tt := range []struct {
		typ  uint16
		want uint32
	}{{2, 20}, {1, 10}, {1, 10}, {2, 20}} {
		if !a.Find(tt.typ) || a.Uint32() != tt.want {
			t.Errorf("no attribute %d of %d", tt.typ, tt.want)
		}
	}
	if !a.Next() || a.Uint32() != 11 || a.Next() {
		t.Error("Next does not go on from what was found")
	}
	if a.Find(3) || a.Err() != nil {
		t.Errorf("found what is not there; %v", a.Err())
	}
	if !a.Find(1) || a.Uint32() != 10 || !a.Find(2) {
		t.Error("nothing is found after a search in vain")
	}
	a.Find(3)
	// A missing attribute has no number and no bytes.
	if a.Uint32() != 0 || !errors.Is(a.Err(), nldump.ErrMalformed) {
		t.Errorf("a number of nothing: %v", a.Err())
	}
	a = nldump.Parse(append(b, 1))
	if a.Find(3) || !errors.Is(a.Err(), nldump.ErrMalformed) {
		t.Errorf("malformed: %v", a.Err())
	}
	if a.Find(1) {
		t.Error("found something after an error")
	}
}

// TestMessageAttrs has fixed headers before the attributes.
func TestMessageAttrs(t *testing.T) {
	for _, tt := range []struct {
		data   []byte
		header int
		ok     bool
		found  bool
	}{
		{append([]byte{1, 2, 3, 4}, script.U32(1, 7)...), 4, true, true},
		{append([]byte{1, 0, 0, 0}, script.U32(1, 7)...), 1, true, true}, // padded, as struct rtgenmsg is
		{script.U32(1, 7), 0, true, true},
		{[]byte{1, 2, 3, 4}, 4, true, false},
		{[]byte{1}, 1, true, false}, // not padded, because nothing follows
		{[]byte{1, 2, 3}, 4, false, false},
		{nil, 1, false, false},
	} {
		m := nldump.Message{Data: tt.data}
		a := m.Attrs(tt.header)
		if found := a.Next(); found != tt.found || (a.Err() == nil) != tt.ok || found && a.Uint32() != 7 {
			t.Errorf("header of %d in % x: found %v, %v", tt.header, tt.data, found, a.Err())
		}
		if a.Err() != nil && !errors.Is(a.Err(), nldump.ErrMalformed) {
			t.Errorf("error %v", a.Err())
		}
	}
}
