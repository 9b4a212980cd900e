// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// FuzzDecodeRecord looks for a panic, for a record that reaches beyond its
// bytes, and for an error of another kind. What it accepts must be the same
// after it was encoded and decoded again.
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

// normal makes no difference between no payload and an empty one.
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
		if _, err := decodeFilled(b); err != nil && !errors.Is(err, nldump.ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// FuzzDecodeEvent looks for a panic, for an error of another kind, and for an
// event of an entry that is not of the entry's generation.
func FuzzDecodeEvent(f *testing.F) {
	for cmd := byte(uapi.CmdEntryNewNtf); cmd <= uapi.CmdTableFlushNtf; cmd++ {
		f.Add(append([]byte{cmd, 1, 0, 0}, wholeEntry...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if err != nil && !errors.Is(err, ErrBadReply) {
			t.Fatalf("error %v is no ErrBadReply", err)
		}
		if err == nil && (e.Kind > EventFlush || e.Generation != e.Entry.Generation && e.Kind != 0 && (e.Kind <= EventDel)) {
			t.Fatalf("%+v", e)
		}
		isFarewell(b, fakeFamily)
	})
}
