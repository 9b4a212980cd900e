// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"

	"bulkdump/vm/internal/proto"
)

// There are two busyboxes of Debian's. The static one needs nothing else, but
// its shell, and all of it that starts a program (env, xargs, timeout …), runs
// what busybox has of that name, whatever is on PATH. So it is for guests in
// which no other program has such a name. The other one, which needs libraries,
// goes by PATH.
const busyboxPackage = "busybox"

// addBusybox puts a busybox and its names into /bin: that of the packages that
// lie in root, or the host's if there are none. What comes later wins.
func addBusybox(a *archive, root string) error {
	var line []string
	if root == "" {
		file, err := exec.LookPath("busybox")
		if err != nil {
			return errors.New("busybox is not installed: run vm/deps")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := isStatic(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		a.file("/bin/busybox", 0o755, text)
		line = []string{file}
	} else {
		// With the libraries that it came with: those of the host may be older.
		lib := filepath.Join(root, "usr/lib/x86_64-linux-gnu")
		line = []string{filepath.Join(lib, "ld-linux-x86-64.so.2"), "--inhibit-cache", "--library-path", lib, filepath.Join(root, "usr/bin/busybox")}
	}
	names, err := exec.Command(line[0], append(line[1:], "--list")...).Output()
	if err != nil {
		return fmt.Errorf("busybox --list: %w", err)
	}
	for name := range strings.FieldsSeq(string(names)) {
		if name != "busybox" {
			a.link("/bin/"+name, "busybox")
		}
	}
	return nil
}

// hidesPrograms reports whether the static busybox would run something of its
// own in place of a program of that name on PATH.
func hidesPrograms(p *programs, adds []addition) (bool, error) {
	a := newArchive()
	a.dir("/root", 0o755)
	if err := addBusybox(a, ""); err != nil {
		return false, err
	}
	var names []string
	for name, e := range a.entries {
		if string(e.text) == "busybox" {
			names = append(names, path.Base(name))
		}
	}
	if err := a.programs(p, adds); err != nil {
		return false, err
	}
	for _, name := range names {
		for dir := range strings.SplitSeq(proto.Path, ":") {
			e, ok := a.entries[path.Join(dir, name)]
			if ok && e.isProgram() && string(e.text) != "busybox" {
				return true, nil
			}
		}
	}
	return false, nil
}

// isProgram reports whether a search of PATH may end at the entry.
func (e entry) isProgram() bool {
	switch e.mode &^ cpio.ModePerm {
	case cpio.TypeSymlink:
		return true
	case cpio.TypeReg:
		return e.mode&0o111 != 0
	}
	return false
}

// isStatic finds a program that the guest could not run for want of libraries.
func isStatic(text []byte) error {
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return errors.New("it needs shared libraries: install busybox-static")
	}
	return nil
}
