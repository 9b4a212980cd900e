// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// TestRecordEntryIsACopy changes the page after Entry was called.
func TestRecordEntryIsACopy(t *testing.T) {
	needLittleEndian(t)
	page := bytes.Clone(wholeEntry)
	var r Record
	if err := decodeRecord(page, &r); err != nil {
		t.Fatal(err)
	}
	e := r.Entry()
	clear(page)
	if !reflect.DeepEqual(e, wholeEntryIs) {
		t.Errorf("the entry changed with the page: %+v", e)
	}
	if r.Name[0] != 0 || r.Payload[0] != 0 {
		t.Error("the record does not point into the page")
	}
}

func TestEntryJSON(t *testing.T) {
	got, err := json.Marshal(wholeEntryIs)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":67305985,"name":"ab","flags":2147483649,"value":4294967296,"payload":"3q2+",` +
		`"stats":{"hits":2,"bytes":3,"created":"1970-01-01T00:00:01Z","updated":"1970-01-01T00:00:02.000000001Z"},"generation":5}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
