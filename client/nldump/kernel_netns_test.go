// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// These tests read dumps of the running kernel, of tables that they fill. They
// need root, and take a network namespace of their own, which ends with them.

// ownNetNS gives the test's thread a network namespace.
func ownNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace of its own here, which takes root: %v", err)
	}
}

// within bounds a dump that would wait for ever.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// dialOpen returns a stream of rtnetlink with what it is made of.
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

// change sends requests that make or change objects, many in one datagram; the
// kernel acknowledges the last one, and says at once what it refuses.
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

// create is a request that makes an object.
func create(typ uint16, header []byte, attrs ...[]byte) netlink.Message {
	m := netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | netlink.Create | netlink.Excl}}
	m.Data = append(m.Data, header...)
	for _, a := range attrs {
		m.Data = append(m.Data, a...)
	}
	return m
}

// addVeth makes a pair of links and returns the index of the first, which is up.
func addVeth(t *testing.T, name string) (index uint32) {
	t.Helper()
	const infoPeer = 1 // VETH_INFO_PEER
	peer := script.Attr(infoPeer, make([]byte, unix.SizeofIfInfomsg), script.Text(unix.IFLA_IFNAME, name+"p"))
	index = addLink(t, name, "veth", script.Attr(unix.IFLA_INFO_DATA, peer))
	setLink(t, index, unix.IFF_UP)
	return index
}

// addLink makes a link and returns its index.
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

// genl is a request of a generic family.
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

// Records without NLM_F_MULTI: those of netdev, and of ethtool's timestamping.
func TestKernelRecordsWithoutMulti(t *testing.T) {
	for _, tt := range []struct {
		family string
		cmd    byte
		attrs  []byte
		index  func(nldump.Message) uint32
	}{
		{"netdev", 1, nil, func(m nldump.Message) uint32 { // NETDEV_CMD_DEV_GET
			const ifindex = 1 // NETDEV_A_DEV_IFINDEX
			a := m.Attrs(unix.GENL_HDRLEN)
			a.Find(ifindex)
			return a.Uint32()
		}},
		{"ethtool", 25, script.Attr(unix.NLA_F_NESTED | 1), func(m nldump.Message) uint32 { // ETHTOOL_MSG_TSINFO_GET
			const header, ifindex = 1, 1 // ETHTOOL_A_TSINFO_HEADER, ETHTOOL_A_HEADER_DEV_INDEX
			a := m.Attrs(unix.GENL_HDRLEN)
			a.Find(header)
			n := a.Nested()
			n.Find(ifindex)
			return n.Uint32()
		}},
	} {
		t.Run(tt.family, func(t *testing.T) {
			ownNetNS(t)
			addVeth(t, "a")
			s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
			seen := map[uint32]int{}
			multi := 0
			for m, err := range s.Records(within(t), genl(t, s, tt.family, tt.cmd, tt.attrs)) {
				if err != nil {
					t.Fatal(err)
				}
				seen[tt.index(m)]++
				if m.Flags&unix.NLM_F_MULTI != 0 {
					multi++
				}
			}
			// lo, a and its peer; their numbers depend on the kernel.
			once := len(seen) > 0
			for index, n := range seen {
				once = once && index != 0 && n == 1
			}
			if !once || len(seen) != 3 {
				t.Errorf("links %v, want each of three once", seen)
			}
			t.Logf("%d records of %d have NLM_F_MULTI", multi, len(seen))
		})
	}
}

// TestKernelLargeFirstRecord has a first record that is larger than a page of
// NLMSG_GOODSIZE. A stream's first dump is as good as its second.
func TestKernelLargeFirstRecord(t *testing.T) {
	ownNetNS(t)
	link := addVeth(t, "a")
	const nexthops = 150
	var hops []byte
	for i := range nexthops {
		gateway := netip.MustParseAddr("fe80::1:0").As16()
		gateway[15] = byte(i)
		hop := make([]byte, unix.SizeofRtNexthop)
		attr := script.Attr(unix.RTA_GATEWAY, gateway[:])
		binary.NativeEndian.PutUint16(hop, uint16(len(hop)+len(attr)))
		binary.NativeEndian.PutUint32(hop[4:], link)
		hops = append(append(hops, hop...), attr...)
	}
	dst := netip.MustParseAddr("2001:db8::").As16()
	header := []byte{unix.AF_INET6, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST, 0, 0, 0, 0}
	change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWROUTE, header, script.Attr(unix.RTA_DST, dst[:]), script.Attr(unix.RTA_MULTIPATH, hops)))

	req := nldump.Message{Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)}
	req.Data[0] = unix.AF_INET6
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	for dump := range 2 {
		got := 0
		for m, err := range s.Records(within(t), req) {
			if err != nil {
				t.Fatalf("dump %d: %v", dump+1, err)
			}
			a := m.Attrs(unix.SizeofRtMsg)
			if a.Find(unix.RTA_MULTIPATH) {
				for h := range a.Nexthops() {
					if h.Link == link && h.Attrs.Find(unix.RTA_GATEWAY) && h.Attrs.Addr().Is6() {
						got++
					}
				}
			}
			if a.Err() != nil {
				t.Fatal(a.Err())
			}
		}
		if got != nexthops {
			t.Errorf("dump %d: a route with %d nexthops, want %d", dump+1, got, nexthops)
		}
	}

	// Into the page for a small buffer it does not fit. The dump of all families ends
	// for that as if it were whole (6.1), or sends empty pages without end: it ends soon.
	s = dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{BufferSize: nldump.MinBufferSize, Abandon: nldump.AbandonClose})
	req.Data[0] = unix.AF_UNSPEC
	_, err := readDump(within(t), s, nldump.Dump{Request: req})
	if empty := s.Stats().EmptyPages; err != nil && !errors.Is(err, nldump.ErrNoProgress) || empty > 1<<12 {
		t.Errorf("a small buffer: %v, %d empty pages", err, empty)
	}
}

// TestKernelFirstPageIsLarge: the second dump of a socket has no larger pages than
// the first.
func TestKernelFirstPageIsLarge(t *testing.T) {
	ownNetNS(t)
	addRules(t, 1000)
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	var pages [2]uint64
	for dump := range pages {
		if n := countRules(t, s); n < 1000 {
			t.Fatalf("%d rules", n)
		}
		pages[dump] = s.Stats().Pages
	}
	if pages[0] != pages[1] {
		t.Errorf("%d pages, then %d", pages[0], pages[1])
	}
}

// TestKernelIgnoredRequest asks for what the kernel passes over without an answer.
func TestKernelIgnoredRequest(t *testing.T) {
	for name, req := range map[string]nldump.Message{
		"no body": {Type: unix.RTM_GETLINK},
		"type 0":  {Type: 0, Data: make([]byte, unix.SizeofIfInfomsg)},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
			_, err := readDump(within(t), s, nldump.Dump{Request: req})
			// Strict checking refuses the first by name on some kernels.
			var refused *nldump.KernelError
			if !errors.Is(err, nldump.ErrProtocol) && !errors.As(err, &refused) {
				t.Errorf("got %v, want an error of the kernel's answer", err)
			}
			if !s.Idle() {
				t.Error("not idle")
			}
			if _, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil {
				t.Errorf("the next dump: %v", err)
			}
		})
	}
}

// TestKernelEcho asks what was made of a request, with and without listening to
// those who are told of it.
func TestKernelEcho(t *testing.T) {
	ownNetNS(t)
	c, _, s := dialOpen(t, nldump.Config{})
	for _, listen := range []bool{false, true} {
		if listen {
			if err := c.JoinGroup(unix.RTNLGRP_IPV4_RULE); err != nil {
				t.Fatal(err)
			}
		}
		rule := nldump.Message{Type: unix.RTM_NEWRULE, Data: []byte{unix.AF_INET, 0, 0, 0, 9, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}}
		for _, flags := range []uint16{0, unix.NLM_F_ECHO} {
			rule.Flags = unix.NLM_F_CREATE | flags
			n := 0
			for m, err := range s.Do(within(t), rule) {
				if err != nil {
					t.Fatal(err)
				}
				a := m.Attrs(len(rule.Data))
				if m.Type != unix.RTM_NEWRULE || !a.Find(unix.FRA_PRIORITY) || a.Uint32() == 0 {
					t.Errorf("answer of type %d without a priority, %v", m.Type, a.Err())
				}
				n++
			}
			if want := int(flags / unix.NLM_F_ECHO); n != want {
				t.Errorf("listening %v, flags %#x: %d answers, want %d; %+v", listen, flags, n, want, s.Stats())
			}
		}
	}
}

// addRules makes rules that are all alike.
func addRules(t *testing.T, count int) {
	t.Helper()
	header := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}
	var rules []netlink.Message
	for range count {
		m := create(unix.RTM_NEWRULE, header, script.U32(unix.FRA_PRIORITY, 1000))
		m.Header.Flags &^= netlink.Excl // which refuses a second one
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

// TestKernelEqualRecords: the rules that are alike make pages that are, too.
func TestKernelEqualRecords(t *testing.T) {
	ownNetNS(t)
	const count = 3000
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{BufferSize: nldump.MinBufferSize})
	before := countRules(t, s)
	addRules(t, count)
	if n := countRules(t, s); n != before+count {
		t.Errorf("%d rules, want %d", n, before+count)
	}
}

// TestKernelLostEnd reads with a buffer that is smaller than one that the socket
// was read with before: the kernel's page does not fit, and the dump's end is in
// what is cut off.
func TestKernelLostEnd(t *testing.T) {
	ownNetNS(t)
	for i := range 4 {
		addVeth(t, fmt.Sprint("a", i)) // links of more than MinBufferSize
	}
	small := nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: nldump.DefaultBufferSize}
	primed := func(cfg nldump.Config) *nldump.Stream {
		_, sock, s := dialOpen(t, cfg)
		if _, err := sock.Send(nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}); err != nil {
			t.Fatal(err)
		}
		if _, err := sock.Recv(make([]byte, nldump.DefaultBufferSize)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := primed(small)
	if _, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); !errors.Is(err, nldump.ErrTruncated) || s.Idle() {
		t.Fatalf("got %v, idle %v", err, s.Idle())
	}
	if err := s.Drain(within(t)); err != nil || !s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
	if links, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil || len(links) < 8 {
		t.Errorf("the next dump: %d links, %v", len(links), err)
	}

	n := 0
	err := primed(small).Retry(within(t), nldump.Dump{Request: getLinks}, 2, func(int) { n = 0 }, func(nldump.Message) error {
		n++
		return nil
	})
	if err != nil || n < 8 {
		t.Errorf("Retry: %d links, %v", n, err)
	}

	d := nldump.Dump{
		Request: getLinks,
		Key: func(dst []byte, m nldump.Message) ([]byte, error) {
			return append(dst, m.Data[7], m.Data[6], m.Data[5], m.Data[4]), nil
		},
		Resume: func([]byte) (nldump.Message, error) { return getLinks, nil },
	}
	if links, err := readDump(within(t), primed(small), d); !errors.Is(err, nldump.ErrInterrupted) || len(links) < 8 {
		t.Errorf("Resume: %d links, %v", len(links), err)
	}
}

// TestKernelEventsBesideADump: a socket that is in a group has its events between
// the pages.
func TestKernelEventsBesideADump(t *testing.T) {
	ownNetNS(t)
	addRules(t, 3000)
	c, _, s := dialOpen(t, nldump.Config{})
	if err := c.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		t.Fatal(err)
	}
	addVeth(t, "early") // its events wait when the dump begins
	names := map[string]bool{}
	req := nldump.Message{Type: unix.RTM_GETRULE, Data: make([]byte, unix.SizeofRtMsg)}
	req.Data[0] = unix.AF_INET
	d := nldump.Dump{Request: req, Foreign: func(d nldump.Datagram, b []byte) {
		m, _, err := nldump.NextMessage(b)
		if err != nil || d.Group == 0 {
			t.Errorf("datagram %+v: %v", d, err)
		}
		if a := m.Attrs(unix.SizeofIfInfomsg); a.Find(unix.IFLA_IFNAME) {
			names[string(a.Text())] = true
		}
	}}
	n := 0
	for _, err := range s.Dump(within(t), d) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			addVeth(t, "amid")
		}
	}
	if n < 3000 || !names["early"] || !names["amid"] || s.Stats().Foreign == 0 {
		t.Errorf("%d rules, events of %v, %+v", n, names, s.Stats())
	}
}

// TestKernelAnswersAfterAnOverrun: once events found no room, the kernel drops
// answers too, and says nothing, until the queue was read empty.
func TestKernelAnswersAfterAnOverrun(t *testing.T) {
	ownNetNS(t)
	c, _, s := dialOpen(t, nldump.Config{ReceiveBuffer: 8 << 10})
	if err := c.JoinGroup(unix.RTNLGRP_IPV4_RULE); err != nil {
		t.Fatal(err)
	}
	lo := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	binary.NativeEndian.PutUint32(lo.Data[4:], 1) // ifi_index
	for m, err := range s.Do(within(t), lo) {
		if err == nil {
			addRules(t, 1000) // behind the acknowledgement, which is not read yet
		} else if !errors.Is(err, nldump.ErrOverrun) || m.Data != nil {
			t.Fatal(err)
		}
	}
	if err := s.Drain(within(t)); err != nil || !s.Idle() {
		t.Fatalf("Drain: %v, idle %v", err, s.Idle())
	}
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	n := 0
	for _, err := range s.Do(soon, lo) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d answers, want 1", n)
	}
}

// TestKernelUnaddressedAnswers: thermal's dump fills in neither sequence number
// nor port id.
func TestKernelUnaddressedAnswers(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{Abandon: nldump.AbandonClose})
	const getZones = 1 // THERMAL_GENL_CMD_TZ_GET_ID
	req := genl(t, s, "thermal", getZones)
	_, err := readDump(within(t), s, nldump.Dump{Request: req})
	if !errors.Is(err, nldump.ErrProtocol) || !strings.Contains(err.Error(), "Dump.Unaddressed") {
		t.Errorf("by default: %v, want a refusal that names the way", err)
	}
	if records, err := readDump(within(t), s, nldump.Dump{Request: req, Unaddressed: true}); err != nil || len(records) != 1 {
		t.Errorf("%d records, %v; want one", len(records), err)
	}
}

// TestKernelAnswersLater: audit acknowledges a request first, and lists its rules
// from a thread.
func TestKernelAnswersLater(t *testing.T) {
	const listRules = 1013 // AUDIT_LIST_RULES
	s := dialKernel(t, unix.NETLINK_AUDIT, nldump.Config{})
	_, err := readDump(within(t), s, nldump.Dump{Request: nldump.Message{Type: listRules}, Do: true, NoAck: true, Unaddressed: true})
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skipf("audit is not for this process: %v", err)
	}
	if err != nil || !s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}

func TestKernelFamily(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	f, err := s.Family(within(t), "nlctrl")
	if err != nil || f.ID != unix.GENL_ID_CTRL || f.Name != "nlctrl" || f.Version != 2 || f.Groups["notify"] != 16 {
		t.Errorf("got %+v, %v", f, err)
	}
	for _, name := range []string{"no such", "", strings.Repeat("x", 16), "nlctrl\x00"} {
		if _, err := s.Family(within(t), name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: %v, want ErrNotExist", name, err)
		}
	}
	if !s.Idle() {
		t.Error("not idle")
	}
	// There the controller's number makes links.
	route := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	if f, err := route.Family(within(t), "nlctrl"); err == nil || !strings.Contains(err.Error(), "not of NETLINK_GENERIC") {
		t.Errorf("of rtnetlink: %+v, %v", f, err)
	}
}

// TestKernelRecordsLargerThanAPage has records of more than 32 KiB, asked for as
// the package's text says: what does not fit is an error, never left out.
func TestKernelRecordsLargerThanAPage(t *testing.T) {
	ownNetNS(t)
	link := addVeth(t, "a")

	const names = 300
	header := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(header[4:], link)
	var adds []netlink.Message
	for i := range names {
		name := script.Text(unix.IFLA_ALT_IFNAME, fmt.Sprintf("%0120d", i))
		adds = append(adds, create(unix.RTM_NEWLINKPROP, header, script.Attr(unix.NLA_F_NESTED|unix.IFLA_PROP_LIST, name)))
	}
	change(t, unix.NETLINK_ROUTE, adds...)
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	links, got := 0, 0
	for m, err := range s.Records(within(t), getLinks) {
		if err != nil {
			t.Fatal(err)
		}
		links++
		a := m.Attrs(unix.SizeofIfInfomsg)
		if a.Find(unix.IFLA_PROP_LIST) {
			for range a.Nest() {
				got++
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	if links != 3 || got != names {
		t.Errorf("%d links with %d names, want 3 with %d", links, got, names)
	}

	address := []byte{unix.AF_INET, 24, 0, 0, 0, 0, 0, 0}
	binary.NativeEndian.PutUint32(address[4:], link)
	change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWADDR, address, script.Attr(unix.IFA_LOCAL, []byte{192, 0, 2, 5})))
	const nexthops = 2100
	var hops []byte
	for range nexthops {
		hop := make([]byte, unix.SizeofRtNexthop)
		gateway := script.Attr(unix.RTA_GATEWAY, []byte{192, 0, 2, 1})
		binary.NativeEndian.PutUint16(hop, uint16(len(hop)+len(gateway)))
		binary.NativeEndian.PutUint32(hop[4:], link)
		hops = append(append(hops, hop...), gateway...)
	}
	route := []byte{unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST, 0, 0, 0, 0}
	change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWROUTE, route, script.Attr(unix.RTA_DST, []byte{198, 51, 100, 1}), script.Attr(unix.RTA_MULTIPATH, hops)))
	all := nldump.Message{Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)}
	var refused *nldump.KernelError
	if _, err := readDump(within(t), s, nldump.Dump{Request: all}); !errors.As(err, &refused) || refused.Errno != unix.EMSGSIZE {
		t.Errorf("got %v, want EMSGSIZE", err)
	}
}

// TestKernelTeamOptions asks for what a do callback answers with several messages
// and an NLMSG_DONE of its own.
func TestKernelTeamOptions(t *testing.T) {
	ownNetNS(t)
	const optionsGet, teamIndex, optionList, portIndex = 2, 1, 2, 6 // TEAM_CMD_OPTIONS_GET and attributes
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	req := genl(t, s, "team", optionsGet) // skips where there is none
	team := addLink(t, "team0", "team")
	const ports = 20
	want := map[uint32]bool{}
	for i := range ports {
		name := fmt.Sprint("a", i)
		addVeth(t, name)
		port := linkIndex(t, name+"p") // is down, as a port must be
		setLink(t, port, 0, script.U32(unix.IFLA_MASTER, team))
		want[port] = true
	}
	req.Data = append(req.Data, script.U32(teamIndex, team)...)
	messages, got := 0, map[uint32]bool{}
	for m, err := range s.Do(within(t), req) {
		if err != nil {
			t.Fatal(err)
		}
		messages++
		a := m.Attrs(unix.GENL_HDRLEN)
		for a.Next() {
			if a.Type() != optionList {
				continue
			}
			for _, option := range a.Nest() {
				for typ, n := range option.Nest() {
					if typ == portIndex {
						got[n.Uint32()] = true
					}
				}
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	if messages < 2 || !maps.Equal(got, want) || !s.Idle() {
		t.Errorf("%d messages with options of ports %v, want several, and %v; idle %v", messages, got, want, s.Idle())
	}
	if _, err := readDump(within(t), s, nldump.Dump{Request: families()}); err != nil {
		t.Errorf("a dump after it: %v", err)
	}
}

// TestKernelAnswerThatWaits has an answer in the receive queue that nobody asked
// the stream for: it is not taken for one of the dump's.
func TestKernelAnswerThatWaits(t *testing.T) {
	_, sock, s := dialOpen(t, nldump.Config{})
	if _, err := sock.Send(nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if links, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil || len(links) == 0 || !s.Idle() {
			t.Errorf("%d links, %v, idle %v", len(links), err, s.Idle())
		}
	}
}

// TestKernelEventsOfHighGroups: the address of a datagram has no room for groups
// above 32, so an event of theirs looks like an answer there.
func TestKernelEventsOfHighGroups(t *testing.T) {
	ownNetNS(t)
	link := addLink(t, "br", "bridge")
	setLink(t, link, unix.IFF_UP)
	c, _, s := dialOpen(t, nldump.Config{StallTimeout: time.Minute}) // which an event must not end
	// An event of a vlan of the bridge, or, where the kernel is new enough to tell
	// of them, of a multicast address, which is joined with an address.
	group := uint32(unix.RTNLGRP_IPV4_MCADDR)
	happen := func(n byte) {
		const autojoin = 0x400 // IFA_F_MCAUTOJOIN
		header := []byte{unix.AF_INET, 32, 0, 0, 0, 0, 0, 0}
		binary.NativeEndian.PutUint32(header[4:], link)
		change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWADDR, header,
			script.Attr(unix.IFA_LOCAL, []byte{224, 0, 0, n}), script.U32(unix.IFA_FLAGS, autojoin)))
	}
	if c.JoinGroup(group) != nil {
		group = unix.RTNLGRP_BRVLAN
		happen = func(n byte) {
			const newVlan, entry, info, ofBridge = 112, 1, 1, 1 << 5 // RTM_NEWVLAN, BRIDGE_VLANDB_ENTRY …, BRIDGE_VLAN_INFO_BRENTRY
			header := make([]byte, 8)
			header[0] = unix.AF_BRIDGE
			binary.NativeEndian.PutUint32(header[4:], link)
			change(t, unix.NETLINK_ROUTE, create(newVlan, header, script.Attr(unix.NLA_F_NESTED|entry, script.Attr(info, []byte{ofBridge, 0, n, 0}))))
		}
		if err := c.JoinGroup(group); err != nil {
			t.Fatal(err)
		}
	}
	var groups []uint32
	d := nldump.Dump{Request: getLinks, Unaddressed: true, Foreign: func(d nldump.Datagram, _ []byte) { groups = append(groups, d.Group) }}
	for round := range byte(3) { // the first with an event before the socket's first dump
		groups = nil
		happen(10 + round)
		links := 0
		for m, err := range s.Dump(within(t), d) {
			if err != nil {
				t.Fatal(err)
			}
			if links++; m.Type != unix.RTM_NEWLINK {
				t.Errorf("a record of type %d", m.Type)
			}
		}
		// The kernel may tell of more than was asked for.
		if links != 2 || !slices.Contains(groups, group) || slices.ContainsFunc(groups, func(g uint32) bool { return g != group }) {
			t.Errorf("%d links, want lo and the bridge; events of the groups %v", links, groups)
		}
	}
}
