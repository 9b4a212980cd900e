// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"bulkdump/vm/internal/proto"
)

func TestReadSections(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"m/sections/.text": "0x1\n", "m/sections/.data": "0x2\n", "m/refcnt": "0\n", "builtin/parameters/x": "1\n"} {
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]proto.Sections{"m": {".text": "0x1", ".data": "0x2"}}
	if got := readSections(dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
