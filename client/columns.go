// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// columns are the arrays of a page of encoding columns, in place. One that was not
// sent is nil.
type columns struct {
	id                            []num32
	deleted                       []byte
	nameEnd, payloadEnd           []num16
	names, payloads               []byte
	flags                         []num32
	value                         []num64
	hits, bytes, created, updated []num64
	generation                    []num64

	more bool // some besides id, name, flags, value and generation were sent
}

// decodeColumns hands over the rows of a page, and tells whether more are wanted.
// It checks all lengths before the first row.
func (d *decoder) decodeColumns(a nldump.Attrs) (more bool, err error) {
	var c columns
	if err := c.read(a); err != nil {
		return false, fmt.Errorf("%w: columns: %w", ErrBadReply, err)
	}
	for i := range c.id {
		c.row(i, &d.record)
		d.records++
		if !d.yield(&d.record, nil) {
			return false, nil
		}
	}
	return true, nil
}

// read reads the columns' attributes.
func (c *columns) read(a nldump.Attrs) error {
	for a.Next() {
		if err := c.set(a.Type(), a.Bytes()); err != nil {
			return err
		}
	}
	if a.Err() != nil {
		return a.Err()
	}
	return c.check()
}

// set sets the column of the type, if there is one.
func (c *columns) set(typ uint16, b []byte) error {
	switch typ {
	case uapi.AttrColumnsID:
		return setArray(&c.id, "id", b)
	case uapi.AttrColumnsDeleted:
		c.deleted = b
	case uapi.AttrColumnsNameEnd:
		return setArray(&c.nameEnd, "name-end", b)
	case uapi.AttrColumnsNames:
		c.names = b
	case uapi.AttrColumnsFlags:
		return setArray(&c.flags, "flags", b)
	case uapi.AttrColumnsValue:
		return setArray(&c.value, "value", b)
	case uapi.AttrColumnsPayloadEnd:
		return setArray(&c.payloadEnd, "payload-end", b)
	case uapi.AttrColumnsPayloads:
		c.payloads = b
	case uapi.AttrColumnsHits:
		return setArray(&c.hits, "hits", b)
	case uapi.AttrColumnsBytes:
		return setArray(&c.bytes, "bytes", b)
	case uapi.AttrColumnsCreated:
		return setArray(&c.created, "created", b)
	case uapi.AttrColumnsUpdated:
		return setArray(&c.updated, "updated", b)
	case uapi.AttrColumnsGeneration:
		return setArray(&c.generation, "generation", b)
	}
	return nil
}

func setArray[T num16 | num32 | num64](array *[]T, name string, b []byte) error {
	var number T
	if len(b)%len(number) != 0 {
		return fmt.Errorf("%s of %d bytes, not a multiple of %d", name, len(b), len(number))
	}
	*array = arrayOf[T](b)
	return nil
}

// check refuses columns with different numbers of rows, and bytes beyond the last
// row.
func (c *columns) check() error {
	n := len(c.id)
	if n == 0 {
		return errors.New("no ids")
	}
	for _, column := range []struct {
		name string
		sent bool
		rows int
	}{
		{"deleted", c.deleted != nil, len(c.deleted)},
		{"name-end", c.nameEnd != nil, len(c.nameEnd)},
		{"payload-end", c.payloadEnd != nil, len(c.payloadEnd)},
		{"flags", c.flags != nil, len(c.flags)},
		{"value", c.value != nil, len(c.value)},
		{"hits", c.hits != nil, len(c.hits)},
		{"bytes", c.bytes != nil, len(c.bytes)},
		{"created", c.created != nil, len(c.created)},
		{"updated", c.updated != nil, len(c.updated)},
		{"generation", c.generation != nil, len(c.generation)},
	} {
		if column.sent && column.rows != n {
			return fmt.Errorf("%d rows, but %d of %s", n, column.rows, column.name)
		}
	}
	c.more = c.deleted != nil || c.payloadEnd != nil || c.hits != nil || c.bytes != nil || c.created != nil || c.updated != nil
	if err := checkEnds("name", c.nameEnd, c.names, NameLenMax); err != nil {
		return err
	}
	return checkEnds("payload", c.payloadEnd, c.payloads, PayloadLenMax)
}

// checkEnds refuses an end that is before the previous one, and a last end that is
// not that of all bytes.
func checkEnds(name string, ends []num16, all []byte, longest int) error {
	last := 0
	for i := range ends {
		end := ends[i].get()
		if end < last || end-last > longest {
			return fmt.Errorf("%s from %d to %d", name, last, end)
		}
		last = end
	}
	if last != len(all) {
		return fmt.Errorf("%ss of %d bytes, the last one ends at %d", name, len(all), last)
	}
	return nil
}

// row sets r to the i-th row; r then points into the columns. An array that was
// not sent has no i-th number.
func (c *columns) row(i int, r *Record) {
	// A literal would be made elsewhere and copied.
	*r = Record{}
	r.ID = c.id[i].get()
	if i < len(c.flags) {
		r.Flags = c.flags[i].get()
	}
	if i < len(c.value) {
		r.Value = c.value[i].get()
	}
	if i < len(c.generation) {
		r.Generation = c.generation[i].get()
	}
	r.Name = between(c.nameEnd, c.names, i)
	if c.more {
		c.rowMore(i, r)
	}
}

func (c *columns) rowMore(i int, r *Record) {
	r.Payload = between(c.payloadEnd, c.payloads, i)
	r.Deleted = i < len(c.deleted) && c.deleted[i] != 0
	if i < len(c.hits) {
		r.Stats.Hits = c.hits[i].get()
	}
	if i < len(c.bytes) {
		r.Stats.Bytes = c.bytes[i].get()
	}
	// A deleted entry has no times.
	if r.Deleted {
		return
	}
	if i < len(c.created) {
		r.Stats.Created = decodeTime(c.created[i].get())
	}
	if i < len(c.updated) {
		r.Stats.Updated = decodeTime(c.updated[i].get())
	}
}

// between returns the bytes of the i-th row, or nil if there are none.
func between(ends []num16, all []byte, i int) []byte {
	if i >= len(ends) {
		return nil
	}
	start := 0
	if i > 0 {
		start = ends[i-1].get()
	}
	end := ends[i].get()
	if end-start <= 0 { // < only tells the compiler that there are bytes after this
		return nil
	}
	return all[start:end:end]
}

// A number of 2, 4 or 8 bytes in the host's byte order. It has no alignment: an
// attribute begins at any multiple of 4 in a page.
type (
	num16 [2]byte
	num32 [4]byte
	num64 [8]byte
)

func (n *num16) get() int    { return int(binary.NativeEndian.Uint16(n[:])) }
func (n *num32) get() uint32 { return binary.NativeEndian.Uint32(n[:]) }
func (n *num64) get() uint64 { return binary.NativeEndian.Uint64(n[:]) }

// arrayOf is b as an array of numbers, without what is left over at its end. Its
// index is only compared with its length. An index of bytes would be multiplied,
// and the bytes cut out of the slice.
func arrayOf[T num16 | num32 | num64](b []byte) []T {
	var number T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/len(number))
}
