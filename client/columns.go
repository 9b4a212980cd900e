// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// Columns are the records of one page as arrays: the i-th element of each is of the
// i-th record. An array that was not sent is nil.
type Columns struct {
	IDs         []uint32
	Deleted     []byte // not 0: deleted, and only ID and Generation are known
	NameEnds    []uint16
	Names       []byte // all names, one after the other: the i-th ends at NameEnds[i]
	Flags       []uint32
	Values      []uint64
	PayloadEnds []uint16
	Payloads    []byte // as Names
	Hits        []uint64
	Bytes       []uint64
	Created     []uint64 // ns since the epoch
	Updated     []uint64 // ns since the epoch
	Generations []uint64

	copies copies
}

// In a page, 8 bytes are at a multiple of 4. These are copies at multiples of 8. They are
// kept from page to page.
type copies struct {
	values, hits, bytes, created, updated, generations []uint64
}

// Columns dumps with EncodingColumns, and yields a page at a time, as it is: the
// cheapest way to read a table. The Columns and their arrays are valid until the next
// iteration. All arrays that were sent have the same length, at least 1, and the ends
// are checked. With an error the Columns are nil.
func (c *Client) Columns(ctx context.Context, o DumpOptions) iter.Seq2[*Columns, error] {
	o.Encoding = EncodingColumns
	return func(yield func(*Columns, error) bool) {
		d := decoder{pages: func(page *Columns) bool { return yield(page, nil) }}
		if err := c.dump(ctx, o, &d); err != nil {
			yield(nil, err)
		}
	}
}

// Len is the number of records.
func (c *Columns) Len() int { return len(c.IDs) }

// Name is the name of the i-th record, without a final NUL; nil if it has none.
func (c *Columns) Name(i int) []byte { return between(c.NameEnds, c.Names, i) }

// Payload is the payload of the i-th record; nil if it has none.
func (c *Columns) Payload(i int) []byte { return between(c.PayloadEnds, c.Payloads, i) }

// Record sets r to the i-th record; r then points into the page.
func (c *Columns) Record(i int, r *Record) {
	*r = Record{ID: c.IDs[i], Name: c.Name(i), Payload: c.Payload(i)}
	r.Flags = at(c.Flags, i)
	r.Value = at(c.Values, i)
	r.Generation = at(c.Generations, i)
	r.Stats.Hits = at(c.Hits, i)
	r.Stats.Bytes = at(c.Bytes, i)
	r.Deleted = at(c.Deleted, i) != 0
	if r.Deleted { // it has no times
		return
	}
	if i < len(c.Created) {
		r.Stats.Created = decodeTime(c.Created[i])
	}
	if i < len(c.Updated) {
		r.Stats.Updated = decodeTime(c.Updated[i])
	}
}

// at is the i-th element of a column, or 0 if it was not sent.
func at[T any](column []T, i int) (element T) {
	if i < len(column) {
		element = column[i]
	}
	return element
}

// between returns the bytes of the i-th record, or nil if there are none.
func between(ends []uint16, all []byte, i int) []byte {
	if i >= len(ends) {
		return nil
	}
	start := 0
	if i > 0 {
		start = int(ends[i-1])
	}
	end := int(ends[i])
	if end == start {
		return nil
	}
	return all[start:end:end]
}

// decodeColumns hands over a page, or its records, and tells whether more are wanted.
// It checks all lengths before that.
func (d *decoder) decodeColumns(a nldump.Attrs) (more bool, err error) {
	c := &d.columns
	if err := c.read(a); err != nil {
		return false, fmt.Errorf("%w: columns: %w", ErrBadReply, err)
	}
	if d.pages != nil {
		d.records += uint64(c.Len())
		return d.pages(c), nil
	}
	if c.isUsual() {
		return d.usualRows(c), nil
	}
	for i := range c.IDs {
		c.Record(i, &d.record)
		d.records++
		if !d.yield(&d.record, nil) {
			return false, nil
		}
	}
	return true, nil
}

// isUsual reports whether a page has exactly what a dump without payloads and
// statistics sends.
func (c *Columns) isUsual() bool {
	return c.NameEnds != nil && c.Flags != nil && c.Values != nil && c.Generations != nil &&
		c.Deleted == nil && c.PayloadEnds == nil && c.Hits == nil && c.Bytes == nil && c.Created == nil && c.Updated == nil
}

// usualRows is the loop of decodeColumns for a usual page. It does half of the work:
// what is not there is not looked for in each record, and no index is checked.
func (d *decoder) usualRows(c *Columns) (more bool) {
	n := len(c.IDs)
	ends, flags, values, generations := c.NameEnds[:n], c.Flags[:n], c.Values[:n], c.Generations[:n]
	r, start := &d.record, 0
	for i, id := range c.IDs {
		*r = Record{} // the caller may have changed it
		r.ID, r.Flags, r.Value, r.Generation = id, flags[i], values[i], generations[i]
		end := int(ends[i])
		r.Name = c.Names[start:end:end]
		start = end
		d.records++
		if !d.yield(r, nil) {
			return false
		}
	}
	return true
}

// read reads the columns' attributes.
func (c *Columns) read(a nldump.Attrs) error {
	*c = Columns{copies: c.copies}
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
func (c *Columns) set(typ uint16, b []byte) (err error) {
	switch typ {
	case uapi.AttrColumnsID:
		c.IDs, err = arrayOf[uint32]("id", b, nil)
	case uapi.AttrColumnsDeleted:
		c.Deleted = b
	case uapi.AttrColumnsNameEnd:
		c.NameEnds, err = arrayOf[uint16]("name-end", b, nil)
	case uapi.AttrColumnsNames:
		c.Names = b
	case uapi.AttrColumnsFlags:
		c.Flags, err = arrayOf[uint32]("flags", b, nil)
	case uapi.AttrColumnsValue:
		c.Values, err = arrayOf("value", b, &c.copies.values)
	case uapi.AttrColumnsPayloadEnd:
		c.PayloadEnds, err = arrayOf[uint16]("payload-end", b, nil)
	case uapi.AttrColumnsPayloads:
		c.Payloads = b
	case uapi.AttrColumnsHits:
		c.Hits, err = arrayOf("hits", b, &c.copies.hits)
	case uapi.AttrColumnsBytes:
		c.Bytes, err = arrayOf("bytes", b, &c.copies.bytes)
	case uapi.AttrColumnsCreated:
		c.Created, err = arrayOf("created", b, &c.copies.created)
	case uapi.AttrColumnsUpdated:
		c.Updated, err = arrayOf("updated", b, &c.copies.updated)
	case uapi.AttrColumnsGeneration:
		c.Generations, err = arrayOf("generation", b, &c.copies.generations)
	}
	return err
}

// check refuses columns with different numbers of rows, and bytes beyond the last
// row.
func (c *Columns) check() error {
	n := len(c.IDs)
	if n == 0 {
		return errors.New("no ids")
	}
	for _, column := range []struct {
		name string
		sent bool
		rows int
	}{
		{"deleted", c.Deleted != nil, len(c.Deleted)},
		{"name-end", c.NameEnds != nil, len(c.NameEnds)},
		{"payload-end", c.PayloadEnds != nil, len(c.PayloadEnds)},
		{"flags", c.Flags != nil, len(c.Flags)},
		{"value", c.Values != nil, len(c.Values)},
		{"hits", c.Hits != nil, len(c.Hits)},
		{"bytes", c.Bytes != nil, len(c.Bytes)},
		{"created", c.Created != nil, len(c.Created)},
		{"updated", c.Updated != nil, len(c.Updated)},
		{"generation", c.Generations != nil, len(c.Generations)},
	} {
		if column.sent && column.rows != n {
			return fmt.Errorf("%d rows, but %d of %s", n, column.rows, column.name)
		}
	}
	if err := checkEnds("name", c.NameEnds, c.Names, NameLenMax); err != nil {
		return err
	}
	return checkEnds("payload", c.PayloadEnds, c.Payloads, PayloadLenMax)
}

// checkEnds refuses an end that is before the previous one, and a last end that is
// not that of all bytes.
func checkEnds(name string, ends []uint16, all []byte, longest int) error {
	last := 0
	for _, end := range ends {
		end := int(end)
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

// arrayOf is b as numbers in the host's byte order: in place, or in a copy if they are
// not aligned there.
func arrayOf[T uint16 | uint32 | uint64](name string, b []byte, copies *[]T) ([]T, error) {
	size := int(unsafe.Sizeof(T(0)))
	n := len(b) / size
	if n*size != len(b) {
		return nil, fmt.Errorf("%s of %d bytes, not a multiple of %d", name, len(b), size)
	}
	at := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(at)%unsafe.Alignof(T(0)) == 0 {
		return unsafe.Slice((*T)(at), n), nil
	}
	var array []T
	if copies != nil {
		array = *copies
	}
	array = slices.Grow(array[:0], n)[:n]
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(array))), len(b)), b)
	if copies != nil {
		*copies = array
	}
	return array, nil
}
