// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"fmt"

	"bulkdump/client/nldump"
)

// columns are the arrays of a page of encoding columns, as they lie in it. One
// that was not sent is nil. Values have the host's byte order and no alignment.
type columns struct {
	id                            []byte // u32 each
	deleted                       []byte // u8
	nameEnd, payloadEnd           []byte // u16
	names, payloads               []byte
	flags                         []byte // u32
	value                         []byte // u64
	hits, bytes, created, updated []byte // u64
	generation                    []byte // u64
}

// decodeColumns hands over the rows of a page, and tells whether more are wanted.
// All lengths are checked before the first row.
func (d *decoder) decodeColumns(a nldump.Attrs) (more bool, err error) {
	var c columns
	for a.Next() {
		if at := c.column(a.Type()); at != nil {
			*at = a.Bytes()
		}
	}
	if a.Err() != nil {
		return false, fmt.Errorf("%w: columns: %w", ErrBadReply, a.Err())
	}
	if err := c.check(); err != nil {
		return false, fmt.Errorf("%w: columns: %w", ErrBadReply, err)
	}
	for i := range c.rows() {
		c.row(i, &d.record)
		d.records++
		if !d.yield(&d.record, nil) {
			return false, nil
		}
	}
	return true, nil
}

// column is where the column of the type goes; nil if it is not known.
func (c *columns) column(typ uint16) *[]byte {
	switch typ {
	case attrColumnsID:
		return &c.id
	case attrColumnsDeleted:
		return &c.deleted
	case attrColumnsNameEnd:
		return &c.nameEnd
	case attrColumnsNames:
		return &c.names
	case attrColumnsFlags:
		return &c.flags
	case attrColumnsValue:
		return &c.value
	case attrColumnsPayloadEnd:
		return &c.payloadEnd
	case attrColumnsPayloads:
		return &c.payloads
	case attrColumnsHits:
		return &c.hits
	case attrColumnsBytes:
		return &c.bytes
	case attrColumnsCreated:
		return &c.created
	case attrColumnsUpdated:
		return &c.updated
	case attrColumnsGeneration:
		return &c.generation
	}
	return nil
}

func (c *columns) rows() int { return len(c.id) / 4 }

func (c *columns) check() error {
	n := c.rows()
	if n == 0 || len(c.id) != 4*n {
		return fmt.Errorf("ids of %d bytes", len(c.id))
	}
	for _, column := range []struct {
		name  string
		array []byte
		width int
	}{
		{"deleted", c.deleted, 1},
		{"name-end", c.nameEnd, 2},
		{"payload-end", c.payloadEnd, 2},
		{"flags", c.flags, 4},
		{"value", c.value, 8},
		{"hits", c.hits, 8},
		{"bytes", c.bytes, 8},
		{"created", c.created, 8},
		{"updated", c.updated, 8},
		{"generation", c.generation, 8},
	} {
		if column.array != nil && len(column.array) != n*column.width {
			return fmt.Errorf("%d rows, but %s of %d bytes", n, column.name, len(column.array))
		}
	}
	if err := checkEnds("name", c.nameEnd, c.names, NameLenMax); err != nil {
		return err
	}
	return checkEnds("payload", c.payloadEnd, c.payloads, PayloadLenMax)
}

// checkEnds checks that each end is not before the one before it, and that the
// last one is that of all bytes.
func checkEnds(name string, ends, all []byte, longest int) error {
	last := 0
	for ; len(ends) > 0; ends = ends[2:] {
		end := int(binary.NativeEndian.Uint16(ends))
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

// row sets r to the i-th row, which points into the columns then.
func (c *columns) row(i int, r *Record) {
	// Not a literal: that would be made elsewhere and copied.
	*r = Record{}
	r.ID = at32(c.id, i)
	r.Flags = at32(c.flags, i)
	r.Value = at64(c.value, i)
	r.Name = between(c.nameEnd, c.names, i)
	r.Payload = between(c.payloadEnd, c.payloads, i)
	r.Generation = at64(c.generation, i)
	r.Deleted = c.deleted != nil && c.deleted[i] != 0
	if c.hits != nil {
		r.Stats = Stats{Hits: at64(c.hits, i), Bytes: at64(c.bytes, i)}
	}
	// A deleted entry has no times.
	if c.created != nil && !r.Deleted {
		r.Stats.Created = decodeTime(at64(c.created, i))
		r.Stats.Updated = decodeTime(at64(c.updated, i))
	}
}

func at32(array []byte, i int) uint32 {
	if array == nil {
		return 0
	}
	return binary.NativeEndian.Uint32(array[4*i:])
}

func at64(array []byte, i int) uint64 {
	if array == nil {
		return 0
	}
	return binary.NativeEndian.Uint64(array[8*i:])
}

// between returns the bytes of the i-th row: nil if there are none.
func between(ends, all []byte, i int) []byte {
	if ends == nil {
		return nil
	}
	start := 0
	if i > 0 {
		start = int(binary.NativeEndian.Uint16(ends[2*i-2:]))
	}
	end := int(binary.NativeEndian.Uint16(ends[2*i:]))
	if start == end {
		return nil
	}
	return all[start:end:end]
}
