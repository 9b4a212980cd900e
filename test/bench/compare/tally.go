// SPDX-License-Identifier: BSD-3-Clause

package main

import "fmt"

// A tally is the result of a reader: the number of records, and a sum over all
// their fields. It does not depend on the order of the records.
type tally struct {
	Records uint64 `json:"records"`
	Sum     uint64 `json:"sum"`
}

// words are the fields of a record, each in its own place. All readers of a
// table get the same words for the same record.
type words [4]uint64

func (t *tally) add(w words) {
	h := uint64(1)
	for _, v := range w {
		h = (h ^ v) * 0x9e3779b97f4a7c15 // 2^64 / the golden ratio: odd, and half of its bits are set
		h ^= h >> 32
	}
	t.Records++
	t.Sum += h
}

// compare returns an error if a reader's tally is not t.
func (t tally) compare(got tally) error {
	switch {
	case got.Records != t.Records:
		return fmt.Errorf("%d records, not %d", got.Records, t.Records)
	case got.Sum != t.Sum:
		return fmt.Errorf("the %d records have the checksum %016x, not %016x", got.Records, got.Sum, t.Sum)
	}
	return nil
}

// pack puts two numbers of 32 bits into a word.
func pack(high, low uint32) uint64 { return uint64(high)<<32 | uint64(low) }

// pack8 puts numbers of 8 bits into one of 32.
func pack8(a, b, c, d uint8) uint32 {
	return uint32(a)<<24 | uint32(b)<<16 | uint32(c)<<8 | uint32(d)
}

// pack16 puts two numbers of 16 bits into one of 32.
func pack16(a, b uint16) uint32 { return uint32(a)<<16 | uint32(b) }
