// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"os"
	"path/filepath"
	"testing"

	"bulkdump/vm/harness/internal/hosttest"
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
		adds []Addition
		want bool
	}{
		{"nothing", nil, nil, false},
		{"other names", []string{"/b/bulkdump"}, []Addition{{dir, "/x"}}, false},
		{"a program of ours", []string{"/b/bulkdump", "/b/ip"}, nil, true},
		{"one that is added", nil, []Addition{{ls, ""}}, true},
		{"one that replaces busybox's", nil, []Addition{{ls, "/usr/sbin/ip"}}, true},
		{"one into a directory of programs", nil, []Addition{{ls, "/usr/bin"}}, true},
		{"a directory with one", nil, []Addition{{dir, "/root"}}, true},
		{"one that is not on PATH", nil, []Addition{{ls, "/opt/ip"}}, false},
		{"a file that is no program", nil, []Addition{{data, ""}}, false},
		{"a directory of that name", nil, []Addition{{dir, "/root/ls"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hidesPrograms(&Programs{bin: tt.bin}, tt.adds)
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
	if err := (&Programs{packages: root, byPath: true}).addBusybox(a); err != nil {
		t.Fatal(err)
	}
	if len(a.entries) != 1 || string(a.entries["/bin/ip"].text) != "busybox" {
		t.Errorf("got %v", a.entries)
	}
	if err := (&Programs{packages: t.TempDir(), byPath: true}).addBusybox(newArchive()); err == nil {
		t.Error("packages without a busybox were taken")
	}
	if err := (&Programs{packages: root}).addBusybox(a); err != nil || a.entries["/bin/busybox"].text == nil || a.entries["/bin/sh"].text == nil {
		t.Errorf("the host's: %v", err)
	}
}

func TestHidesPackages(t *testing.T) {
	for _, tt := range []struct {
		file  string
		asked []string
		want  bool
	}{
		{"usr/lib/x86_64-linux-gnu/libmnl.so.0", []string{"libmnl0"}, false},
		{"usr/bin/busybox", []string{"strace"}, false},
		{"usr/bin/busybox", []string{"strace", "busybox"}, true},
		{"usr/sbin/ip", []string{"iproute2"}, true},
		{"bin/ls", []string{"coreutils"}, true},
	} {
		got, err := hidesPackages(hosttest.MakeTree(t, tt.file), tt.asked)
		if err != nil || got != tt.want {
			t.Errorf("%q with %s: got %t, %v", tt.asked, tt.file, got, err)
		}
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
