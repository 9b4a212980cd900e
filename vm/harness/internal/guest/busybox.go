// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/cache"
	"bulkdump/vm/internal/proto"
)

// Debian has two busyboxes. The static one needs no libraries. But its shell, and
// each applet that starts a program (env, xargs, timeout …), runs busybox's applet
// of that name, whatever is on PATH. So it is for guests in which no other program
// has such a name. The other busybox needs libraries, and follows PATH.
const (
	busyboxSuite   = "trixie" // of the static one, if it is not the host's
	busyboxPackage = "busybox"
	busyboxFile    = "/usr/bin/busybox" // in that package
)

// addBusybox adds links for the applets of the guest's busybox to /bin, and the
// static busybox if the guest uses that. Files that are added later replace a link.
func (p *Programs) addBusybox(a *archive) error {
	file := filepath.Join(p.packages, busyboxFile)
	if !p.byPath {
		file = p.busybox
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		a.file("/bin/busybox", 0o755, text)
	}
	names, err := applets(file)
	for _, name := range names {
		a.link("/bin/"+name, "busybox")
	}
	return err
}

// staticBusybox returns the host's, or one for another machine.
func staticBusybox(ctx context.Context, c *cache.Cache, a *arch.Arch) (file string, err error) {
	if a == arch.Host {
		if file, err = exec.LookPath("busybox"); err != nil {
			return "", errors.New("busybox is not installed: run vm/deps")
		}
	} else {
		dir, err := c.Fetch(ctx, cache.Parcel{
			Kind: "busybox" + ofArch(a), What: "busybox for " + a.Name, Costs: "a minute", Suites: []string{busyboxSuite},
			Arch: a.Name, Names: []string{"busybox-static"}, Out: append([]string{"./usr/share/*"}, notForGuest...),
		})
		if err != nil {
			return "", err
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*bin/busybox"))
		more, _ := filepath.Glob(filepath.Join(dir, "usr/*bin/busybox"))
		if files = append(files, more...); len(files) == 0 {
			return "", fmt.Errorf("%s has no busybox", dir)
		}
		file = files[0]
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = isStatic(text)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return file, nil
}

// applets are the names of the applets of a busybox, except its own. It may be a
// program of another machine, so the list is read from it: the names one after the
// other, in order, each with a NUL behind it, from [ on (libbb/appletlib.c,
// applet_names).
func applets(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for rest := text; ; {
		_, after, found := bytes.Cut(rest, []byte("[\x00[[\x00"))
		if !found {
			return nil, fmt.Errorf("%s has no list of its applets", file)
		}
		names := []string{"[", "[["}
		for list := after; ; {
			name, more, _ := bytes.Cut(list, []byte{0})
			if !appletName.Match(name) || string(name) <= names[len(names)-1] {
				break
			}
			names, list = append(names, string(name)), more
		}
		if len(names) >= appletsLeast {
			return slices.DeleteFunc(names, func(name string) bool { return name == "busybox" }), nil
		}
		rest = after
	}
}

// appletsLeast tells the list from anything else that begins in the same way. Debian's
// busyboxes have more than two hundred.
const appletsLeast = 50

var appletName = regexp.MustCompile(`^[a-z0-9_[.-]+$`)

// hidesPrograms reports whether the static busybox would run an applet instead of
// a program on PATH that was built or added.
func hidesPrograms(p *Programs, adds []Addition) (bool, error) {
	names, err := applets(p.busybox)
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

// hidesPackages reports the same for the programs of packages. If the user asked for
// the package busybox, that one is used.
func hidesPackages(p *Programs, asked []string) (bool, error) {
	if slices.Contains(asked, busyboxPackage) {
		return true, nil
	}
	names, err := applets(p.busybox)
	return slices.ContainsFunc(names, func(name string) bool {
		return slices.ContainsFunc([]string{"bin", "sbin", "usr/bin", "usr/sbin"}, func(dir string) bool {
			_, err := os.Lstat(filepath.Join(p.packages, dir, name))
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
