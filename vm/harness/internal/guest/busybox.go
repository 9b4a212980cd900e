// SPDX-License-Identifier: BSD-3-Clause

package guest

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

// Debian has two busyboxes. The static one needs no libraries. But its shell, and
// each applet that starts a program (env, xargs, timeout …), runs busybox's applet
// of that name, whatever is on PATH. So it is for guests in which no other program
// has such a name. The other busybox needs libraries, and follows PATH.
const (
	busyboxPackage = "busybox"
	busyboxFile    = "/usr/bin/busybox" // in that package
)

// addBusybox adds links for the applets of the guest's busybox to /bin, and the
// host's static busybox if the guest uses that. Files that are added later replace
// a link.
func (p *Programs) addBusybox(a *archive) error {
	var line []string
	if p.byPath {
		// It needs its own libraries: those of the host may be older.
		lib := filepath.Join(p.packages, "usr/lib/x86_64-linux-gnu")
		line = []string{filepath.Join(lib, "ld-linux-x86-64.so.2"), "--inhibit-cache", "--library-path", lib, filepath.Join(p.packages, busyboxFile)}
	} else {
		file, text, err := staticBusybox()
		if err != nil {
			return err
		}
		a.file("/bin/busybox", 0o755, text)
		line = []string{file}
	}
	names, err := applets(line...)
	for _, name := range names {
		a.link("/bin/"+name, "busybox")
	}
	return err
}

func staticBusybox() (file string, text []byte, err error) {
	if file, err = exec.LookPath("busybox"); err != nil {
		return "", nil, errors.New("busybox is not installed: run vm/deps")
	}
	if text, err = os.ReadFile(file); err != nil {
		return "", nil, err
	}
	if err := isStatic(text); err != nil {
		return "", nil, fmt.Errorf("%s: %w", file, err)
	}
	return file, text, nil
}

// applets are the names of the applets of a busybox, except its own. line starts
// it.
func applets(line ...string) ([]string, error) {
	text, err := exec.Command(line[0], append(line[1:], "--list")...).Output()
	if err != nil {
		return nil, fmt.Errorf("busybox --list: %w", err)
	}
	return slices.DeleteFunc(strings.Fields(string(text)), func(name string) bool { return name == "busybox" }), nil
}

func staticApplets() ([]string, error) {
	file, _, err := staticBusybox()
	if err != nil {
		return nil, err
	}
	return applets(file)
}

// hidesPrograms reports whether the static busybox would run an applet instead of
// a program on PATH that was built or added.
func hidesPrograms(p *Programs, adds []Addition) (bool, error) {
	names, err := staticApplets()
	if err != nil {
		return false, err
	}
	a := newArchive()
	a.dir("/bin", 0o755)
	a.dir("/root", 0o755)
	if err := a.programs(p, adds); err != nil {
		return false, err
	}
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc(strings.Split(proto.Path, ":"), func(dir string) bool {
			e, ok := a.entries[path.Join(dir, name)]
			return ok && e.isProgram()
		})
	}), nil
}

// hidesPackages reports the same for the programs of packages, which are in root.
// If the user asked for the package busybox, that one is used.
func hidesPackages(root string, asked []string) (bool, error) {
	if slices.Contains(asked, busyboxPackage) {
		return true, nil
	}
	names, err := staticApplets()
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc([]string{"bin", "sbin", "usr/bin", "usr/sbin"}, func(dir string) bool {
			_, err := os.Lstat(filepath.Join(root, dir, name))
			return err == nil
		})
	}), err
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

// isStatic returns an error if a program needs shared libraries, which the guest
// may not have.
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
