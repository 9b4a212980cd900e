// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"bulkdump/client"
)

// A column is a field of an entry as Arrow has it.
type column struct {
	field  client.Field // that the kernel is asked for; 0: it comes with all
	name   string
	typ    arrow.DataType
	append func(b array.Builder, page *client.Columns)
}

// columns are all fields, in the order of the spec.
var columns = []column{
	{0, "id", arrow.PrimitiveTypes.Uint32, func(b array.Builder, page *client.Columns) {
		b.(*array.Uint32Builder).AppendValues(page.IDs, nil)
	}},
	{client.FieldName, "name", arrow.BinaryTypes.String, func(b array.Builder, page *client.Columns) {
		for i := range page.Len() {
			b.(*array.StringBuilder).Append(strings.ToValidUTF8(string(page.Name(i)), "\ufffd"))
		}
	}},
	{client.FieldFlags, "flags", arrow.PrimitiveTypes.Uint32, func(b array.Builder, page *client.Columns) {
		b.(*array.Uint32Builder).AppendValues(page.Flags, nil)
	}},
	number(client.FieldValue, "value", func(page *client.Columns) []uint64 { return page.Values }),
	{client.FieldPayload, "payload", arrow.BinaryTypes.Binary, func(b array.Builder, page *client.Columns) {
		for i := range page.Len() {
			b.(*array.BinaryBuilder).Append(page.Payload(i))
		}
	}},
	number(client.FieldStats, "hits", func(page *client.Columns) []uint64 { return page.Hits }),
	number(client.FieldStats, "bytes", func(page *client.Columns) []uint64 { return page.Bytes }),
	timestamp(client.FieldStats, "created", func(page *client.Columns) []uint64 { return page.Created }),
	timestamp(client.FieldStats, "updated", func(page *client.Columns) []uint64 { return page.Updated }),
	number(client.FieldGeneration, "generation", func(page *client.Columns) []uint64 { return page.Generations }),
}

func number(field client.Field, name string, of func(*client.Columns) []uint64) column {
	return column{field, name, arrow.PrimitiveTypes.Uint64, func(b array.Builder, page *client.Columns) {
		b.(*array.Uint64Builder).AppendValues(of(page), nil)
	}}
}

func timestamp(field client.Field, name string, of func(*client.Columns) []uint64) column {
	return column{field, name, arrow.FixedWidthTypes.Timestamp_ns, func(b array.Builder, page *client.Columns) {
		for _, ns := range of(page) {
			b.(*array.TimestampBuilder).Append(arrow.Timestamp(ns))
		}
	}}
}

// batchRows is how many rows a record batch has at least, but for the last one. It
// is a hundred pages, so that readers do not mind how small these are.
const batchRows = 1 << 16

// A writer makes an Arrow stream of pages.
type writer struct {
	out     *ipc.Writer
	columns []column
	builder *array.RecordBuilder
	rows    int // in the builder
}

// newWriter writes the fields to to.
func newWriter(to io.Writer, fields client.Field) *writer {
	w := &writer{}
	var schema []arrow.Field
	for _, c := range columns {
		if c.field == 0 || fields&c.field != 0 {
			w.columns = append(w.columns, c)
			schema = append(schema, arrow.Field{Name: c.name, Type: c.typ})
		}
	}
	s := arrow.NewSchema(schema, nil)
	w.builder = array.NewRecordBuilder(memory.DefaultAllocator, s)
	w.out = ipc.NewWriter(to, ipc.WithSchema(s))
	return w
}

func (w *writer) add(page *client.Columns) error {
	w.rows += page.Len()
	for i, c := range w.columns {
		b := w.builder.Field(i)
		if c.append(b, page); b.Len() != w.rows {
			return fmt.Errorf("%w: a page without %s", client.ErrBadReply, c.name)
		}
	}
	if w.rows < batchRows {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	w.rows = 0
	batch := w.builder.NewRecordBatch()
	defer batch.Release()
	return w.out.Write(batch)
}

// end writes what is left, and the mark by which a reader knows that it has all.
func (w *writer) end() error {
	if w.rows > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.out.Close()
}

// writeTable writes the pages of a dump. If it returns an error, the stream has no
// end, unless it is client.ErrInterrupted.
func writeTable(to io.Writer, fields client.Field, pages iter.Seq2[*client.Columns, error]) error {
	w := newWriter(to, fields)
	var interrupted error
	for page, err := range pages {
		if errors.Is(err, client.ErrInterrupted) { // after the last page
			interrupted = err
			break
		}
		if err == nil {
			err = w.add(page)
		}
		if err != nil {
			return err
		}
	}
	return cmp.Or(w.end(), interrupted)
}
