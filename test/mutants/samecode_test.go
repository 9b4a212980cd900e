// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

// Two copies of this program are the same. If a byte differs, it matters where.
func TestSameCode(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for section, want := range map[string]bool{"": true, ".text": false, ".rodata": false, ".note.go.buildid": true, ".debug_line": true} {
		changed := bytes.Clone(text)
		if section != "" {
			s := f.Section(section)
			if s == nil {
				continue // a program without debug information
			}
			changed[s.Offset+s.FileSize/2] ^= 1
		}
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if same, err := sameCode(exe, other); err != nil || same != want {
			t.Errorf("a byte of %q differs: %t, %v; want %t", section, same, err, want)
		}
	}
}
