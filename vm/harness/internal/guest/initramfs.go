// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// archive collects the guest's files. A later file replaces an earlier one of the
// same name. write adds the directories above a file.
type archive struct {
	entries map[string]entry
}

type entry struct {
	mode cpio.FileMode
	text []byte // content, or a symlink's target
}

func newArchive() *archive { return &archive{entries: map[string]entry{}} }

func (a *archive) dir(name string, perm cpio.FileMode) {
	a.entries[name] = entry{mode: cpio.TypeDir | perm}
}

func (a *archive) file(name string, perm cpio.FileMode, text []byte) {
	a.entries[name] = entry{mode: cpio.TypeReg | perm, text: text}
}

func (a *archive) link(name, to string) {
	a.entries[name] = entry{mode: cpio.TypeSymlink | 0o777, text: []byte(to)}
}

func (a *archive) isDir(name string) bool {
	for n, e := range a.entries {
		if n == name && e.mode&^cpio.ModePerm == cpio.TypeDir || strings.HasPrefix(n, strings.TrimSuffix(name, "/")+"/") {
			return true
		}
	}
	return false
}

// tree adds a file of the host, or a directory with everything in it.
func (a *archive) tree(name, host string) error {
	root, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(rel))
		if to == "/" {
			return nil
		}
		return a.add(to, p, d)
	})
}

// add adds one file of the host, or a directory without its content.
func (a *archive) add(name, host string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch perm := cpio.FileMode(info.Mode().Perm()); {
	case d.IsDir():
		a.dir(name, perm)
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(host)
		if err != nil {
			return err
		}
		a.link(name, target)
	case d.Type().IsRegular():
		text, err := os.ReadFile(host)
		if err != nil {
			return err
		}
		a.file(name, perm, text)
	default:
		return fmt.Errorf("%s is neither a file nor a directory", host)
	}
	return nil
}

// write writes the archive. The same content gives the same bytes.
func (a *archive) write(w io.Writer) error {
	for name := range a.entries {
		for d := path.Dir(name); d != "/"; d = path.Dir(d) {
			if _, ok := a.entries[d]; !ok {
				a.dir(d, 0o755)
			}
		}
	}
	var names []string
	for name := range a.entries {
		names = append(names, name)
	}
	slices.Sort(names) // a directory before what is in it
	cw := cpio.NewWriter(w)
	for _, name := range names {
		e := a.entries[name]
		h := &cpio.Header{Name: strings.TrimPrefix(name, "/"), Mode: e.mode, Size: int64(len(e.text))}
		if e.mode&^cpio.ModePerm == cpio.TypeSymlink {
			h.Linkname = string(e.text)
		}
		if err := cw.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := cw.Write(e.text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return cw.Close()
}

// Tests may become one of these users.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
	group  = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
	hosts  = "127.0.0.1 localhost vm\n::1 localhost\n"
	// The prompt says that this shell runs in the guest.
	profile = "export PS1='vm:\\w\\$ '\n"
)

func (g *Guest) files(opts *Options) (*archive, error) {
	p := g.programs
	a := newArchive()
	for _, d := range []string{"/dev", "/proc", "/sys", "/run", "/root", "/test"} {
		a.dir(d, 0o755)
	}
	a.dir("/tmp", 0o1777)
	for _, l := range []string{"/sbin", "/usr/bin", "/usr/sbin"} {
		a.link(l, "/bin")
	}
	if err := p.addBusybox(a); err != nil {
		return nil, err
	}
	if p.packages != "" {
		if err := a.packages(p.packages, p.byPath); err != nil {
			return nil, err
		}
	}
	// After the packages, which may have some of these.
	a.file("/etc/passwd", 0o644, []byte(passwd))
	a.file("/etc/group", 0o644, []byte(group))
	a.file("/etc/hosts", 0o644, []byte(hosts))
	a.file("/etc/profile", 0o644, []byte(profile))
	for _, m := range slices.Concat(g.Kernel.Drivers, g.Kernel.Own) {
		a.file("/lib/modules/"+m.Name+".ko", 0o644, m.Text)
	}
	for _, m := range g.Modules {
		text, err := os.ReadFile(kernels.Stripped(m))
		if err != nil {
			return nil, err
		}
		a.file("/lib/modules/"+filepath.Base(m), 0o644, text)
	}
	a.file("/init", 0o755, p.text[p.init])
	if p.test != "" {
		data := filepath.Join(p.testDir, "testdata")
		if _, err := os.Stat(data); err == nil {
			if err := a.tree("/test/testdata", data); err != nil {
				return nil, err
			}
		}
	}
	if err := a.programs(p, opts.Adds); err != nil {
		return nil, err
	}
	text, err := json.Marshal(g.Config)
	if err != nil {
		return nil, err
	}
	a.file(proto.ConfigPath, 0o600, text)
	return a, nil
}

// programs adds the programs that were built, and then the user's files.
func (a *archive) programs(p *Programs, adds []Addition) error {
	for _, f := range p.bin {
		a.file("/bin/"+filepath.Base(f), 0o755, p.text[f])
	}
	if p.test != "" {
		a.file("/bin/"+filepath.Base(p.test), 0o755, p.text[p.test])
	}
	for _, add := range adds {
		to := merged(path.Clean(add.Guest))
		if add.Guest == "" {
			to = path.Join("/root", filepath.Base(add.Host))
		}
		if st, err := os.Stat(add.Host); err == nil && st.Mode().IsRegular() && a.isDir(to) {
			to = path.Join(to, filepath.Base(add.Host))
		}
		if err := a.tree(to, add.Host); err != nil {
			return err
		}
	}
	return nil
}

// Initramfs writes the guest's files into memory that QEMU reads as a file. It
// goes when this process and QEMU have closed it.
func (g *Guest) Initramfs(opts *Options) (*os.File, error) {
	a, err := g.files(opts)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(a.write(w), w.Flush()); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

// hidden are the guest's directories on which init mounts something.
var hidden = []string{"dev", "proc", "sys"}

// Addition is a file of the host that goes into the guest.
type Addition struct {
	Host, Guest string // Guest is empty for the default place
}

// ParseAddition reads FILE or FILE:GUESTPATH. If there is a file of the whole name,
// it is FILE, even with a colon in it.
func ParseAddition(v string) (Addition, error) {
	host, guest := v, ""
	if _, err := os.Stat(v); err != nil {
		if i := strings.LastIndex(v, ":"); i > 0 {
			host, guest = v[:i], v[i+1:]
			if !filepath.IsAbs(guest) {
				return Addition{}, errors.New("the path in the guest must be absolute")
			}
			if top, _, _ := strings.Cut(path.Clean(guest)[1:], "/"); slices.Contains(hidden, top) {
				return Addition{}, fmt.Errorf("the guest mounts something on /%s", top)
			}
		}
		if _, err := os.Stat(host); err != nil {
			return Addition{}, err
		}
	}
	return Addition{host, guest}, nil
}
