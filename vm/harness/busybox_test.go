// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Where a program has a name of busybox's, the static one would hide it.
func TestHidesPrograms(t *testing.T) {
	dir := t.TempDir()
	add := func(name string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("#!"), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ls, data := add("ls", 0o755), add("cat", 0o644)
	for _, tt := range []struct {
		name string
		bin  []string
		adds []addition
		want bool
	}{
		{"nothing", nil, nil, false},
		{"other names", []string{"/b/bulkdump"}, []addition{{dir, "/x"}}, false},
		{"a program of ours", []string{"/b/bulkdump", "/b/ip"}, nil, true},
		{"one that is added", nil, []addition{{ls, ""}}, true},
		{"one that replaces busybox's", nil, []addition{{ls, "/usr/sbin/ip"}}, true},
		{"one into a directory of programs", nil, []addition{{ls, "/usr/bin"}}, true},
		{"a directory with one", nil, []addition{{dir, "/root"}}, true},
		{"one that is not on PATH", nil, []addition{{ls, "/opt/ip"}}, false},
		{"a file that is no program", nil, []addition{{data, ""}}, false},
		{"a directory of that name", nil, []addition{{dir, "/root/ls"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hidesPrograms(&programs{bin: tt.bin}, tt.adds)
			if err != nil || got != tt.want {
				t.Errorf("got %t, %v", got, err)
			}
		})
	}
}

// The names are those of the busybox that is in the guest.
func TestBusyboxOfPackages(t *testing.T) {
	root := t.TempDir()
	loader := filepath.Join(root, "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
	if err := os.MkdirAll(filepath.Dir(loader), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ \"$4 $5\" = '" + filepath.Join(root, "usr/bin/busybox") + " --list' ] && echo busybox ip\n"
	if err := os.WriteFile(loader, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	a := newArchive()
	if err := addBusybox(a, root); err != nil {
		t.Fatal(err)
	}
	if len(a.entries) != 1 || string(a.entries["/bin/ip"].text) != "busybox" {
		t.Errorf("got %v", a.entries)
	}
	if err := addBusybox(newArchive(), t.TempDir()); err == nil {
		t.Error("packages without a busybox were taken")
	}
}

func TestIsStatic(t *testing.T) {
	if err := isStatic([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script passes for a program")
	}
	for _, path := range []string{"/bin/ls", "/usr/bin/env"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Skip(err)
		}
		if err := isStatic(text); err == nil {
			t.Errorf("%s needs no libraries?", path)
		}
	}
}
