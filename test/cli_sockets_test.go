// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// socketShown is a socket in the output of `bulkdump sockets -o json`.
type socketShown struct {
	NetNS    struct{ Inode uint64 }
	Protocol string
	PortID   uint32 `json:"port_id"`
	Groups   []struct {
		ID   uint32
		Name string
	}
	Queued uint32
	RcvBuf *uint32
	Drops  uint32
	Dump   bool
	Inode  uint64
	Owners []struct {
		PID     int
		Command string
	}
	Source string
}

func sockets(t testing.TB, args ...string) (all []socketShown, remark string) {
	t.Helper()
	r := bulkdump(t, append([]string{"sockets", "-o", "json"}, args...)...)
	if strings.Contains(r.stderr, "the kernel has no netlink_diag") {
		remark, r.stderr = r.stderr, ""
	}
	if r.code != 0 && remark == "" || r.stderr != "" {
		t.Fatalf("bulkdump sockets %q: exit code %d, stderr %q", args, r.code, r.stderr)
	}
	if r.code == 0 {
		if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
			t.Fatal(err)
		}
	}
	return all, remark
}

// A process may choose any name: it is one cell of one line.
func TestSocketsOfHostileProcess(t *testing.T) {
	setup(t)
	comm := fmt.Sprintf("/proc/%d/comm", os.Getpid())
	old, err := os.ReadFile(comm)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(comm, []byte("\x1b[31m\n\t\xffx\u009b,\x7f"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.WriteFile(comm, bytes.TrimSuffix(old, []byte("\n")), 0); err != nil {
			t.Error(err)
		}
	}()
	bound(t, nil, unix.NETLINK_ROUTE, 0xbeef02)
	const quoted = `"\x1b[31m\n\t\xffx\u009b,\x7f"`
	for _, format := range []string{"table", "csv", "json"} {
		r := bulkdump(t, "sockets", "-o", format)
		found := 0
		for line := range strings.Lines(r.stdout) {
			if strings.Contains(line, "xbeef02") || strings.Contains(line, fmt.Sprint(0xbeef02)) {
				found++
			}
			if strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return !unicode.IsPrint(c) }) >= 0 {
				t.Errorf("%s: %q", format, line)
			}
		}
		want := fmt.Sprintf("%s/%d", quoted, os.Getpid())
		switch format {
		case "csv":
			want = strings.ReplaceAll(want, `"`, `""`)
		case "json":
			want = `\u001b[31m\n\t\ufffdx\u009b,\u007f`
		}
		if found != 1 || !strings.Contains(r.stdout, want) {
			t.Errorf("%s: the socket is on %d lines, %s is not among them: %q", format, found, want, r.stdout)
		}
	}
}

// needsDiag skips a test if sock_diag does not support netlink sockets. In
// Debian's kernels, that is a module.
func needsDiag(t testing.TB) {
	t.Helper()
	if _, remark := sockets(t, "--source", "diag"); remark != "" {
		t.Skipf("vm/run --modprobe netlink_diag: %s", remark)
	}
}

// shown finds the socket of a file descriptor.
func shown(t testing.TB, all []socketShown, fd int) socketShown {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	var found []socketShown
	for _, s := range all {
		if s.Inode == stat.Ino {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the socket with inode %d is there %d times, of %d", stat.Ino, len(found), len(all))
	}
	if o := found[0].Owners; !slices.ContainsFunc(o, func(o struct {
		PID     int
		Command string
	}) bool {
		return o.PID == os.Getpid() && o.Command != ""
	}) {
		t.Errorf("owners %v, want process %d among them", o, os.Getpid())
	}
	return found[0]
}

// bound opens a socket of a protocol with the port id, in the namespace ns if
// that is not nil.
func bound(t testing.TB, ns *os.File, protocol int, port uint32) int {
	t.Helper()
	type result struct {
		fd  int
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if ns != nil {
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				made <- result{err: err}
				return
			}
		}
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port})
		}
		made <- result{fd, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { _ = unix.Close(r.fd) })
	return r.fd
}

// waiting reports whether something can be read from a socket.
func waiting(t testing.TB, fd int) bool {
	t.Helper()
	_, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return err == nil
}

// The same port id in two namespaces and in two protocols makes three sockets.
// A reply reaches the socket that sent the request.
func TestSocketsOfOnePortID(t *testing.T) {
	setup(t)
	const port = 0xbeef01
	ns := newNetNS(t)
	fds := []int{
		bound(t, nil, unix.NETLINK_GENERIC, port),
		bound(t, ns, unix.NETLINK_GENERIC, port),
		bound(t, nil, unix.NETLINK_ROUTE, port),
	}
	if err := unix.Bind(openUnbound(t, unix.NETLINK_GENERIC), &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a fourth one with a name that is taken: %v, want EADDRINUSE", err)
	}
	family := binary.NativeEndian.AppendUint16(nil, unix.GENL_ID_CTRL)
	ask := [][]byte{
		append([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, attr(unix.CTRL_ATTR_FAMILY_ID, family...)...),
		append([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, attr(unix.CTRL_ATTR_FAMILY_ID, family...)...),
		{unix.AF_UNSPEC, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, // struct ifinfomsg: the first link, lo
	}
	types := []uint16{unix.GENL_ID_CTRL, unix.GENL_ID_CTRL, unix.RTM_GETLINK}
	replies := []uint16{unix.GENL_ID_CTRL, unix.GENL_ID_CTRL, unix.RTM_NEWLINK}
	for i, fd := range fds {
		s := &rawSocket{t: t, fd: fd, family: types[i], seq: uint32(100 * i), buf: make([]byte, 64<<10)}
		seq := s.sendBody(unix.NLM_F_REQUEST, ask[i])
		all, _ := sockets(t)
		for j, other := range fds {
			if got := waiting(t, other); got != (i == j) {
				t.Errorf("request of socket %d: a reply for socket %d: %v", i, j, got)
			}
			if got := shown(t, all, other); (got.Queued > 0) != (i == j) {
				t.Errorf("request of socket %d: %d bytes are queued at socket %d", i, got.Queued, j)
			}
		}
		ms, _ := s.read()
		if len(ms) != 1 || ms[0].Seq != seq || ms[0].Type != replies[i] {
			t.Errorf("socket %d, request %d of type %d: reply %+v", i, seq, types[i], ms)
		}
	}

	all, _ := sockets(t)
	var namespaces []uint64
	for i, fd := range fds {
		s := shown(t, all, fd)
		if want := []string{"generic", "generic", "route"}[i]; s.PortID != port || s.Protocol != want || s.Dump || s.Drops != 0 {
			t.Errorf("socket %d is shown as %+v", i, s)
		}
		namespaces = append(namespaces, s.NetNS.Inode)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	if namespaces[1] != stat.Ino || namespaces[0] == stat.Ino || namespaces[0] != namespaces[2] {
		t.Errorf("in namespaces %d, want the second one only in %d", namespaces, stat.Ino)
	}
	named := 0
	for _, s := range all {
		if s.PortID == port {
			named++
		}
	}
	if named != len(fds) {
		t.Errorf("%d sockets with the port id, want %d", named, len(fds))
	}
}

func openUnbound(t testing.TB, protocol int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// A parked dump counts as running until it is read to its end. QUEUED is what
// the socket itself reports.
func TestSocketsWithParkedDump(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000})
	s := openRaw(t, client.FamilyName, 64<<10)
	s.send(cmdEntryGet, flagDump)
	sources := []string{"auto", "proc"}
	if _, remark := sockets(t); remark == "" {
		sources = append(sources, "diag")
	}
	check := func(dump bool) {
		t.Helper()
		for _, source := range sources {
			all, _ := sockets(t, "--source", source)
			got := shown(t, all, s.fd)
			if got.Dump != dump || got.Queued != received(t, s.fd) || (got.Queued > 0) != dump {
				t.Errorf("%s: %+v, want a dump: %v", source, got, dump)
			}
			if got.RcvBuf != nil && *got.RcvBuf != receiveBuffer(t, s.fd) || (got.RcvBuf == nil) != (got.Source == "proc") {
				t.Errorf("%s: receive buffer of %+v", source, got)
			}
		}
	}
	check(true)
	s.read()
	check(true)
	s.readDump()
	check(false)
}

// The command shows the groups of each socket, and what was lost.
func TestSocketsWithGroups(t *testing.T) {
	c := setup(t)
	s := listen(t)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	route := bound(t, nil, unix.NETLINK_ROUTE, 0)
	const group = 33 // RTNLGRP_BRVLAN: does not fit in a word of 32 bits
	if err := unix.SetsockoptInt(route, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(100) {
		makeEntry(t, c, client.Entry{ID: i})
	}
	for _, source := range []string{"auto", "proc"} {
		all, remark := sockets(t, "--source", source)
		got := shown(t, all, s.fd)
		if len(got.Groups) != 1 || got.Groups[0].Name != client.FamilyName+":entries" {
			t.Errorf("%s: groups %v", source, got.Groups)
		}
		if got.Drops == 0 || got.Drops >= 100 || got.Queued == 0 {
			t.Errorf("%s: of 100 messages, %d were lost, and %d bytes wait", source, got.Drops, got.Queued)
		}
		got = shown(t, all, route)
		if source == "auto" && remark == "" {
			if len(got.Groups) != 1 || got.Groups[0].ID != group || got.Groups[0].Name != "brvlan" {
				t.Errorf("%s: groups %v, want %d", source, got.Groups, group)
			}
		} else if len(got.Groups) != 0 {
			t.Errorf("%s: groups %v, which it does not tell", source, got.Groups)
		}
	}
}

// There are more sockets than fit in one page. None is left out, and both
// sources agree on each.
func TestSocketsFromBothSources(t *testing.T) {
	setup(t)
	needsDiag(t)
	var fds []int
	for range 300 {
		fds = append(fds, bound(t, nil, unix.NETLINK_GENERIC, 0))
	}
	type name struct {
		ns       uint64
		protocol string
		port     uint32
		inode    uint64
	}
	list := func(source string) map[name]socketShown {
		all, _ := sockets(t, "--source", source)
		of := make(map[name]socketShown)
		for _, s := range all {
			if s.PortID == 0 {
				s.Queued = 0 // changes for the time of a system call, because of requests
			}
			of[name{s.NetNS.Inode, s.Protocol, s.PortID, s.Inode}] = s
		}
		if len(of) != len(all) {
			t.Errorf("%s: %d sockets with %d names", source, len(all), len(of))
		}
		return of
	}
	both, diag, proc := list("auto"), list("diag"), list("proc")
	if len(both) < len(fds) || len(both) != len(proc) {
		t.Errorf("%d sockets from both sources, %d from proc", len(both), len(proc))
	}
	missing := 0
	for n, p := range proc {
		b, ok := both[n]
		if !ok {
			t.Errorf("%+v is left out", n)
		}
		d, ok := diag[n]
		if !ok {
			missing++
			if b.Source != "proc" {
				t.Errorf("%+v is from %s, which does not have it", n, b.Source)
			}
			continue
		}
		if b.Source != "diag" || d.Queued != p.Queued || d.Drops != p.Drops || d.Dump != p.Dump || len(d.Groups) != len(p.Groups) {
			t.Errorf("%+v: from both %+v, from diag %+v, from proc %+v", n, b, d, p)
		}
	}
	figures(t, "of %d sockets, sock_diag leaves out %d", len(proc), missing)
}
