// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// These tests fill tables of the running kernel and dump them. They need root,
// and use a network namespace that ends with them.

// ownNetNS gives the test's thread a network namespace.
func ownNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked, so the thread and its namespace end with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace of its own here, which takes root: %v", err)
	}
}

// within returns a context with a limit, for dumps that might never end.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// dialOpen returns a stream of rtnetlink, with its connection and socket.
func dialOpen(t *testing.T, cfg nldump.Config) (*netlink.Conn, nldump.PollSocket, *nldump.Stream) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := nldump.New(sock, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return c, sock, s
}

// change sends requests that create or change objects, in one datagram. The
// kernel acknowledges the last one, and reports at once which ones it refuses.
func change(t *testing.T, family int, messages ...netlink.Message) {
	t.Helper()
	c, err := netlink.Dial(family, nil)
	if err != nil {
		t.Skipf("no netlink socket of family %d here: %v", family, err)
	}
	defer c.Close()
	const most = 100
	for len(messages) > 0 {
		n := min(most, len(messages))
		batch := messages[:n]
		messages = messages[n:]
		batch[n-1].Header.Flags |= netlink.Acknowledge
		sent, err := c.SendMessages(batch)
		if err != nil {
			t.Fatal(err)
		}
		for acked := false; !acked; {
			answers, err := c.Receive()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				acked = acked || a.Header.Sequence == sent[n-1].Header.Sequence
			}
		}
	}
}

// create returns a request that creates an object.
func create(typ uint16, header []byte, attrs ...[]byte) netlink.Message {
	m := netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | netlink.Create | netlink.Excl}}
	m.Data = append(m.Data, header...)
	for _, a := range attrs {
		m.Data = append(m.Data, a...)
	}
	return m
}

// addVeth creates a pair of links and returns the index of the first one, which
// is up.
func addVeth(t *testing.T, name string) (index uint32) {
	t.Helper()
	const infoPeer = 1 // VETH_INFO_PEER
	peer := script.Attr(infoPeer, make([]byte, unix.SizeofIfInfomsg), script.Text(unix.IFLA_IFNAME, name+"p"))
	index = addLink(t, name, "veth", script.Attr(unix.IFLA_INFO_DATA, peer))
	setLink(t, index, unix.IFF_UP)
	return index
}

// addLink creates a link and returns its index.
func addLink(t *testing.T, name, kind string, data ...[]byte) uint32 {
	t.Helper()
	info := append([][]byte{script.Text(unix.IFLA_INFO_KIND, kind)}, data...)
	change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWLINK, make([]byte, unix.SizeofIfInfomsg),
		script.Text(unix.IFLA_IFNAME, name), script.Attr(unix.IFLA_LINKINFO, info...)))
	return linkIndex(t, name)
}

func linkIndex(t *testing.T, name string) uint32 {
	t.Helper()
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	var index uint32
	for m, err := range s.Records(within(t), getLinks) {
		if err != nil {
			t.Fatal(err)
		}
		if a := m.Attrs(unix.SizeofIfInfomsg); a.Find(unix.IFLA_IFNAME) && string(a.Text()) == name {
			index = binary.NativeEndian.Uint32(m.Data[4:])
		}
	}
	if index == 0 {
		t.Fatalf("no link %s", name)
	}
	return index
}

// setLink sets flags and attributes of a link.
func setLink(t *testing.T, index, flags uint32, attrs ...[]byte) {
	t.Helper()
	header := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(header[4:], index)
	binary.NativeEndian.PutUint32(header[8:], flags)
	binary.NativeEndian.PutUint32(header[12:], flags)
	m := create(unix.RTM_NEWLINK, header, attrs...)
	m.Header.Flags = netlink.Request
	change(t, unix.NETLINK_ROUTE, m)
}

// genl returns a request of a generic family.
func genl(t *testing.T, s *nldump.Stream, family string, cmd byte, attrs ...[]byte) nldump.Message {
	t.Helper()
	f, err := s.Family(within(t), family)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the kernel has no family %s: %v", family, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := nldump.Message{Type: f.ID, Data: []byte{cmd, byte(f.Version), 0, 0}}
	for _, a := range attrs {
		m.Data = append(m.Data, a...)
	}
	return m
}

// addRules creates rules that are all equal.
func addRules(t *testing.T, count int) {
	t.Helper()
	header := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}
	var rules []netlink.Message
	for range count {
		m := create(unix.RTM_NEWRULE, header, script.U32(unix.FRA_PRIORITY, 1000))
		m.Header.Flags &^= netlink.Excl // it would refuse a second one
		rules = append(rules, m)
	}
	change(t, unix.NETLINK_ROUTE, rules...)
}

func countRules(t *testing.T, s *nldump.Stream) (n int) {
	t.Helper()
	req := nldump.Message{Type: unix.RTM_GETRULE, Data: make([]byte, unix.SizeofRtMsg)}
	req.Data[0] = unix.AF_INET
	for _, err := range s.Records(within(t), req) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
