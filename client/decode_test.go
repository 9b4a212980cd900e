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

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func needLittleEndian(t testing.TB) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes are those of a little endian host")
	}
}

// wholeEntry is an entry as the kernel sends it, written by hand.
var wholeEntry = []byte{
	8, 0, 1, 0, 1, 2, 3, 4, // id 0x04030201
	7, 0, 2, 0, 'a', 'b', 0, 0, // name "ab"
	8, 0, 3, 0, 1, 0, 0, 0x80, // flags 0x80000001
	12, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, // value 1<<32, in 8 bytes
	7, 0, 5, 0, 0xde, 0xad, 0xbe, 0, // payload de ad be
	44, 0, 6, 0x80, // stats, NLA_F_NESTED
	/**/ 8, 0, 1, 0, 2, 0, 0, 0, // hits 2, in 4 bytes
	/**/ 8, 0, 2, 0, 3, 0, 0, 0, // bytes 3
	/**/ 12, 0, 3, 0, 0, 0xca, 0x9a, 0x3b, 0, 0, 0, 0, // created: 1 s
	/**/ 12, 0, 4, 0, 1, 0x94, 0x35, 0x77, 0, 0, 0, 0, // updated: 2 s and 1 ns
	8, 0, 7, 0, 5, 0, 0, 0, // generation 5, in 4 bytes
}

var wholeEntryIs = Entry{
	ID: 0x04030201, Name: "ab", Flags: 0x80000001, Value: 1 << 32,
	Payload:    []byte{0xde, 0xad, 0xbe},
	Stats:      Stats{Hits: 2, Bytes: 3, Created: time.Unix(1, 0).UTC(), Updated: time.Unix(2, 1).UTC()},
	Generation: 5,
}

func TestDecodeRecord(t *testing.T) {
	needLittleEndian(t)
	id := script.U32(uapi.AttrEntryID, 9)
	for _, tt := range []struct {
		name string
		in   []byte
		want Entry
	}{
		{"whole", wholeEntry, wholeEntryIs},
		{"id only", id, Entry{ID: 9}},
		{"id 0", script.U32(uapi.AttrEntryID, 0), Entry{}},
		{"largest id", script.U32(uapi.AttrEntryID, 0xffffffff), Entry{ID: 0xffffffff}},
		{"name without NUL", append(script.Attr(uapi.AttrEntryName, []byte("xyz")), id...), Entry{ID: 9, Name: "xyz"}},
		{"longest name", append(script.Text(uapi.AttrEntryName, strings.Repeat("n", 63)), id...), Entry{ID: 9, Name: strings.Repeat("n", 63)}},
		{"longest payload", append(script.Attr(uapi.AttrEntryPayload, make([]byte, 60000)), id...), Entry{ID: 9, Payload: make([]byte, 60000)}},
		{"unknown attribute", append(script.U32(999, 1), id...), Entry{ID: 9}},
		{"unknown in stats", append(script.Attr(uapi.AttrEntryStats, script.U32(99, 1), script.U32(uapi.AttrStatsHits, 4)), id...), Entry{ID: 9, Stats: Stats{Hits: 4}}},
		{"deleted", append(script.Attr(uapi.AttrEntryDeleted), id...), Entry{ID: 9, Deleted: true}},
		{"last of two", append(script.U32(uapi.AttrEntryID, 1), id...), Entry{ID: 9}},
		{"last time", append(script.Attr(uapi.AttrEntryStats, script.U64(uapi.AttrStatsCreated, 1<<64-1)), id...),
			Entry{ID: 9, Stats: Stats{Created: time.Unix(18446744073, 709551615).UTC()}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Record{ID: 1, Name: []byte("left over"), Flags: 1, Value: 1, Payload: []byte{1}, Stats: Stats{Hits: 1}, Generation: 1}
			if err := decodeRecord(tt.in, &r); err != nil {
				t.Fatal(err)
			}
			if got := r.Entry(); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	id := script.U32(uapi.AttrEntryID, 9)
	for name, in := range map[string][]byte{
		"nothing":            {},
		"no id":              script.Text(uapi.AttrEntryName, "a"),
		"id of 8 bytes":      script.U64(uapi.AttrEntryID, 9),
		"flags of 8 bytes":   append(script.U64(uapi.AttrEntryFlags, 9), id...),
		"value of 2 bytes":   append(script.Attr(uapi.AttrEntryValue, []byte{1, 2}), id...),
		"hits of 1 byte":     append(script.Attr(uapi.AttrEntryStats, script.Attr(uapi.AttrStatsHits, []byte{1})), id...),
		"created of 3 bytes": append(script.Attr(uapi.AttrEntryStats, script.Attr(uapi.AttrStatsCreated, []byte{1, 2, 3})), id...),
		"stats cut":          append(script.Attr(uapi.AttrEntryStats, []byte{8, 0, 1, 0, 1}), id...),
		"name of 64 bytes":   append(script.Text(uapi.AttrEntryName, strings.Repeat("n", 64)), id...),
		"payload of 60001":   append(script.Attr(uapi.AttrEntryPayload, make([]byte, 60001)), id...),
		"cut":                append(id, wholeEntry[:10]...),
		"generation empty":   append(script.Attr(uapi.AttrEntryGeneration), id...),
	} {
		if err := decodeRecord(in, new(Record)); !errors.Is(err, ErrBadReply) {
			t.Errorf("%s: error %v, want ErrBadReply", name, err)
		}
	}
	if err := decodeRecord(id[:7], new(Record)); !errors.Is(err, nldump.ErrMalformed) {
		t.Errorf("a cut attribute: %v, want ErrMalformed", err)
	}
}

// decodeUsual accepts what the kernel writes, with any set of fields. The
// result is the same as that of decodeRecord.
func TestDecodeUsual(t *testing.T) {
	id := script.U32(uapi.AttrEntryID, 9)
	for name, in := range map[string][]byte{
		"longest name":     append(slices.Clone(id), script.Text(uapi.AttrEntryName, strings.Repeat("n", NameLenMax))...),
		"longest payload":  append(slices.Clone(id), script.Attr(uapi.AttrEntryPayload, make([]byte, PayloadLenMax))...),
		"small value":      slices.Concat(id, script.U32(uapi.AttrEntryFlags, 1), script.U32(uapi.AttrEntryValue, 2), script.U32(uapi.AttrEntryGeneration, 3)),
		"large generation": slices.Concat(id, script.U32(uapi.AttrEntryFlags, 1), script.U64(uapi.AttrEntryValue, 2), script.U64(uapi.AttrEntryGeneration, 3)),
		"stats of small values": slices.Concat(id, script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.U32(uapi.AttrStatsHits, 1), script.U64(uapi.AttrStatsBytes, 2),
			script.U32(uapi.AttrStatsCreated, 3), script.U32(uapi.AttrStatsUpdated, 4)), script.U32(uapi.AttrEntryGeneration, 5)),
		"stats without times": slices.Concat(id, script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.U32(uapi.AttrStatsHits, 1), script.U32(uapi.AttrStatsBytes, 2))),
		"stats of nothing":    slices.Concat(id, script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED), script.U32(uapi.AttrEntryGeneration, 5)),
	} {
		checkUsual(t, name, in)
	}
	for fields := range FieldsAll + 1 {
		var attrs [][]byte
		for _, a := range []struct {
			field Field
			typ   uint16
		}{
			{0, uapi.AttrEntryID}, {FieldName, uapi.AttrEntryName}, {FieldFlags, uapi.AttrEntryFlags}, {FieldValue, uapi.AttrEntryValue},
			{FieldPayload, uapi.AttrEntryPayload}, {FieldStats, uapi.AttrEntryStats}, {FieldGeneration, uapi.AttrEntryGeneration},
		} {
			if fields&a.field == a.field {
				attrs = append(attrs, wholeAttr(t, a.typ))
			}
		}
		r := checkUsual(t, fields.String(), slices.Concat(attrs...))
		if fields == FieldsAll && !reflect.DeepEqual(r.Entry(), wholeEntryIs) {
			t.Errorf("%+v, want %+v", r.Entry(), wholeEntryIs)
		}
	}
}

// checkUsual checks that decodeUsual accepts the record, decodes it as decodeRecord
// does, and leaves name and payload no capacity to append to.
func checkUsual(t *testing.T, name string, in []byte) Record {
	t.Helper()
	usual := Record{ID: 1, Name: []byte("left over"), Flags: 1, Value: 1, Payload: []byte{1}, Stats: Stats{Hits: 1}, Generation: 1, Deleted: true}
	if !decodeUsual(ofEntry(in), &usual) {
		t.Errorf("%s: not as usual", name)
		return usual
	}
	var r Record
	if err := decodeRecord(in, &r); err != nil || !reflect.DeepEqual(usual, r) {
		t.Errorf("%s: %+v, want %+v, %v", name, usual, r, err)
	}
	if cap(usual.Name) != len(usual.Name) || cap(usual.Payload) != len(usual.Payload) {
		t.Errorf("%s: name of capacity %d, payload of %d", name, cap(usual.Name), cap(usual.Payload))
	}
	return usual
}

// decodeUsual leaves an odd record to decodeRecord.
func TestDecodeUsualRefuses(t *testing.T) {
	id := script.U32(uapi.AttrEntryID, 9)
	header := script.U32(uapi.AttrEntryGeneration, 0)[:attrHeaderLen]
	for name, in := range map[string][]byte{
		"empty":                  {},
		"no id":                  script.U32(uapi.AttrEntryFlags, 1),
		"short id":               id[:7],
		"two bytes more":         append(slices.Clone(id), 0, 0),
		"unknown attribute":      append(slices.Clone(id), script.U32(999, 1)...),
		"unknown before value":   slices.Concat(id, script.U32(999, 1), script.U64(uapi.AttrEntryValue, 2), script.U32(uapi.AttrEntryGeneration, 3)),
		"unknown at the end":     slices.Concat(id, script.U32(uapi.AttrEntryFlags, 1), script.U64(uapi.AttrEntryValue, 2), script.U32(uapi.AttrEntryGeneration, 3), script.U32(999, 1)),
		"deleted":                append(slices.Clone(id), script.Attr(uapi.AttrEntryDeleted)...),
		"another order":          append(script.U32(uapi.AttrEntryFlags, 1), id...),
		"twice":                  append(slices.Clone(id), id...),
		"long payload":           append(slices.Clone(id), script.Attr(uapi.AttrEntryPayload, make([]byte, PayloadLenMax+1))...),
		"long name":              append(slices.Clone(id), script.Text(uapi.AttrEntryName, strings.Repeat("n", NameLenMax+1))...),
		"name without NUL":       append(slices.Clone(id), script.Attr(uapi.AttrEntryName, []byte("abcd"))...),
		"unknown in stats":       append(slices.Clone(id), script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.Attr(99, []byte{1}))...),
		"stats of odd bytes":     append(slices.Clone(id), script.Poke(script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.Attr(99, []byte{1})), 0, 9)...),
		"stats cut":              append(slices.Clone(id), script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.U64(uapi.AttrStatsHits, 1)[:11])...),
		"stats another order":    append(slices.Clone(id), script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, script.U32(uapi.AttrStatsBytes, 1), script.U32(uapi.AttrStatsHits, 2))...),
		"bad stats":              append(slices.Clone(id), script.Attr(uapi.AttrEntryStats|unix.NLA_F_NESTED, []byte{1})...),
		"cut":                    append(slices.Clone(id), wholeEntry[8:14]...),
		"cut in value":           slices.Concat(id, script.U32(uapi.AttrEntryFlags, 1), script.U64(uapi.AttrEntryValue, 2)[:11]),
		"name not padded":        append(slices.Clone(id), script.Text(uapi.AttrEntryName, "ab")[:7]...),
		"name of no bytes":       append(slices.Clone(id), script.Attr(uapi.AttrEntryName)...),
		"name of -2 bytes":       append(slices.Clone(id), script.Poke(script.Text(uapi.AttrEntryName, "abc"), 0, 2)...),
		"payload beyond the end": append(slices.Clone(id), script.Poke(script.Attr(uapi.AttrEntryPayload, []byte("abc")), 0, 250)...),
		"number cut":             append(slices.Clone(id), script.U32(uapi.AttrEntryValue, 1)[:7]...),
		"payload of -2 bytes":    append(slices.Clone(id), script.Poke(script.Attr(uapi.AttrEntryPayload, []byte("abc")), 0, 2)...),
		"flags of 8 bytes":       append(slices.Clone(id), script.U64(uapi.AttrEntryFlags, 1)...),
		"flags with a header in": slices.Concat(id, script.Attr(uapi.AttrEntryFlags, make([]byte, 4), header), script.Attr(999)),
		"id of 12 bytes":         append(script.Poke(script.U32(uapi.AttrEntryID, 9), 0, 12), script.U32(uapi.AttrEntryFlags, 1)...),
	} {
		if decodeUsual(ofEntry(in), new(Record)) {
			t.Errorf("%s: as usual", name)
		}
	}
	if decodeUsual(script.Poke(ofEntry(id), unix.SizeofNlMsghdr, uapi.CmdEntryNew), new(Record)) {
		t.Error("another command: as usual")
	}
}

// ofEntry returns a record with the attributes, not padded.
func ofEntry(attrs []byte) []byte {
	return append(script.Record(0, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}), attrs...)
}

// wholeAttr returns the attribute of that type from wholeEntry, with its header
// and padding.
func wholeAttr(t *testing.T, typ uint16) []byte {
	t.Helper()
	for b := wholeEntry; len(b) > 0; {
		n := alignAttr(int(binary.NativeEndian.Uint16(b)))
		if binary.NativeEndian.Uint16(b[2:])&^unix.NLA_F_NESTED == typ {
			return b[:n]
		}
		b = b[n:]
	}
	t.Fatalf("no attribute %d", typ)
	return nil
}

func TestDecodeTable(t *testing.T) {
	var b []byte
	for i := uint16(uapi.AttrTableCount); i <= uapi.AttrTableTombstonesMax; i++ {
		b = append(b, script.U32(i, uint32(i)+100)...)
	}
	got, err := decodeTable(b)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := uint32(103), uint32(104)
	want := Table{
		Count: 101, Generation: 102, IDMin: &lo, IDMax: &hi, Bytes: 105, RecordMax: 106, EntriesMax: 107,
		DumpsStarted: 108, DumpsFinished: 109, DumpsAbandoned: 110, DumpsInterrupted: 111, DumpsOpen: 112, Pages: 113, Records: 114,
		Scanned: 115, DumpsMemory: 116, LogFloor: 117, Tombstones: 118, TombstonesMax: 119,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, err := decodeTable(script.U64(uapi.AttrTableCount, 1<<40)); err != nil || got.Count != 1<<40 || got.IDMin != nil || got.IDMax != nil {
		t.Errorf("an empty table: %+v, %v", got, err)
	}
	if _, err := decodeTable(script.U64(uapi.AttrTableIDMin, 1)); !errors.Is(err, ErrBadReply) {
		t.Errorf("id-min of 8 bytes: %v", err)
	}
	if _, err := decodeFill(script.U64(uapi.AttrFillCount, 1)); !errors.Is(err, ErrBadReply) {
		t.Errorf("count of 8 bytes: %v", err)
	}
}

// FuzzDecodeRecord finds panics, records that reach beyond their bytes, and
// errors of other kinds. If a record is accepted, encoding and decoding it
// again must not change it.
func FuzzDecodeRecord(f *testing.F) {
	f.Add(wholeEntry)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var r Record
		err := decodeRecord(b, &r)
		var usual Record
		if decodeUsual(ofEntry(b), &usual) && (err != nil || !reflect.DeepEqual(usual.Entry(), r.Entry())) {
			t.Fatalf("as usual %+v, but %+v, %v", usual.Entry(), r.Entry(), err)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the bytes were changed")
		}
		if err != nil {
			if !errors.Is(err, ErrBadReply) {
				t.Fatalf("error %v is no ErrBadReply", err)
			}
			return
		}
		if len(r.Name) > NameLenMax || len(r.Payload) > PayloadLenMax || cap(r.Name) > len(b) || cap(r.Payload) > len(b) {
			t.Fatalf("name of %d bytes, payload of %d", len(r.Name), len(r.Payload))
		}
		again := Record{}
		if err := decodeRecord(encodeRecord(&r), &again); err != nil {
			t.Fatal(err)
		}
		if got, want := again.Entry(), r.Entry(); !reflect.DeepEqual(normal(got), normal(want)) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// normal turns an empty payload into nil.
func normal(e Entry) Entry {
	if len(e.Payload) == 0 {
		e.Payload = nil
	}
	return e
}

func FuzzDecodeTable(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeTable(b); err != nil && !errors.Is(err, nldump.ErrMalformed) {
			t.Fatal(err)
		}
		if _, err := decodeFill(b); err != nil && !errors.Is(err, nldump.ErrMalformed) {
			t.Fatal(err)
		}
	})
}
