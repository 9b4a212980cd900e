// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/client"
)

func TestPayload(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	largest, tooLarge := file("largest", client.PayloadLenMax), file("too-large", client.PayloadLenMax+1)
	for _, tt := range []struct {
		name, text string
		want       string
		code       int
		stderr     string
	}{
		{"text", "text", "text", 0, ""},
		{"empty", "", "", 0, ""},
		{"hex", "hex:C0ffEE", "\xc0\xff\xee", 0, ""},
		{"hex of nothing", "hex:", "", 0, ""},
		{"hex of half a byte", "hex:c0f", "", 2, "--payload: hex: needs two hexadecimal digits for each byte"},
		{"no hex", "hex:0x10", "", 2, "--payload: hex: needs two hexadecimal digits for each byte"},
		{"stdin", "@-", "from stdin", 0, ""},
		{"empty file", "@" + file("empty", 0), "", 0, ""},
		{"largest file", "@" + largest, strings.Repeat("x", client.PayloadLenMax), 0, ""},
		{"file too large", "@" + tooLarge, "", 2, "--payload: more than 60000 bytes"},
		{"endless file", "@/dev/zero", "", 2, "--payload: more than 60000 bytes"},
		{"text too large", strings.Repeat("x", client.PayloadLenMax+1), "", 2, "--payload: more than 60000 bytes"},
		{"no name of a file", "@", "", 2, "--payload: @ needs the name of a file"},
		{"no such file", "@" + dir + "/none", "", 1, "none: no such file or directory"},
		{"a directory", "@" + dir, "", 1, "is a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, args := range [][]string{{"new", "7", "seven", "-o", "csv"}, {"set", "7", "-o", "csv"}} {
				f := &fakeTable{}
				got := run(t, f, append(args, "--payload", tt.text)...)
				want := ran{stdout: map[string]string{"new": "id,generation\n7,1000\n", "set": "id,generation\n7,1001\n"}[args[0]]}
				payload := f.made.Payload
				if args[0] == "set" {
					payload = f.change.Payload
				}
				if tt.code != 0 {
					got.check(t, ran{"", tt.stderr, tt.code})
					// What is wrong whatever a file holds needs no kernel.
					if file := len(tt.text) > 1 && tt.text[0] == '@'; !file && f.asked != nil {
						t.Errorf("the kernel was asked: %q", f.asked)
					}
					continue
				}
				got.check(t, want)
				// An empty payload that is nil would leave the old one.
				if string(payload) != tt.want || payload == nil {
					t.Errorf("%s: payload: got %.40q (nil: %t), want %.40q", args[0], payload, payload == nil, tt.want)
				}
			}
		})
	}
}

func TestPayloadIsDescribed(t *testing.T) {
	for _, tt := range []struct {
		payload, want string
	}{
		{"", "0 bytes"},
		{"\x00", "1 bytes: 00"},
		{"0123456789abcdef", "16 bytes: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66"},
		{"0123456789abcdefg", "17 bytes: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 ..."},
	} {
		if got := describePayload([]byte(tt.payload)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.payload, got, tt.want)
		}
	}
}
