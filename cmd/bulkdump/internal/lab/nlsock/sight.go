// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Namespace is a network namespace.
type Namespace struct {
	Inode uint64 `json:"inode"`          // by which the kernel tells namespaces apart
	Name  string `json:"name,omitempty"` // in /run/netns
}

// String is the name, or the number if it has none.
func (n Namespace) String() string {
	if n.Name != "" {
		return n.Name
	}
	return strconv.FormatUint(n.Inode, 10)
}

// A sight is what a look at /proc shows: namespaces, and who has which socket open,
// except for what the caller may not see.
type sight struct {
	namespaces map[uint64]*seen
	owners     map[uint32][]Owner // by the socket's inode
}

// seen is a namespace, kept open so that it does not vanish.
type seen struct {
	Namespace
	file *os.File
}

// look finds the namespaces of all threads, those that a process has open, and those
// with a name in the directory names.
func look(proc, names string) *sight {
	s := &sight{namespaces: make(map[uint64]*seen), owners: make(map[uint32][]Owner)}
	named, _ := filepath.Glob(filepath.Join(names, "*"))
	for _, path := range named {
		if s.addNamed(path) != nil {
			continue // not a namespace, or gone
		}
	}
	for _, pid := range numbers(proc) {
		process := filepath.Join(proc, strconv.Itoa(pid))
		// The kernel's own threads have no program, no files, and the namespace
		// of process 1.
		if _, err := os.Readlink(filepath.Join(process, "exe")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, tid := range numbers(filepath.Join(process, "task")) {
			s.addLink(filepath.Join(process, "task", strconv.Itoa(tid), "ns", "net"), Owner{})
		}
		command, _ := os.ReadFile(filepath.Join(process, "comm"))
		owner := Owner{pid, strings.TrimSuffix(string(command), "\n")}
		for _, fd := range numbers(filepath.Join(process, "fd")) {
			s.addLink(filepath.Join(process, "fd", strconv.Itoa(fd)), owner)
		}
	}
	return s
}

// numbers returns the names in a directory that are numbers. There are none if the
// caller may not see it, or if it is gone.
func numbers(dir string) (all []int) {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

func (s *sight) addNamed(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	var in unix.Statfs_t
	var st unix.Stat_t
	if err = unix.Fstatfs(int(f.Fd()), &in); err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err == nil && in.Type != unix.NSFS_MAGIC {
		err = fmt.Errorf("%s is not a namespace", path)
	}
	if err != nil || s.namespaces[st.Ino] != nil {
		_ = f.Close()
		return err
	}
	s.namespaces[st.Ino] = &seen{Namespace{st.Ino, filepath.Base(path)}, f}
	return nil
}

// addLink looks at a link of /proc: to a socket, to a network namespace, or to
// something else.
func (s *sight) addLink(path string, owner Owner) {
	target, err := os.Readlink(path)
	if err != nil {
		return
	}
	if inode, ok := inodeIn(target, "socket", 32); ok {
		if all := s.owners[uint32(inode)]; !slices.Contains(all, owner) {
			s.owners[uint32(inode)] = append(all, owner)
		}
		return
	}
	inode, ok := inodeIn(target, "net", 64)
	if !ok || s.namespaces[inode] != nil {
		return
	}
	if f, err := os.Open(path); err == nil {
		s.namespaces[inode] = &seen{Namespace{Inode: inode}, f}
	}
}

// inodeIn reads the target of a link: KIND:[INODE].
func inodeIn(target, kind string, bits int) (uint64, bool) {
	rest, ok1 := strings.CutPrefix(target, kind+":[")
	rest, ok2 := strings.CutSuffix(rest, "]")
	inode, err := strconv.ParseUint(rest, 10, bits)
	return inode, ok1 && ok2 && err == nil
}

func (s *sight) close() {
	for _, n := range s.namespaces {
		_ = n.file.Close()
	}
}
