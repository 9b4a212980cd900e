// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// A dumpModel is a dump that a tableModel must send, and what came of it.
type dumpModel struct {
	table  *tableModel
	seq    uint32
	cursor client.Cursor
	since  *uint64 // nil: of the whole table
	fields client.Field
	want   []client.Entry // of the table at the start; of a delta, also deleted ones

	got     []client.Entry
	touched map[uint32]bool // ids that changed since
	made    int             // pages at most; whatever is read from the socket makes one
	read    int             // pages
	before  int             // pages at most that were made before the table changed; 0: it did not
	marked  bool            // with NLM_F_DUMP_INTR
}

// dump returns what an accepted request must send. A record has the fields that the
// request names, without Stats.
func (m *tableModel) dump(attrs map[uint16][]byte) *dumpModel {
	filter, _ := filterOf(attrs[attrFilter])
	d := &dumpModel{table: m, fields: client.FieldsAll, touched: make(map[uint32]bool), made: 1}
	if value, ok := attrs[attrFields]; ok {
		d.fields = client.Field(number(value))
	}
	if value, ok := attrs[attrCursor]; ok {
		d.cursor = client.Cursor(number(value))
	}
	all := slices.Collect(maps.Values(m.entries))
	var since uint64
	if value, ok := attrs[attrSince]; ok {
		since = number(value)
		d.since = &since
		for generation, id := range m.tombstones {
			all = append(all, client.Entry{ID: id, Generation: generation, Deleted: true})
		}
	}
	d.sort(all)
	for _, e := range all {
		if e.Generation > since && filter.wants(e) {
			record := only(e, d.fields)
			record.Deleted = e.Deleted
			d.want = append(d.want, record)
		}
	}
	return d
}

// sort puts records in the order that the cursor promises, or in some order if it
// promises none.
func (d *dumpModel) sort(all []client.Entry) {
	if d.since == nil {
		byID(all)
		return
	}
	slices.SortFunc(all, func(a, b client.Entry) int { return cmp.Compare(a.Generation, b.Generation) })
}

// touch notes that an entry changes while the dump is open.
func (d *dumpModel) touch(ids []uint32) {
	d.before = cmp.Or(d.before, d.made)
	for _, id := range ids {
		d.touched[id] = true
	}
}

// take takes a message, and reports whether it is the last one.
func (d *dumpModel) take(t testing.TB, m nldump.Message) (done bool, err error) {
	d.marked = d.marked || m.Flags&flagIntr != 0
	if m.Type == unix.NLMSG_DONE {
		return true, d.judge(verdictOf(t, m).errno)
	}
	d.got = append(d.got, recordsOf(t, m)...)
	return false, nil
}

func (d *dumpModel) what() string {
	since := "all"
	if d.since != nil {
		since = fmt.Sprint("since ", *d.since)
	}
	return fmt.Sprintf("%v, %v, %v, %d records", since, d.cursor, d.fields, len(d.got))
}

// judge returns what is wrong with the whole dump.
func (d *dumpModel) judge(errno unix.Errno) error {
	stale := d.since != nil && d.table.floor > *d.since
	changed := d.before > 0
	switch {
	case errno == unix.ESTALE && stale && changed:
		return nil // the log has lost what the dump had to send
	case errno != 0:
		return fmt.Errorf("the dump ended with %v", errno)
	case d.marked && !changed:
		return fmt.Errorf("it is marked as interrupted, but the table did not change: %s", d.what())
	case changed && d.read > d.before && !d.marked:
		return fmt.Errorf("the table changed after page %d at most, but page %d is not marked as interrupted: %s", d.before, d.read, d.what())
	case changed && (d.cursor == client.CursorBucket || d.cursor == client.CursorIndex):
		return nil // they promise nothing then
	}
	touched := func(e client.Entry) bool { return d.touched[e.ID] }
	want, got := slices.DeleteFunc(d.want, touched), slices.DeleteFunc(d.got, touched)
	if d.since == nil && d.cursor != client.CursorKey {
		d.sort(got)
	}
	for i := range got {
		if i == len(want) || !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Errorf("record %d of %d is %+v, want %+v", i, len(got), got[i], want[min(i, len(want)):min(i+1, len(want))])
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d records, want %d, the next one %+v", len(got), len(want), want[len(got)])
	}
	return nil
}

const attrDeleted = 14

// recordsOf returns the records in a message of a dump, without their Stats: one, or a
// page of columns. It is written by hand from bulkdump.yaml, too.
func recordsOf(t testing.TB, m nldump.Message) []client.Entry {
	t.Helper()
	var e client.Entry
	a := nldump.Parse(m.Data[4:])
	for a.Next() {
		switch a.Type() {
		case attrID:
			e.ID = a.Uint32()
		case attrName:
			e.Name = cString(a.Bytes())
		case attrFlags:
			e.Flags = a.Uint32()
		case attrValue:
			e.Value = number(a.Bytes())
		case attrPayload:
			e.Payload = bytes.Clone(a.Bytes())
		case attrGeneration:
			e.Generation = number(a.Bytes())
		case attrDeleted:
			e.Deleted = true
		case attrColumns:
			return rowsOf(a.Nested())
		}
	}
	return []client.Entry{e}
}

// rowsOf returns the rows of a page of columns.
func rowsOf(a nldump.Attrs) []client.Entry {
	columns := make(map[uint16][]byte)
	for a.Next() {
		columns[a.Type()] = a.Bytes()
	}
	u32 := func(typ uint16, i int) uint32 {
		if len(columns[typ]) == 0 {
			return 0
		}
		return binary.NativeEndian.Uint32(columns[typ][4*i:])
	}
	u64 := func(typ uint16, i int) uint64 {
		if len(columns[typ]) == 0 {
			return 0
		}
		return binary.NativeEndian.Uint64(columns[typ][8*i:])
	}
	part := func(ends, all uint16, i int) []byte {
		if len(columns[ends]) == 0 {
			return nil
		}
		start := uint16(0)
		if i > 0 {
			start = binary.NativeEndian.Uint16(columns[ends][2*i-2:])
		}
		return columns[all][start:binary.NativeEndian.Uint16(columns[ends][2*i:])]
	}
	const id, deleted, nameEnd, names, flags, value, payloadEnd, payloads, generation = 1, 2, 3, 4, 5, 6, 7, 8, 13
	rows := make([]client.Entry, len(columns[id])/4)
	for i := range rows {
		e := client.Entry{
			ID: u32(id, i), Name: string(part(nameEnd, names, i)), Flags: u32(flags, i), Value: u64(value, i), Generation: u64(generation, i),
		}
		if payload := part(payloadEnd, payloads, i); len(payload) > 0 {
			e.Payload = bytes.Clone(payload)
		}
		if len(columns[deleted]) > 0 {
			e.Deleted = columns[deleted][i] != 0
		}
		rows[i] = e
	}
	return rows
}
