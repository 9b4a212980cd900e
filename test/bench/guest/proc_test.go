// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"

	"bulkdump/client"
)

const procText = `id flags value generation payload name
0 0x2a 12 1 0 entry-0-002a
4294967295 0x0 18446744073709551615 2 0 b
`

func TestParseProc(t *testing.T) {
	s := sink{check: true}
	if err := parseProc(strings.NewReader(procText), &s); err != nil {
		t.Fatal(err)
	}
	var want sink
	want.check = true
	want.add(&client.Record{ID: 0, Flags: 0x2a, Value: 12, Generation: 1, Name: []byte("entry-0-002a")})
	want.add(&client.Record{ID: 4294967295, Value: 1<<64 - 1, Generation: 2, Name: []byte("b")})
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	for _, bad := range []string{"", "header\n1 2 3\n", "header\n1 0x2 3 4 0 a\\040b\n", "header\nx 0x2 3 4 0 a\n"} {
		if err := parseProc(strings.NewReader(bad), &s); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}
