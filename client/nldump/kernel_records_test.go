// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Records without NLM_F_MULTI, from netdev and from ethtool's timestamping.
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

// The first record is larger than a page of NLMSG_GOODSIZE. A stream's first
// dump works as well as its second.
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

	// It does not fit into a page for a small buffer. The dump of all families
	// then ends as if it were complete (6.1), or sends endless empty pages.
	// Either way it ends soon.
	s = dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{BufferSize: nldump.MinBufferSize, Abandon: nldump.AbandonClose})
	req.Data[0] = unix.AF_UNSPEC
	_, err := readDump(within(t), s, nldump.Dump{Request: req})
	if empty := s.Stats().EmptyPages; err != nil && !errors.Is(err, nldump.ErrNoProgress) || empty > 1<<12 {
		t.Errorf("a small buffer: %v, %d empty pages", err, empty)
	}
}

// The pages of a socket's second dump are not larger than those of the first.
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

// Equal rules make equal pages.
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

// Records of more than 32 KiB, requested as the package's documentation says. A
// record that does not fit is an error; it is never left out.
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
