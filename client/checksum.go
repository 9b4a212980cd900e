// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// A Checksum is the sum, modulo 2^64, of the hashes of a set of entries. It does
// not depend on their order, so you can compare that of a dump with the one that
// Fill returned. The zero value is that of no entries.
//
// An entry's hash is the 64 bit FNV-1a over id (4 bytes), name length (1), name,
// flags (4), value (8), payload length (4) and payload, with numbers in little
// endian. The spec has it as the attribute checksum of the set fill.
//
// In text, and so in JSON, it is hexadecimal with 0x, because many readers of
// JSON would round a number of 64 bits.
type Checksum uint64

// String returns it as 0x and 16 digits.
func (c Checksum) String() string { return fmt.Sprintf("0x%016x", uint64(c)) }

// MarshalText is String.
func (c Checksum) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads any number that strconv.ParseUint knows with base 0.
func (c *Checksum) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 0, 64)
	if err != nil {
		return fmt.Errorf("checksum: %w", err)
	}
	*c = Checksum(v)
	return nil
}

// Add adds the entry that r lends. It does not allocate.
func (c *Checksum) Add(r *Record) {
	h := fnv64(fnvOffset)
	h = h.uint32(r.ID)
	h = h.byte(byte(len(r.Name)))
	h = h.bytes(r.Name)
	h = h.uint32(r.Flags)
	h = h.uint64(r.Value)
	h = h.uint32(uint32(len(r.Payload)))
	h = h.bytes(r.Payload)
	*c += Checksum(h)
}

// AddEntry adds e.
func (c *Checksum) AddEntry(e *Entry) {
	c.Add(&Record{ID: e.ID, Name: []byte(e.Name), Flags: e.Flags, Value: e.Value, Payload: e.Payload})
}

// fnv64 is a running FNV-1a. The writes of hash/fnv go through an interface, which
// makes their argument escape.
type fnv64 uint64

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func (h fnv64) byte(b byte) fnv64 { return (h ^ fnv64(b)) * fnvPrime }

func (h fnv64) bytes(b []byte) fnv64 {
	for _, c := range b {
		h = h.byte(c)
	}
	return h
}

func (h fnv64) uint32(v uint32) fnv64 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return h.bytes(b[:])
}

func (h fnv64) uint64(v uint64) fnv64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return h.bytes(b[:])
}
