// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// randomTable creates entries with every length and every width of a number
// that an encoding could get wrong.
func randomTable(t *testing.T, c *client.Client, r *rand.Rand, count int) {
	t.Helper()
	number := func() uint64 { return r.Uint64() >> r.IntN(64) }
	for range count {
		e := client.Entry{
			ID:    uint32(number()),
			Name:  string(bytes.Repeat([]byte{byte('a' + r.IntN(26))}, 1+r.IntN(client.NameLenMax))),
			Flags: uint32(number()),
			Value: number(),
		}
		if r.IntN(2) == 0 {
			e.Payload = bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(70))
		}
		if _, err := c.New(t.Context(), e); err != nil {
			continue // the id is taken
		}
		for range r.IntN(3) {
			if _, err := c.Get(t.Context(), e.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, v := range []uint64{0, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64} {
		if _, err := c.Set(t.Context(), client.Change{ID: uint32(v >> 3), Name: ptr("n"), Value: &v, Create: true}); err != nil {
			t.Fatal(err)
		}
	}
}

// The direct encoding gives the same bytes as the plain one, for any table and
// any fields.
// Rules 15, 21, 29.
func TestDirectIsPlain(t *testing.T) {
	c := setup(t)
	r := rand.New(rand.NewPCG(1, 2))
	randomTable(t, c, r, int(smallPages(200)))
	wantDirectIsPlain(t, 64<<10)
	// The largest value of 4 bytes, where just that much is left of a page.
	flush(t, c)
	for id := range smallPages(600) {
		makeEntry(t, c, client.Entry{ID: id, Name: strings.Repeat("n", 1+r.IntN(client.NameLenMax)), Value: math.MaxUint32})
	}
	wantDirectIsPlain(t, smallBuffer)
}

func wantDirectIsPlain(t *testing.T, buffer int) {
	t.Helper()
	for fields := range uint32(client.FieldsAll) + 1 {
		var dumps [2][][]nldump.Message
		for i, encoding := range []client.Encoding{client.EncodingPlain, client.EncodingDirect} {
			s := openRaw(t, client.FamilyName, buffer)
			s.send(cmdEntryGet, flagDump, attrU32(attrFields, fields), attrU32(attrEncoding, uint32(encoding)))
			dumps[i], _ = s.readDump()
			s.close()
		}
		if !reflect.DeepEqual(dumps[0], dumps[1]) {
			t.Fatalf("fields %v: the messages, or the pages that they are on, differ", client.Field(fields))
		}
		if n := len(dumps[0]); n < 2 {
			t.Fatalf("fields %v: %d pages", client.Field(fields), n)
		}
	}
}

// only returns the entry with these fields.
func only(e client.Entry, fields client.Field) client.Entry {
	o := client.Entry{ID: e.ID}
	if fields&client.FieldName != 0 {
		o.Name = e.Name
	}
	if fields&client.FieldFlags != 0 {
		o.Flags = e.Flags
	}
	if fields&client.FieldValue != 0 {
		o.Value = e.Value
	}
	if fields&client.FieldPayload != 0 {
		o.Payload = e.Payload
	}
	if fields&client.FieldStats != 0 {
		o.Stats = e.Stats
	}
	if fields&client.FieldGeneration != 0 {
		o.Generation = e.Generation
	}
	return o
}

func collect(t testing.TB, c *client.Client, o client.DumpOptions) (all []client.Entry) {
	t.Helper()
	for e, err := range c.Dump(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// All encodings have the same entries, with the requested fields.
func TestEncodingsCarryTheSame(t *testing.T) {
	c := setup(t)
	randomTable(t, c, rand.New(rand.NewPCG(3, 4)), 100)
	whole := collect(t, c, client.DumpOptions{})
	for fields := range client.FieldsAll + 1 {
		var want []client.Entry
		for _, e := range whole {
			want = append(want, only(e, fields))
		}
		for _, encoding := range encodings {
			got := collect(t, c, client.DumpOptions{Fields: &fields, Encoding: encoding})
			if len(got) != len(want) {
				t.Fatalf("%v, fields %v: %d entries, want %d", encoding, fields, len(got), len(want))
			}
			for i := range got {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("%v, fields %v: got %+v, want %+v", encoding, fields, got[i], want[i])
				}
			}
		}
	}
}

// The longest payload fits in a page of columns, together with the other
// columns. No page is so large that the length of the nest wraps.
// Rule 14.
func TestColumnsOfLargeRecords(t *testing.T) {
	c := setup(t)
	longest := bytes.Repeat([]byte("0123456789"), client.PayloadLenMax/10)
	for id := range uint32(6) {
		e := client.Entry{ID: id, Name: string(bytes.Repeat([]byte("n"), client.NameLenMax)), Value: math.MaxUint64, Payload: longest}
		if id%3 == 1 {
			e.Payload = longest[:3000]
		}
		makeEntry(t, c, e)
	}
	plain := collect(t, c, client.DumpOptions{})
	columns := collect(t, c, client.DumpOptions{Encoding: client.EncodingColumns})
	if len(columns) != 6 || !reflect.DeepEqual(plain, columns) {
		t.Errorf("%d entries, or others than the %d of plain", len(columns), len(plain))
	}
}

// A dump without payloads does not need pages as large as the largest entry.
func TestFieldsBoundThePage(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 0, Payload: make([]byte, client.PayloadLenMax)})
	fill(t, c, client.FillOptions{Count: 5000, IDStart: 1})
	for _, encoding := range encodings {
		var with, without nldump.Stats
		collect(t, c, client.DumpOptions{Encoding: encoding, Stats: &with})
		collect(t, c, client.DumpOptions{Encoding: encoding, Stats: &without, Fields: ptr(client.FieldName)})
		if with.LargestPage <= client.PayloadLenMax || without.LargestPage > 32<<10 {
			t.Errorf("%v: pages of up to %d bytes with payloads, %d without", encoding, with.LargestPage, without.LargestPage)
		}
	}
}
