// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// What differs in three dumps is judged by how it differs.
func TestDifferences(t *testing.T) {
	value := func(n uint32) []byte { return u32(2, n) }
	random := []uint32{0x9314aa01, 0x00217fb3, 0x71c30d5e}
	stats := func(a, b uint32) []byte { // a structure of two counters
		b1, b2 := binary.NativeEndian.AppendUint64(nil, uint64(a)), binary.NativeEndian.AppendUint64(nil, uint64(b))
		return target.Attr(3, slices.Concat(b1, b2))
	}
	nest := func(n uint32) []byte { return target.Attr(5|unix.NLA_F_NESTED, u32(6, n)) }
	for _, c := range []struct {
		name  string
		attrs [3][]byte
		where string
		want  Severity
		one   bool // of many records
	}{
		{name: "equal", attrs: [3][]byte{value(1), value(1), value(1)}},
		{name: "reset", attrs: [3][]byte{value(9), value(0), value(0)}, where: "attribute 2", want: Broken},
		{name: "reset in one record", attrs: [3][]byte{value(9), value(0), value(0)}, where: "attribute 2", want: Weak, one: true},
		{name: "settled", attrs: [3][]byte{value(random[0]), value(random[1]), value(random[1])}, where: "attribute 2", want: Broken},
		{name: "counted once", attrs: [3][]byte{value(100), value(101), value(101)}, where: "attribute 2", want: Note},
		{name: "expired a bit", attrs: [3][]byte{value(100), value(99), value(99)}, where: "attribute 2", want: Note},
		{name: "counters", attrs: [3][]byte{stats(100, 7), stats(102, 7), stats(102, 9)}, where: "attribute 3", want: Note},
		{name: "counters, one reset", attrs: [3][]byte{stats(100, 7), stats(102, 0), stats(102, 0)}, where: "attribute 3", want: Broken},
		{name: "one counter, one random", attrs: [3][]byte{stats(100, random[0]), stats(101, random[1]), stats(102, random[2])}, where: "attribute 3", want: Weak},
		{name: "age", attrs: [3][]byte{value(100), value(101), value(103)}, where: "attribute 2", want: Note},
		{name: "timeout", attrs: [3][]byte{value(103), value(101), value(100)}, where: "attribute 2", want: Note},
		{name: "random", attrs: [3][]byte{value(random[0]), value(random[1]), value(random[2])}, where: "attribute 2", want: Weak},
		{name: "in a nest", attrs: [3][]byte{nest(100), nest(101), nest(103)}, where: "attribute 5.6", want: Note},
		{name: "one more", attrs: [3][]byte{value(1), slices.Concat(value(1), u32(3, 1)), value(1)}, where: "the attributes", want: Weak},
		{name: "known to move", attrs: [3][]byte{u32(7, random[0]), u32(7, random[1]), u32(7, random[2])}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &run{Target: testTarget()}
			r.Moving = []target.Part{{Path: []uint16{7}}}
			var m [3]observe.Message
			for i := range m {
				m[i].Data = record(u32(1, 5), c.attrs[i]).data
			}
			found := map[string]*difference3{}
			r.compare3(m, func(where string, v [3][]byte) {
				x := &difference3{where: where, only: !c.one}
				x.add(v)
				found[where] = x
			})
			if c.where == "" {
				if len(found) > 0 {
					t.Errorf("%q differ", slices.Collect(maps.Keys(found)))
				}
				return
			}
			x := found[c.where]
			if x == nil || len(found) != 1 {
				t.Fatalf("%q differ, want %q", slices.Collect(maps.Keys(found)), c.where)
			}
			if got, text := x.judge(); got != c.want {
				t.Errorf("%s: it %s; want %s", got, text, c.want)
			}
		})
	}
}

// A difference in both directions is not a clock.
func TestSteady(t *testing.T) {
	number := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	x := &difference3{}
	x.add([3][]byte{number(100), number(101), number(102)})
	if !x.steady {
		t.Error("a value that rises is not steady")
	}
	x.add([3][]byte{number(100), number(99), number(98)})
	if x.steady {
		t.Error("values of which one rises and one falls are steady")
	}
}

func TestDifference(t *testing.T) {
	split := func(s string) []string { return strings.Fields(s) }
	for _, c := range []struct {
		a, b          string
		missing, more int
	}{
		{"a b c", "c b a", 0, 0}, {"a b c", "a c", 1, 0}, {"a b", "a b b", 0, 1}, {"a a", "a", 1, 0}, {"", "a", 0, 1},
	} {
		if missing, more := difference(split(c.a), split(c.b)); missing != c.missing || more != c.more {
			t.Errorf("%q and %q: %d missing, %d more; want %d, %d", c.a, c.b, missing, more, c.missing, c.more)
		}
	}
}

// Where a record is, when pages were read. One page more is made already.
func TestPlaces(t *testing.T) {
	pages := [][]string{{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g"}}
	for _, c := range []struct {
		read        int
		place, want string
	}{
		{0, sent, "a b"}, {1, sent, "a b c d"}, {1, cursor, "d"}, {1, next, "e"}, {1, toCome, "e f g"}, {2, next, "g"},
	} {
		if got := strings.Join(at(pages, c.read, c.place), " "); got != c.want {
			t.Errorf("%s after %d pages: %q, want %q", c.place, c.read, got, c.want)
		}
	}
}
