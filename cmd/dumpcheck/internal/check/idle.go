// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// The checks of a table that does not change.

// checkIdle compares the first dump with two more, byte for byte.
func checkIdle(r *run) {
	if r.Key.IsZero() {
		r.skip("no attributes tell the records apart: give some with --key")
		return
	}
	var dumps [3]map[string]observe.Message
	for i := range dumps {
		d := r.base
		if i > 0 {
			var err error
			if d, err = r.dump(r.Request, large); r.failed(err) {
				return
			}
		}
		dumps[i] = r.byKey(d)
	}
	found := map[string]*difference3{}
	for _, m := range r.base.Records() {
		key := r.key(m)
		_, once := dumps[0][key]
		second, ok := dumps[1][key]
		third, also := dumps[2][key]
		if !once || !ok || !also || bytes.Equal(m.Data, second.Data) && bytes.Equal(second.Data, third.Data) {
			continue
		}
		r.compare3([3]observe.Message{m, second, third}, func(where string, v [3][]byte) {
			x := found[where]
			if x == nil {
				x = &difference3{where: where, example: third, only: len(r.base.Records()) == 1}
				found[where] = x
			}
			x.add(v)
		})
	}
	for _, x := range slices.SortedFunc(maps.Values(found), func(a, b *difference3) int { return strings.Compare(a.where, b.where) }) {
		severity, text := x.judge()
		if r.find(severity, &x.example, "%s %s", x.where, text); severity == Broken {
			r.breaks(25)
		}
	}
}

// A difference3 is a part of the records that differs in three dumps.
type difference3 struct {
	where        string
	first, again int // records in which the second differs from the first, the third from the second
	steady       bool
	rises, falls bool
	cleared      bool // a number became 0
	only         bool // the table has no other record
	seen         bool
	example      observe.Message
}

func (x *difference3) add(v [3][]byte) {
	if !x.seen {
		x.seen, x.steady = true, true
	}
	if !bytes.Equal(v[0], v[1]) {
		x.first++
	}
	if !bytes.Equal(v[1], v[2]) {
		x.again++
	}
	// A clock goes one way, in all records, and so do counters.
	for i := range 2 {
		for a, b := range numbers(v[i], v[i+1]) {
			x.steady = x.steady && max(a, b)-min(a, b) < max(near, a/16)
			x.rises = x.rises || b > a
			x.falls = x.falls || b < a
			x.cleared = x.cleared || b == 0 && a > 0
		}
		x.steady = x.steady && len(v[i]) == len(v[i+1]) && len(v[i])%4 == 0
	}
	x.steady = x.steady && !(x.rises && x.falls)
}

// judge says what it is that differs.
func (x *difference3) judge() (Severity, string) {
	switch in := count(max(x.first, x.again), "record"); {
	case x.steady && !(x.again == 0 && x.cleared):
		return Note, fmt.Sprintf("changes by itself, in %s: a counter, or an age", in)
	case x.again == 0 && x.first == 1 && !x.only:
		return Weak, fmt.Sprintf("differs between the first dump and those behind it, in %s: reading changes it, or somebody else has", in)
	case x.again == 0:
		return Broken, fmt.Sprintf("differs between the first dump and those behind it, in %s: reading changes it", in)
	default:
		return Weak, fmt.Sprintf("differs from dump to dump, in %s: nobody has initialised it, or it changes by itself", in)
	}
}

// near is how far a counter may go from one dump to the next.
const near = 1 << 12

// numbers are the pairs of numbers in two values: one or several of 8 bytes, or of 4.
func numbers(a, b []byte) iter.Seq2[uint64, uint64] {
	return func(yield func(x, y uint64) bool) {
		size := 4
		if len(a)%8 == 0 {
			size = 8
		}
		number := func(v []byte, i int) uint64 {
			if size == 8 {
				return binary.NativeEndian.Uint64(v[i:])
			}
			return uint64(binary.NativeEndian.Uint32(v[i:]))
		}
		for i := 0; i+size <= min(len(a), len(b)); i += size {
			if !yield(number(a, i), number(b, i)) {
				return
			}
		}
	}
}

// compare3 calls a function with each part of three records that differs: an
// attribute, or the header.
func (r *run) compare3(m [3]observe.Message, differs func(where string, v [3][]byte)) {
	if r.Header < 0 {
		differs("the record", [3][]byte{m[0].Data, m[1].Data, m[2].Data})
		return
	}
	var head, rest [3][]byte
	for i := range m {
		n := min(r.Header, len(m[i].Data))
		head[i], rest[i] = m[i].Data[:n], m[i].Data[n:]
	}
	if !equal3(head) {
		differs("the header", head)
	}
	r.compareAttrs(rest, nil, differs)
}

func (r *run) compareAttrs(b [3][]byte, path []uint16, differs func(where string, v [3][]byte)) {
	if equal3(b) {
		return
	}
	var all [3][]attribute
	for i := range b {
		all[i] = split(b[i])
	}
	if len(all[0]) != len(all[1]) || len(all[1]) != len(all[2]) {
		differs(strings.TrimPrefix("the attributes"+in(r.Target, path), " "), b)
		return
	}
	for i, a := range all[0] {
		here := append(path[:len(path):len(path)], a.typ&^flags)
		v := [3][]byte{a.value, all[1][i].value, all[2][i].value}
		switch {
		case equal3(v) || r.moves(here):
		case a.typ&unix.NLA_F_NESTED != 0 || r.holdsMoving(here): // old nests have no flag
			r.compareAttrs(v, here, differs)
		default:
			differs(nameOf(r.Target, here), v)
		}
	}
}

type attribute struct {
	typ   uint16
	value []byte
}

func split(b []byte) (attrs []attribute) {
	for a := nldump.Parse(b); a.Next(); {
		typ := a.Type()
		if a.IsNested() {
			typ |= unix.NLA_F_NESTED
		}
		attrs = append(attrs, attribute{typ, a.Bytes()})
	}
	return attrs
}

// moves tells whether an attribute is known to change by itself.
func (r *run) moves(path []uint16) bool {
	return slices.ContainsFunc(r.Moving, func(p target.Part) bool { return len(p.Path) <= len(path) && p.Meets(path) })
}

// holdsMoving tells whether an attribute is a nest with something that moves.
func (r *run) holdsMoving(path []uint16) bool {
	return slices.ContainsFunc(r.Moving, func(p target.Part) bool { return len(p.Path) > len(path) && p.Meets(path) })
}

func equal3(v [3][]byte) bool { return bytes.Equal(v[0], v[1]) && bytes.Equal(v[1], v[2]) }

func checkOrder(r *run) {
	if r.few() {
		return
	}
	d, err := r.dump(r.Request, large)
	if r.failed(err) {
		return
	}
	a, b := r.keys(r.base), r.keys(d)
	if missing, more := difference(a, b); missing+more == 0 && !slices.Equal(a, b) {
		r.weak("the records come in another order each time")
		r.compared()
	}
}

// checkInterrupted takes dumps without a change.
func checkInterrupted(r *run) {
	const dumps = 5
	marked := 0
	changed := false
	var before []string
	var example *observe.Message
	for i := range dumps {
		d, err := r.dump(r.Request, r.small)
		if r.failed(err) {
			return
		}
		keys := r.keys(d)
		changed = changed || i > 0 && !slices.Equal(before, keys)
		before = keys
		if m := d.Marked(unix.NLM_F_DUMP_INTR); m != nil {
			marked++
			example = m
		}
	}
	switch {
	case marked == dumps && !changed:
		r.find(Weak, example, "each dump has NLM_F_DUMP_INTR, and nothing changes")
	case marked > 0:
		r.info("%d of %d dumps have NLM_F_DUMP_INTR: the table changes by itself", marked, dumps)
	}
}

// checkSecond counts the records of another reader.
func checkSecond(r *run) {
	if r.Second == nil {
		r.skip("no other reader: give a command with --second")
		return
	}
	n, err := r.Second(r.ctx)
	if r.failed(err) {
		return
	}
	d, err := r.dump(r.Request, r.small)
	if r.failed(err) {
		return
	}
	if got := len(d.Records()); got != n {
		r.broken("%s, and --second prints %s", count(got, "record"), count(n, "line"))
		r.compared()
		return
	}
	r.info("both have %s", count(n, "record"))
}
