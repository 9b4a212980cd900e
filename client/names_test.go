// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding"
	"strings"
	"testing"
)

func TestOptionNames(t *testing.T) {
	for _, tt := range []struct {
		value encoding.TextMarshaler
		into  encoding.TextUnmarshaler
		text  string
	}{
		{CursorKey, new(Cursor), "key"},
		{CursorWalker, new(Cursor), "walker"},
		{EncodingPlain, new(Encoding), "plain"},
		{EncodingColumns, new(Encoding), "columns"},
		{Field(0), new(Field), ""},
		{FieldName | FieldGeneration, new(Field), "name,generation"},
		{FieldsAll, new(Field), "name,flags,value,payload,stats,generation"},
	} {
		text, err := tt.value.MarshalText()
		if err != nil || string(text) != tt.text {
			t.Errorf("%v: %q, %v", tt.value, text, err)
		}
		if err := tt.into.UnmarshalText(text); err != nil {
			t.Error(err)
		}
		again, err := tt.into.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(again) != tt.text {
			t.Errorf("%q was read as %q, %v", tt.text, again, err)
		}
	}
	if got := Cursor(9).String(); got != "cursor 9" {
		t.Errorf("an unknown cursor is %q", got)
	}
	var f Field
	if err := f.UnmarshalText([]byte("id,name")); err != nil || f != FieldName {
		t.Errorf("id,name is %v, %v", f, err)
	}
	for _, into := range []encoding.TextUnmarshaler{new(Cursor), new(Encoding), new(Field)} {
		if err := into.UnmarshalText([]byte("nonsense")); err == nil || !strings.Contains(err.Error(), `"nonsense" is no`) {
			t.Errorf("%T: %v", into, err)
		}
	}
}
