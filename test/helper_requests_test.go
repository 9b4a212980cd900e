// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"golang.org/x/sys/unix"
)

var fuzzOps = slices.SortedFunc(maps.Keys(policies), func(a, b operation) int {
	switch {
	case a.cmd != b.cmd:
		return cmp.Compare(a.cmd, b.cmd)
	case a.dump:
		return 1
	}
	return -1
})

// request makes the request with a number.
func (f *fuzzer) request(number uint64) (flags uint16, body []byte) {
	r := rand.New(rand.NewPCG(f.seed, number>>32))
	o := fuzzOps[r.IntN(len(fuzzOps))]
	// A flush leaves little to find, and a fill takes as long as a hundred others.
	if o.cmd == cmdTableFlush && r.IntN(40) > 0 || o.cmd == cmdTableFill && r.IntN(8) > 0 {
		o.cmd = cmdEntryNew
	}
	flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK
	if o.dump {
		flags = flagDump
	}
	attrs := validAttrs(r, policies[o])
	if r.IntN(4) > 0 {
		attrs = f.sharpen(r, o, attrs)
	}
	header := []byte{o.cmd, 1, 0, 0}
	if vary := uint32(number); vary != 0 {
		r := rand.New(rand.NewPCG(f.seed, uint64(vary)))
		for range 1 + r.IntN(2) {
			flags, header, attrs = twist(r, flags, header, attrs)
		}
	}
	return flags, append(header, bytes.Join(attrs, nil)...)
}

// sharpen makes attributes that would be refused together fewer, and those that would
// find nothing better.
func (f *fuzzer) sharpen(r *rand.Rand, o operation, attrs [][]byte) (sharp [][]byte) {
	delta := o.dump && r.IntN(3) == 0
	for _, a := range attrs {
		switch typ := binary.NativeEndian.Uint16(a[2:]) & nlaTypeMask; {
		case o == operation{cmdEntryGet, false} && len(sharp) > 0: // either is enough
		case o.dump && !delta && typ == attrSince, delta && typ == attrCursor:
		case delta && typ == attrSince:
			since := f.model.floor + r.Uint64N(f.model.generation-f.model.floor+1)
			sharp = append(sharp, attr(attrSince, binary.NativeEndian.AppendUint64(nil, since)...))
		case o.dump && typ == attrFilter:
			sharp = append(sharp, f.filter(r, delta))
		default:
			sharp = append(sharp, a)
		}
	}
	return sharp
}

// filter returns a filter that lets one entry through, and perhaps others. That of a
// delta has ids only.
func (f *fuzzer) filter(r *rand.Rand, delta bool) []byte {
	ids := slices.Sorted(maps.Keys(f.model.entries))
	if len(ids) == 0 {
		return nest(attrFilter)
	}
	e := f.model.entries[ids[r.IntN(len(ids))]]
	mask := r.Uint32() & r.Uint32()
	var conditions [][]byte
	for i, c := range [][][]byte{
		{attrU32(attrIDFrom, e.ID-min(e.ID, r.Uint32N(100)))},
		{attrU32(attrIDTo, e.ID+min(math.MaxUint32-e.ID, r.Uint32N(100)))},
		{attrText(attrNamePrefix, e.Name[:1+r.IntN(len(e.Name))])},
		{attrU32(attrFlagsValue, e.Flags&mask), attrU32(attrFlagsMask, mask)},
	} {
		if r.IntN(2) == 0 && (!delta || i < 2) {
			conditions = append(conditions, c...)
		}
	}
	return nest(attrFilter, conditions...)
}

// validAttrs returns some of a policy's attributes, with values that it takes.
func validAttrs(r *rand.Rand, p policy) (attrs [][]byte) {
	for _, typ := range slices.Sorted(maps.Keys(p)) {
		if r.IntN(5) == 0 {
			continue
		}
		attrs = append(attrs, validAttr(r, typ, p[typ]))
	}
	return attrs
}

func validAttr(r *rand.Rand, typ uint16, a attrPolicy) []byte {
	switch a.kind {
	case kindU32, kindUint:
		n := aNumber(r)
		if a.mask != 0 {
			n &= a.mask
		}
		n = min(max(n, a.min), a.max)
		if a.kind == kindU32 || n <= math.MaxUint32 && r.IntN(2) == 0 {
			return attrU32(typ, uint32(n))
		}
		return attr(typ, binary.NativeEndian.AppendUint64(nil, n)...)
	case kindText:
		return attrText(typ, aText(r))
	case kindBinary:
		sizes := []int{0, 1, 3, 4, 100, 4000, payloadMax}
		return attr(typ, bytes.Repeat([]byte{byte(r.Uint32())}, sizes[min(r.IntN(40), len(sizes)-1)*r.IntN(2)])...)
	case kindFlag:
		return attr(typ)
	}
	return nest(typ, validAttrs(r, a.nested)...)
}

// aNumber is often the id of an entry, now and then a bound.
func aNumber(r *rand.Rand) uint64 {
	if r.IntN(4) > 0 {
		return r.Uint64N(300)
	}
	bounds := []uint64{0, 1, fuzzEntries, fuzzEntries + 1, payloadMax, math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	return bounds[r.IntN(len(bounds))]
}

func aText(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return ""
	case 1:
		return string(bytes.Repeat([]byte("n"), 62+r.IntN(3)))
	case 2:
		return "n\x00m"
	}
	return fmt.Sprint("n", r.IntN(30))
}

// twist makes a request more or less wrong. It does not change the length of the
// message, which the kernel would take for another message.
func twist(r *rand.Rand, flags uint16, header []byte, attrs [][]byte) (uint16, []byte, [][]byte) {
	attrs = slices.Clone(attrs)
	at := -1
	if len(attrs) > 0 {
		at = r.IntN(len(attrs))
		attrs[at] = slices.Clone(attrs[at])
	}
	if at >= 0 && len(attrs[at]) < unix.SizeofNlAttr { // what an earlier twist left
		at = -1
	}
	switch n := r.IntN(17); {
	case n == 16:
		header, attrs = header[:r.IntN(len(header)+1)], nil
	case n == 0:
		header = []byte{byte(r.IntN(20)), byte(r.Uint32()), 0, 0}
	case n == 1 && len(header) > 0:
		header = []byte{header[0], 1, byte(r.IntN(2)), byte(r.IntN(2))}
	case n == 2:
		flags ^= 1 << r.IntN(16)
		flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK // or there may be no answer
	case n == 3:
		attrs = append(attrs, attr(uint16(r.IntN(20)), make([]byte, r.IntN(9))...))
	case n == 4:
		attrs = append(attrs, make([]byte, r.IntN(8)))
	case n == 5:
		attrs = append(attrs, nest(uint16(r.IntN(20)), attrU32(uint16(r.IntN(8)), r.Uint32())))
	case n == 6:
		attrs = append(attrs, attrU32(uint16(1+r.IntN(8)), uint32(aNumber(r))))
	case at < 0:
	case n == 7: // twice
		attrs = append(attrs, attrs[at])
	case n == 8:
		attrs = slices.Delete(attrs, at, at+1)
	case n == 9: // another type
		binary.NativeEndian.PutUint16(attrs[at][2:], uint16(r.IntN(20)))
	case n == 10: // flags of the type
		attrs[at][3] ^= byte(1+r.IntN(3)) << 6
	case n == 11: // length
		binary.NativeEndian.PutUint16(attrs[at], uint16(int(binary.NativeEndian.Uint16(attrs[at]))+r.IntN(17)-8))
	case n == 12:
		binary.NativeEndian.PutUint16(attrs[at], uint16(r.Uint32()))
	case n == 13 && len(attrs[at]) > 4: // bytes
		attrs[at][4+r.IntN(min(len(attrs[at])-4, 16))] ^= byte(1 + r.IntN(255))
	case n == 14: // the end is cut
		attrs[at] = attrs[at][:r.IntN(len(attrs[at]))&^3]
	default: // order
		r.Shuffle(len(attrs), func(i, j int) { attrs[i], attrs[j] = attrs[j], attrs[i] })
	}
	return flags, header, attrs
}
