// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A made-up /proc, with dangling links like those of the kernel.
func TestLook(t *testing.T) {
	proc := t.TempDir()
	link := func(path, target string) {
		t.Helper()
		path = filepath.Join(proc, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
	}
	link("12/exe", "/bin/a")
	link("13/exe", "/bin/b")
	link("2/fd/3", "socket:[103]") // of a kernel thread: it cannot be
	link("12/fd/0", "/dev/null")
	link("12/fd/3", "socket:[100]")
	link("12/fd/4", "socket:[100]")
	link("12/fd/5", "socket:[4294967296]")
	link("12/fd/6", "socket:[x]")
	link("13/fd/3", "socket:[100]")
	link("13/fd/4", "socket:[101]")
	link("13/task/14/ns/net", "net:[4026531840]") // cannot be opened
	link("self/fd/3", "socket:[102]")
	if err := os.WriteFile(filepath.Join(proc, "12/comm"), []byte("a b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := t.TempDir()
	if err := os.WriteFile(filepath.Join(names, "no-namespace"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := look(proc, names)
	defer s.close()
	want := map[uint32][]Owner{100: {{12, "a b"}, {13, ""}}, 101: {{13, ""}}}
	if !reflect.DeepEqual(s.owners, want) || len(s.namespaces) != 0 {
		t.Errorf("owners %v, namespaces %v; want %v and none", s.owners, s.namespaces, want)
	}
}

// The running kernel, with a socket of this test.
func TestRead(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownNamespace()
	if err != nil {
		t.Fatal(err)
	}
	for _, only := range []Source{"", Diag, Proc} {
		l, err := Read(t.Context(), only)
		if errors.Is(err, ErrNoDiag) && only == Diag {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(l.Sockets, func(s Socket) bool {
			return s.NetNS.Inode == own && s.Protocol == unix.NETLINK_ROUTE && s.PortID == name.(*unix.SockaddrNetlink).Pid
		})
		if i < 0 {
			t.Fatalf("%q: the socket is not among %+v", only, l.Sockets)
		}
		s := l.Sockets[i]
		if !slices.Equal(s.Groups, []Group{{1, "link"}}) || len(s.Owners) != 1 || s.Owners[0].PID != os.Getpid() || s.Dump {
			t.Errorf("%q: %+v", only, s)
		}
		if !slices.IsSortedFunc(l.Sockets, compare) {
			t.Errorf("%q: not sorted", only)
		}
		// Read's own sockets were opened after the look at who has which.
		if slices.ContainsFunc(l.Sockets, func(s Socket) bool {
			return os.Getuid() == 0 && s.NetNS.Inode == own && s.Protocol == unix.NETLINK_SOCK_DIAG && s.PortID != 0 && len(s.Owners) == 0
		}) {
			t.Errorf("%q: a socket of Read's own is among %+v", only, l.Sockets)
		}
	}
}
