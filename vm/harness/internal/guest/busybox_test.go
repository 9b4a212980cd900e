// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
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
			got, err := hidesPrograms(&Programs{busybox: hostBusybox(t), bin: tt.bin}, tt.adds)
			if err != nil || got != tt.want {
				t.Errorf("got %t, %v", got, err)
			}
		})
	}
}

func hostBusybox(t *testing.T) string {
	t.Helper()
	file, err := staticBusybox(t.Context(), nil, arch.Host)
	if err != nil {
		t.Skip(err)
	}
	return file
}

// The names are those that the program itself prints.
func TestApplets(t *testing.T) {
	file := hostBusybox(t)
	text, err := exec.Command(file, "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(strings.Fields(string(text)), func(name string) bool { return name == "busybox" })
	if got, err := applets(file); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%q, want\n%q", err, got, want)
	}
}

// The names are those of the busybox that is in the guest.
func TestBusyboxOfPackages(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, busyboxFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	list := "[\x00[[\x00x\x00-[\x00[[\x00busybox\x00ip\x00"
	for i := range appletsLeast {
		list += fmt.Sprintf("z%02d\x00", i)
	}
	if err := os.WriteFile(file, []byte(list+"a\x00"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := newArchive()
	if err := (&Programs{packages: root, byPath: true}).addBusybox(a); err != nil {
		t.Fatal(err)
	}
	if len(a.entries) != 3+appletsLeast || string(a.entries["/bin/ip"].text) != "busybox" {
		t.Errorf("got %v", a.entries)
	}
	if err := (&Programs{packages: t.TempDir(), byPath: true}).addBusybox(newArchive()); err == nil {
		t.Error("packages without a busybox were taken")
	}
	if err := (&Programs{busybox: hostBusybox(t), packages: root}).addBusybox(a); err != nil || a.entries["/bin/busybox"].text == nil || a.entries["/bin/sh"].text == nil {
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
		got, err := hidesPackages(&Programs{busybox: hostBusybox(t), packages: hosttest.MakeTree(t, tt.file)}, tt.asked)
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
