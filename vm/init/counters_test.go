// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"bulkdump/vm/internal/proto"
)

func TestSendCounters(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.gcda": "\x00a", "sub/b.gcda": "b\xff", "a.gcno": "notes"} {
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var sent bytes.Buffer
	if err := sendCounters(proto.NewWriter(&sent), dir); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := proto.NewReader(&sent); sent.Len() > 0 || len(got) < 2; {
		m, err := r.Next()
		if err != nil || m.Kind != proto.KindCounters {
			t.Fatalf("%+v, %v", m, err)
		}
		got[m.Text] = string(m.Data)
	}
	if want := map[string]string{"a.gcda": "\x00a", "sub/b.gcda": "b\xff"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := sendCounters(proto.NewWriter(&sent), filepath.Join(dir, "nosuch")); err != nil || sent.Len() > 0 {
		t.Errorf("of no directory: %d bytes, %v", sent.Len(), err)
	}
	if err := os.Mkdir(filepath.Join(dir, "c.gcda"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := sendCounters(proto.NewWriter(&sent), dir); err == nil {
		t.Error("what cannot be read is left out silently")
	}
}
