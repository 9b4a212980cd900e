// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func array[T any](typ uint16, values ...T) []byte {
	b, err := binary.Append(nil, binary.NativeEndian, values)
	if err != nil {
		panic(err)
	}
	return script.Attr(typ, b)
}

// wholePage has three rows of every column.
var wholePage = slices.Concat(
	array(uapi.AttrColumnsID, uint32(1), uint32(0), uint32(0xffffffff)),
	array(uapi.AttrColumnsDeleted, uint8(0), uint8(1), uint8(0)),
	array(uapi.AttrColumnsNameEnd, uint16(3), uint16(3), uint16(4)),
	script.Attr(uapi.AttrColumnsNames, []byte("oneX")),
	array(uapi.AttrColumnsFlags, uint32(11), uint32(0), uint32(13)),
	array(uapi.AttrColumnsValue, uint64(21), uint64(0), uint64(1)<<63),
	array(uapi.AttrColumnsPayloadEnd, uint16(0), uint16(0), uint16(2)),
	script.Attr(uapi.AttrColumnsPayloads, []byte{7, 8}),
	array(uapi.AttrColumnsHits, uint64(31), uint64(0), uint64(33)),
	array(uapi.AttrColumnsBytes, uint64(41), uint64(0), uint64(43)),
	array(uapi.AttrColumnsCreated, uint64(1e9), uint64(0), uint64(3e9)),
	array(uapi.AttrColumnsUpdated, uint64(1e9+1), uint64(0), uint64(3e9+1)),
	array(uapi.AttrColumnsGeneration, uint64(51), uint64(52), uint64(53)),
)

// usualPage is one without payloads and statistics.
var usualPage = slices.Concat(
	array(uapi.AttrColumnsID, uint32(1), uint32(2)),
	array(uapi.AttrColumnsNameEnd, uint16(3), uint16(4)),
	script.Attr(uapi.AttrColumnsNames, []byte("oneX")),
	array(uapi.AttrColumnsFlags, uint32(11), uint32(12)),
	array(uapi.AttrColumnsValue, uint64(21), uint64(22)),
	array(uapi.AttrColumnsGeneration, uint64(51), uint64(52)),
)

var wholePageIs = []Entry{
	{ID: 1, Name: "one", Flags: 11, Value: 21, Generation: 51,
		Stats: Stats{Hits: 31, Bytes: 41, Created: time.Unix(1, 0).UTC(), Updated: time.Unix(1, 1).UTC()}},
	{ID: 0, Generation: 52, Deleted: true},
	{ID: 0xffffffff, Name: "X", Flags: 13, Value: 1 << 63, Payload: []byte{7, 8}, Generation: 53,
		Stats: Stats{Hits: 33, Bytes: 43, Created: time.Unix(3, 0).UTC(), Updated: time.Unix(3, 1).UTC()}},
}

// decodePage decodes a page to its records, and once more to its columns.
func decodePage(t *testing.T, b []byte) (all []Entry, err error) {
	t.Helper()
	d := decoder{yield: func(r *Record, _ error) bool {
		all = append(all, r.Entry())
		return true
	}}
	_, err = d.decodeColumns(nldump.Parse(b))
	var rows []Entry
	d = decoder{pages: func(c *Columns) bool {
		r := Record{Name: []byte("of before"), Payload: []byte{1}, Deleted: true, Stats: Stats{Hits: 1}}
		for i := range c.Len() {
			c.Record(i, &r)
			rows = append(rows, r.Entry())
		}
		return true
	}}
	if _, err2 := d.decodeColumns(nldump.Parse(b)); (err == nil) != (err2 == nil) || !reflect.DeepEqual(all, rows) {
		t.Errorf("by record %+v, %v\nby column %+v, %v", all, err, rows, err2)
	}
	return all, err
}

func TestDecodeColumns(t *testing.T) {
	id := array(uapi.AttrColumnsID, uint32(5), uint32(6))
	for _, tt := range []struct {
		name string
		in   []byte
		want []Entry
	}{
		{"whole", wholePage, wholePageIs},
		{"ids only", id, []Entry{{ID: 5}, {ID: 6}}},
		{"unknown column", append(script.U32(99, 1), id...), []Entry{{ID: 5}, {ID: 6}}},
		{"flags", append(array(uapi.AttrColumnsFlags, uint32(1), uint32(2)), id...), []Entry{{ID: 5, Flags: 1}, {ID: 6, Flags: 2}}},
		{"as most dumps have it", usualPage, []Entry{{ID: 1, Name: "one", Flags: 11, Value: 21, Generation: 51}, {ID: 2, Name: "X", Flags: 12, Value: 22, Generation: 52}}},
		{"no payloads", append(array(uapi.AttrColumnsPayloadEnd, uint16(0), uint16(0)), id...), []Entry{{ID: 5}, {ID: 6}}},
	} {
		if got, err := decodePage(t, tt.in); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

// Each column alone, next to the ids, sets its field and no other. The next row
// does not keep its value.
func TestDecodeColumnsEach(t *testing.T) {
	id := array(uapi.AttrColumnsID, uint32(1), uint32(2), uint32(3))
	second := func(ns int64) time.Time { return time.Unix(2, ns).UTC() }
	numbers := func(typ uint16) []byte { return array(typ, uint64(0), uint64(2e9+1), uint64(0)) }
	text := func(ends, all uint16) []byte {
		return append(array(ends, uint16(0), uint16(2), uint16(2)), script.Attr(all, []byte("ab"))...)
	}
	for name, tt := range map[string]struct {
		in   []byte
		want Record // the second row
		rest Record // the first and the third row
	}{
		"deleted":    {in: array(uapi.AttrColumnsDeleted, uint8(0), uint8(1), uint8(0)), want: Record{Deleted: true}},
		"name":       {in: text(uapi.AttrColumnsNameEnd, uapi.AttrColumnsNames), want: Record{Name: []byte("ab")}},
		"payload":    {in: text(uapi.AttrColumnsPayloadEnd, uapi.AttrColumnsPayloads), want: Record{Payload: []byte("ab")}},
		"flags":      {in: array(uapi.AttrColumnsFlags, uint32(0), uint32(7), uint32(0)), want: Record{Flags: 7}},
		"value":      {in: numbers(uapi.AttrColumnsValue), want: Record{Value: 2e9 + 1}},
		"hits":       {in: numbers(uapi.AttrColumnsHits), want: Record{Stats: Stats{Hits: 2e9 + 1}}},
		"bytes":      {in: numbers(uapi.AttrColumnsBytes), want: Record{Stats: Stats{Bytes: 2e9 + 1}}},
		"created":    {numbers(uapi.AttrColumnsCreated), Record{Stats: Stats{Created: second(1)}}, Record{Stats: Stats{Created: decodeTime(0)}}},
		"updated":    {numbers(uapi.AttrColumnsUpdated), Record{Stats: Stats{Updated: second(1)}}, Record{Stats: Stats{Updated: decodeTime(0)}}},
		"generation": {in: numbers(uapi.AttrColumnsGeneration), want: Record{Generation: 2e9 + 1}},
	} {
		want := []Entry{tt.rest.Entry(), tt.want.Entry(), tt.rest.Entry()}
		for i := range want {
			want[i].ID = uint32(i) + 1
		}
		if got, err := decodePage(t, append(tt.in, id...)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestDecodeColumnsRefuses(t *testing.T) {
	id := array(uapi.AttrColumnsID, uint32(5), uint32(6))
	ends := func(typ uint16, a, b uint16) []byte { return array(typ, a, b) }
	for name, in := range map[string][]byte{
		"nothing":                {},
		"no ids":                 array(uapi.AttrColumnsFlags, uint32(1)),
		"half an id":             script.Attr(uapi.AttrColumnsID, make([]byte, 6)),
		"an id and a half":       append(script.Attr(uapi.AttrColumnsFlags, make([]byte, 8)), script.Attr(uapi.AttrColumnsID, make([]byte, 10))...),
		"half of flags":          append(script.Attr(uapi.AttrColumnsFlags, make([]byte, 10)), id...),
		"half of value":          append(script.Attr(uapi.AttrColumnsValue, make([]byte, 20)), id...),
		"half of name-end":       append(script.Attr(uapi.AttrColumnsNameEnd, make([]byte, 5)), id...),
		"empty flags":            append(script.Attr(uapi.AttrColumnsFlags), id...),
		"short deleted":          append(array(uapi.AttrColumnsDeleted, uint8(1)), id...),
		"long flags":             append(array(uapi.AttrColumnsFlags, uint32(1), uint32(2), uint32(3)), id...),
		"value of 4 bytes":       append(array(uapi.AttrColumnsValue, uint32(1), uint32(2)), id...),
		"short hits":             append(array(uapi.AttrColumnsHits, uint64(1)), id...),
		"short bytes":            append(array(uapi.AttrColumnsBytes, uint64(1)), id...),
		"short created":          append(array(uapi.AttrColumnsCreated, uint64(1)), id...),
		"short updated":          append(array(uapi.AttrColumnsUpdated, uint64(1)), id...),
		"short generation":       append(array(uapi.AttrColumnsGeneration, uint64(1)), id...),
		"short name-end":         append(array(uapi.AttrColumnsNameEnd, uint16(0)), id...),
		"short payload-end":      append(array(uapi.AttrColumnsPayloadEnd, uint16(0)), id...),
		"end before start":       slices.Concat(id, ends(uapi.AttrColumnsNameEnd, 2, 1), script.Attr(uapi.AttrColumnsNames, []byte("a"))),
		"end beyond names":       slices.Concat(id, ends(uapi.AttrColumnsNameEnd, 1, 3), script.Attr(uapi.AttrColumnsNames, []byte("ab"))),
		"names left over":        slices.Concat(id, ends(uapi.AttrColumnsNameEnd, 1, 2), script.Attr(uapi.AttrColumnsNames, []byte("abc"))),
		"names without ends":     append(script.Attr(uapi.AttrColumnsNames, []byte("abc")), id...),
		"name of 64":             slices.Concat(id, ends(uapi.AttrColumnsNameEnd, 0, 64), script.Attr(uapi.AttrColumnsNames, make([]byte, 64))),
		"payload of 60001":       slices.Concat(id, ends(uapi.AttrColumnsPayloadEnd, 0, 60001), script.Attr(uapi.AttrColumnsPayloads, make([]byte, 60001))),
		"payloads without ends":  append(script.Attr(uapi.AttrColumnsPayloads, []byte("abc")), id...),
		"attribute that is none": append(slices.Clone(id), 1, 0, 1, 0),
	} {
		if got, err := decodePage(t, in); !errors.Is(err, ErrBadReply) || len(got) > 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// A row points into the page, and the loop ends when yield returns false.
func TestDecodeColumnsLends(t *testing.T) {
	page := slices.Clone(wholePage)
	d := decoder{yield: func(*Record, error) bool { return false }}
	more, err := d.decodeColumns(nldump.Parse(page))
	if more || err != nil || d.records != 1 {
		t.Fatalf("%d rows, more: %v, %v", d.records, more, err)
	}
	r := &d.record
	page[bytes.Index(page, []byte("one"))] = 'O'
	if string(r.Name) != "One" || cap(r.Name) != 3 {
		t.Errorf("name %q of capacity %d", r.Name, cap(r.Name))
	}
}

func TestDecodeColumnsDoesNotAllocate(t *testing.T) {
	for name, d := range map[string]*decoder{
		"records": {yield: func(*Record, error) bool { return true }},
		"columns": {pages: func(*Columns) bool { return true }},
	} {
		for _, page := range [][]byte{wholePage, usualPage, shifted(wholePage)} {
			if n := testing.AllocsPerRun(100, func() {
				if _, err := d.decodeColumns(nldump.Parse(page)); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations for a page", name, n)
			}
		}
	}
}

// shifted is a page whose numbers of 8 bytes are aligned where those of b are not.
func shifted(b []byte) []byte {
	return append(script.Attr(99), b...)
}

// Columns yields pages as they are, wherever their arrays lie.
func TestColumns(t *testing.T) {
	page := func(columns []byte) []byte {
		return script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}, script.Attr(uapi.AttrEntryColumns, columns))
	}
	for name, columns := range map[string][]byte{"as it comes": wholePage, "shifted": shifted(wholePage)} {
		k := &scriptedKernel{}
		c := dialFake(t, k, []script.Step{script.Page(page(columns)), script.Page(page(columns), done())})
		var stats nldump.Stats
		pages := 0
		for got, err := range c.Columns(t.Context(), DumpOptions{Stats: &stats}) {
			if err != nil {
				t.Fatal(err)
			}
			pages++
			if at := unsafe.Pointer(&got.Generations[0]); uintptr(at)%unsafe.Alignof(uint64(0)) != 0 {
				t.Errorf("%s: numbers at %p", name, at)
			}
			same := *got
			same.copies = copies{}
			want := Columns{
				IDs: []uint32{1, 0, 0xffffffff}, Deleted: []byte{0, 1, 0}, Flags: []uint32{11, 0, 13}, Values: []uint64{21, 0, 1 << 63},
				NameEnds: []uint16{3, 3, 4}, Names: []byte("oneX"), PayloadEnds: []uint16{0, 0, 2}, Payloads: []byte{7, 8},
				Hits: []uint64{31, 0, 33}, Bytes: []uint64{41, 0, 43}, Created: []uint64{1e9, 0, 3e9}, Updated: []uint64{1e9 + 1, 0, 3e9 + 1},
				Generations: []uint64{51, 52, 53},
			}
			if !reflect.DeepEqual(same, want) {
				t.Errorf("%s: got  %+v\nwant %+v", name, same, want)
			}
			if string(got.Name(0)) != "one" || got.Name(1) != nil || string(got.Name(2)) != "X" || got.Payload(0) != nil || len(got.Payload(2)) != 2 {
				t.Errorf("%s: names %q %q %q, payloads %x %x", name, got.Name(0), got.Name(1), got.Name(2), got.Payload(0), got.Payload(2))
			}
		}
		if pages != 2 || stats.Records != 6 || stats.Pages != 2 {
			t.Errorf("%s: %d pages, %+v", name, pages, stats)
		}
	}
}

// A loop over columns can be left, and gets an error with no columns.
func TestColumnsEnd(t *testing.T) {
	whole := script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}, script.Attr(uapi.AttrEntryColumns, usualPage))
	plain := script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}, script.U32(uapi.AttrEntryID, 1))
	c := dialFake(t, &scriptedKernel{}, []script.Step{script.Page(whole, plain)}, []script.Step{script.Page(whole), script.Page(whole, done())})
	var errs []error
	for page, err := range c.Columns(t.Context(), DumpOptions{}) {
		if (page == nil) != (err != nil) {
			t.Errorf("%v with %v", page, err)
		}
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], ErrBadReply) || !strings.Contains(errs[1].Error(), "not in columns") {
		t.Errorf("a record among columns: %v", errs)
	}
	var stats nldump.Stats
	for _, err := range c.Columns(t.Context(), DumpOptions{Stats: &stats}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if stats.Records != 2 {
		t.Errorf("left after the first page: %+v", stats)
	}
}

// A dump of columns counts its rows, and goes on over pages.
func TestDumpOfColumns(t *testing.T) {
	message := script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}, script.Attr(uapi.AttrEntryColumns, wholePage))
	c := dialFake(t, &scriptedKernel{}, []script.Step{script.Page(message), script.Page(message, done())})
	var stats nldump.Stats
	got, err := ids(t.Context(), c, DumpOptions{Encoding: EncodingColumns, Stats: &stats})
	if err != nil || !slices.Equal(got, []uint32{1, 0, 0xffffffff, 1, 0, 0xffffffff}) {
		t.Errorf("%v, %v", got, err)
	}
	if stats.Records != 6 || stats.Pages != 2 {
		t.Errorf("stats %+v", stats)
	}
}

// FuzzDecodeColumns finds panics, rows that reach beyond the page, and errors
// of other kinds.
func FuzzDecodeColumns(f *testing.F) {
	f.Add(wholePage)
	f.Add(usualPage)
	f.Add(shifted(wholePage))
	f.Add(array(uapi.AttrColumnsID, uint32(5), uint32(6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		rows := 0
		d := decoder{yield: func(r *Record, _ error) bool {
			rows++
			if len(r.Name) > NameLenMax || len(r.Payload) > PayloadLenMax || cap(r.Name) > len(b) || cap(r.Payload) > len(b) {
				t.Fatalf("name of %d bytes, payload of %d", len(r.Name), len(r.Payload))
			}
			return true
		}}
		_, err := d.decodeColumns(nldump.Parse(b))
		_, _ = decodePage(t, b)
		if !bytes.Equal(b, before) {
			t.Fatal("the bytes were changed")
		}
		if err != nil && (!errors.Is(err, ErrBadReply) || rows > 0) {
			t.Fatalf("%v after %d rows", err, rows)
		}
	})
}
