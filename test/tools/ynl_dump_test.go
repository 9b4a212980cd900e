// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"bulkdump/client"
)

// ynlColumns is a page in columns, as in the spec: arrays of numbers, and names
// and payloads in one piece each.
type ynlColumns struct {
	ID         []uint32
	Deleted    []uint8
	NameEnd    []uint16 `json:"name-end"`
	Names      hexBytes
	Flags      []uint32
	Value      []uint64
	PayloadEnd []uint16 `json:"payload-end"`
	Payloads   hexBytes
	Hits       []uint64
	Bytes      []uint64
	Created    []uint64
	Updated    []uint64
	Generation []uint64
}

// entries returns the rows. A column that was not sent sets nothing. If a
// column is shorter than the ids, entries panics.
func (c *ynlColumns) entries() (all []client.Entry) {
	for i, id := range c.ID {
		e := ynlEntry{ID: id}
		if c.Deleted != nil {
			e.Deleted = c.Deleted[i] != 0
		}
		if c.NameEnd != nil {
			e.Name = string(part(c.Names, c.NameEnd, i))
		}
		if c.Flags != nil {
			e.Flags = c.Flags[i]
		}
		if c.Value != nil {
			e.Value = c.Value[i]
		}
		if c.PayloadEnd != nil {
			e.Payload = part(c.Payloads, c.PayloadEnd, i)
		}
		if c.Hits != nil {
			e.Stats.Hits, e.Stats.Bytes, e.Stats.Created, e.Stats.Updated = c.Hits[i], c.Bytes[i], c.Created[i], c.Updated[i]
		}
		if c.Generation != nil {
			e.Generation = c.Generation[i]
		}
		all = append(all, e.entry())
	}
	return all
}

func part(all []byte, ends []uint16, i int) []byte {
	start := uint16(0)
	if i > 0 {
		start = ends[i-1]
	}
	if start == ends[i] {
		return nil
	}
	return all[start:ends[i]]
}

// The stock tool dumps the same entries, with all attributes and in the same
// order, as the Go client.
func TestYNLDumps(t *testing.T) {
	c := setup(t)
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 600, Seed: 1, IDStride: 3, PayloadMax: 40}); err != nil {
		t.Fatal(err)
	}
	since := state(t, c).Generation - 200
	for id := range uint32(20) {
		if _, err := c.Delete(t.Context(), 30*id); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), 30*id+3); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		request string
		columns bool
		filters bool
		options client.DumpOptions
	}{
		{name: "whole", request: `{}`},
		{name: "fields, walker", request: `{"fields": ["name", "stats"], "cursor": "walker"}`,
			options: client.DumpOptions{Fields: ptr(client.FieldName | client.FieldStats), Cursor: client.CursorWalker}},
		{name: "filter, bucket, direct",
			request: `{"filter": {"id-from": 30, "id-to": 1500, "name-prefix": "entry-1", "flags": 1, "flags-mask": 1}, "cursor": "bucket", "encoding": "direct"}`,
			options: client.DumpOptions{IDFrom: ptr(uint32(30)), IDTo: ptr(uint32(1500)), NamePrefix: "entry-1", Flags: 1, FlagsMask: 1,
				Cursor: client.CursorBucket, Encoding: client.EncodingDirect}},
		{name: "columns, index", request: `{"encoding": "columns", "cursor": "index"}`, columns: true,
			options: client.DumpOptions{Encoding: client.EncodingColumns, Cursor: client.CursorIndex}},
		{name: "since", request: fmt.Sprintf(`{"since": %d, "encoding": "plain"}`, since), options: client.DumpOptions{Since: &since}},
		{name: "since, columns, fields", request: fmt.Sprintf(`{"since": %d, "encoding": "columns", "fields": ["value", "payload", "generation"]}`, since), columns: true,
			options: client.DumpOptions{Since: &since, Encoding: client.EncodingColumns, Fields: ptr(client.FieldValue | client.FieldPayload | client.FieldGeneration)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var records []ynlEntry
			ynl(t, &records, "--dump", "entry-get", "--json", tt.request)
			var got []client.Entry
			for _, r := range records {
				if (r.Columns != nil) != tt.columns {
					t.Fatalf("a record is %+v", r)
				}
				if tt.columns {
					got = append(got, r.Columns.entries()...)
				} else {
					got = append(got, r.entry())
				}
			}
			same(t, got, collect(t, c, tt.options))
			if tt.columns && len(records) < 2 {
				t.Errorf("%d pages", len(records))
			}
		})
	}
}

func collect(t *testing.T, c *client.Client, o client.DumpOptions) (all []client.Entry) {
	t.Helper()
	for e, err := range c.Dump(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// same compares the tool's result with the client's.
func same(t *testing.T, got, want []client.Entry) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("the client got nothing")
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("entry %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// With the option for small receives, a buffer of 4000 bytes is enough for
// every page whose entries fit in it, and no message is cut.
func TestYNLSmallReceive(t *testing.T) {
	c := setup(t)
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 300, Seed: 1, PayloadMax: 40}); err != nil {
		t.Fatal(err)
	}
	var records []ynlEntry
	told := ynl(t, &records, "--dbg-small-recv", "--dump", "entry-get")
	var got []client.Entry
	for _, r := range records {
		got = append(got, r.entry())
	}
	same(t, got, collect(t, c, client.DumpOptions{}))
	reads := regexp.MustCompile(`(?m)^Recv: read (\d+) bytes, (\d+) messages$`).FindAllStringSubmatch(told, -1)
	messages := 0
	for _, r := range reads {
		size, _ := strconv.Atoi(r[1])
		n, _ := strconv.Atoi(r[2])
		messages += n
		if size > 4000 {
			t.Errorf("a page of %d bytes", size)
		}
	}
	if len(reads) < 5 || messages != len(got)+1 {
		t.Errorf("%d reads with %d messages, want some and one more than the %d entries", len(reads), messages, len(got))
	}
}
