// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"iter"
)

// Array yields what is in a nest whose members are an array: each an attribute
// whose type is its index (the type "indexed-array" of YNL), or all of one type
// ("multi-attr" within a nest). The cursor is at the member: its Nested, if they
// are nests, or its Uint32 … are the element.
//
//	for i, e := range a.Array() {
//		mtu[i] = e.Uint32()
//	}
//
// An error in the nest, or of an element's accessor, is a's from then on, and
// ends the loop; so one look at a.Err after it, or after all of a, is enough.
// Those of cursors that Nested returns are their own.
func (a *Attrs) Array() iter.Seq2[uint16, *Attrs] {
	return func(yield func(uint16, *Attrs) bool) {
		e := a.Nested()
		for e.Next() && yield(e.Type(), &e) {
		}
		if a.err == nil && e.err != nil {
			a.err = e.err
			a.clear()
		}
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
