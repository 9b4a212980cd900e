// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/json"
	"testing"
)

// TestChecksum compares with values that a short program in another language
// calculated: FNV-1a of the bytes in the comments.
func TestChecksum(t *testing.T) {
	one := Entry{ID: 1, Name: "a", Flags: 2, Value: 3, Payload: []byte{4, 5}}
	two := Entry{ID: 0xffffffff, Name: "name", Flags: 1, Value: 1 << 40}
	var c Checksum
	if c.AddEntry(&one); c != checksumOne {
		t.Errorf("one entry: %#x, want %#x", uint64(c), uint64(checksumOne))
	}
	c.AddEntry(&two)
	var d Checksum
	d.AddEntry(&two)
	d.AddEntry(&one)
	if c != d || c != checksumBoth {
		t.Errorf("two entries: %#x, in the other order %#x, want %#x", uint64(c), uint64(d), uint64(checksumBoth))
	}
	one.Stats.Hits, one.Generation = 9, 9
	var e Checksum
	if e.AddEntry(&one); e != checksumOne {
		t.Error("stats or generation count")
	}
}

const (
	// 01000000 01 61 02000000 0300000000000000 02000000 0405
	checksumOne Checksum = 0x1be4835f0c268b16
	// ffffffff 04 6e616d65 01000000 0000000000010000 00000000, added; the sum
	// passes 2^64.
	checksumBoth Checksum = 0x15a2ca4b9ffce328
)

func TestChecksumText(t *testing.T) {
	const sum = Checksum(0x0123456789abcdef)
	text, err := json.Marshal(sum)
	if err != nil || string(text) != `"0x0123456789abcdef"` {
		t.Fatalf("%s, error %v", text, err)
	}
	var got Checksum
	if err := json.Unmarshal(text, &got); err != nil || got != sum {
		t.Errorf("read back as %v, error %v", got, err)
	}
	for _, bad := range []string{`""`, `"abc"`, `"-1"`, `"0x10000000000000000"`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s was read as %v", bad, got)
		}
	}
}
