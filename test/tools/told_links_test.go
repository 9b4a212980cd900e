// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

func tellLinks() []*tellFamily {
	link := func(f tellFamily) *tellFamily {
		f.mark, f.add, f.remove = markID, lines(down), lines("ip link delete {name}")
		return &f
	}
	return []*tellFamily{
		link(tellFamily{
			name: "links", count: 12,
			request: structure(unix.RTM_GETLINK, header(unix.SizeofIfInfomsg)),
			prepare: lines("ip link add br0 type bridge"),
			changes: []tellChange{
				{what: "name", op: lines("ip link set {name} name r{i}"), undo: lines("ip link set r{i} name {name}")},
				inPlace("mtu", "ip link set {name} mtu 1234"),
				inPlace("up", "ip link set {name} up"),
				inPlace("down", "ip link set {name} down"),
				inPlace("alias", "ip link set {name} alias other"),
				inPlace("address", "ip link set {name} address {mac}"),
				inPlace("master", "ip link set {name} master br0"),
				inPlace("group", "ip link set {name} group 7"),
			},
		}),
		link(tellFamily{
			name: "link statistics", count: 60,
			request: structure(unix.RTM_GETSTATS, headerWith(12, 0, 8, 1)),
		}),
		link(tellFamily{
			name: "netconf, IPv4", count: 160,
			request: structure(unix.RTM_GETNETCONF, []byte{unix.AF_INET}),
			changes: []tellChange{{what: "forwarding", op: setting("ipv4/conf/%s/forwarding")}},
		}),
		link(tellFamily{
			name: "netconf, IPv6", count: 160,
			request: structure(unix.RTM_GETNETCONF, []byte{unix.AF_INET6}),
			changes: []tellChange{{what: "forwarding", op: setting("ipv6/conf/%s/forwarding")}},
		}),
		link(tellFamily{
			name: "neighbour tables", count: 60,
			request: structure(unix.RTM_GETNEIGHTBL, header(4)),
			changes: []tellChange{inPlace("base_reachable", "ip ntable change name arp_cache dev {name} base_reachable 12345")},
		}),
	}
}

// setting writes to a file of /proc/sys/net that is the object's.
func setting(format string) op {
	return do(func(t *testing.T, i int) {
		t.Helper()
		if err := os.WriteFile("/proc/sys/net/"+fmt.Sprintf(format, markName(i)), []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	})
}

func tellAddresses() []*tellFamily {
	groups := map[int]*os.File{}
	join := func(level, option int) (add, remove op) {
		sock := func(t *testing.T, i int) {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			m := unix.IPv6Mreq{Interface: 7}
			copy(m.Multiaddr[:], markGroup6(i))
			if err := unix.SetsockoptIPv6Mreq(fd, level, option, &m); err != nil {
				t.Fatal(err)
			}
			groups[i] = os.NewFile(uintptr(fd), "")
		}
		leave := func(t *testing.T, i int) { _ = groups[i].Close() }
		return do(sock), do(leave)
	}
	joined, left := join(unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP)
	addresses := func(name string, family byte, link uint32, mark func(int) []byte, a, flags string) *tellFamily {
		f := &tellFamily{
			name: name, count: 160, mark: mark, prepare: split(twoDummies),
			request: structure(unix.RTM_GETADDR, headerWith(unix.SizeofIfAddrmsg, family, 4, link)),
			add:     lines("ip address add " + a + " dev d0" + flags), remove: lines("ip address delete " + a + " dev d0"),
			changes: []tellChange{inPlace("lifetime", "ip address change "+a+" dev d0 valid_lft 1000 preferred_lft 900")},
		}
		if family == unix.AF_INET6 {
			var events addressEvents
			f.prepare.do = func(t *testing.T, _ int) { events.open(t) }
			f.add.do = func(t *testing.T, i int) { events.wait(t, mark(i)) }
		}
		return f
	}
	return []*tellFamily{
		addresses("addresses, IPv4", unix.AF_INET, 0, markIP, "{ip}/32", ""),
		addresses("addresses, IPv6", unix.AF_INET6, 0, objectIP6, "{ip6}/128", " nodad"),
		addresses("addresses of one link, IPv4", unix.AF_INET, 7, markIP, "{ip}/32", ""),
		addresses("addresses of one link, IPv6", unix.AF_INET6, 7, objectIP6, "{ip6}/128", " nodad"),
		{
			name: "multicast addresses, IPv6", alone: true, count: 160, mark: markGroup6, prepare: split(twoDummies),
			request: structure(unix.RTM_GETMULTICAST, header(unix.SizeofIfAddrmsg, unix.AF_INET6)),
			add:     joined, remove: left,
		},
		{
			name: "address labels", count: 160, mark: objectIP6,
			request: structure(unix.RTM_GETADDRLABEL, header(12, unix.AF_INET6)),
			add:     lines("ip addrlabel add prefix {ip6}/128 label 99"), remove: lines("ip addrlabel del prefix {ip6}/128 label 99"),
		},
	}
}

// addressEvents tells when an IPv6 address that was added counts. ip returns before
// that: the kernel goes on in a work queue, with an event, and then with the counter
// (net/ipv6/addrconf.c:addrconf_dad_completed).
type addressEvents struct {
	conn  *netlink.Conn // for requests
	sock  nldump.PollSocket
	there map[string]bool
}

func (e *addressEvents) open(t *testing.T) {
	t.Helper()
	dial := func() *netlink.Conn {
		conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	conn := dial()
	err := errors.Join(conn.SetReadBuffer(4<<20), conn.JoinGroup(unix.RTNLGRP_IPV6_IFADDR))
	sock, err2 := nldump.Open(conn, nldump.Config{})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	*e = addressEvents{dial(), sock, map[string]bool{}}
}

// wait waits until an address counts, after all events that are there already.
func (e *addressEvents) wait(t *testing.T, ip []byte) {
	t.Helper()
	buf := make([]byte, 64<<10)
	if err := e.sock.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for {
		d, err := e.sock.Poll(buf)
		if errors.Is(err, unix.EAGAIN) {
			if e.there[string(ip)] {
				break
			}
			d, err = e.sock.Recv(buf)
		}
		if err != nil {
			t.Fatalf("no event of address %x: %v", ip, err)
		}
		for b := buf[:d.Len]; len(b) > 0; {
			var m nldump.Message
			if m, b, err = nldump.NextMessage(b); err != nil {
				t.Fatal(err)
			}
			if a := m.Attrs(unix.SizeofIfAddrmsg); a.Find(unix.IFA_ADDRESS) {
				e.there[string(a.Bytes())] = m.Type == unix.RTM_NEWADDR
			}
		}
	}
	// The lock that this takes is held until the address is counted.
	nothing := netlink.Message{
		Header: netlink.Header{Type: unix.RTM_SETLINK, Flags: netlink.Request | netlink.Acknowledge},
		Data:   headerWith(unix.SizeofIfInfomsg, 0, 4, 7),
	}
	if _, err := e.conn.Execute(nothing); err != nil {
		t.Fatal(err)
	}
}

func markGroup6(i int) []byte { return append([]byte{0xff, 0x15}, objectIP6(i)[2:]...) }
