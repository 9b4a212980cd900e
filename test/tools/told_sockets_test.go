// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

func tellXfrm() []*tellFamily {
	state := "src {ip6} dst fd99::1 proto route2"
	policy := "src {ip}/32 dst 10.99.0.1/32 dir out"
	return []*tellFamily{
		{
			name: "xfrm states", modules: []string{"xfrm_user"}, netlink: unix.NETLINK_XFRM, count: 30, mark: objectIP6,
			request: structure(xfrmGetSA, nil),
			add:     lines("ip xfrm state add " + state + " mode ro coa fd99::2"), remove: lines("ip xfrm state delete " + state),
			changes: []tellChange{inPlace("coa", "ip xfrm state update "+state+" mode ro coa fd99::3")},
		},
		{
			name: "xfrm policies", modules: []string{"xfrm_user"}, netlink: unix.NETLINK_XFRM, count: 60, mark: markIP,
			request: structure(xfrmGetPolicy, nil),
			add:     lines("ip xfrm policy add " + policy + " action block"), remove: lines("ip xfrm policy delete " + policy),
			changes: []tellChange{inPlace("action", "ip xfrm policy update "+policy+" action allow")},
		},
	}
}

// socks are sockets, the objects of sock_diag and of TIPC.
type socks struct {
	domain, kind, protocol int
	address                func(i int) unix.Sockaddr
	fds                    map[int]int
	refs                   map[int]uint32 // in TIPC: the numbers of the sockets in a dump
}

func (s *socks) add() op {
	return do(func(t *testing.T, i int) {
		t.Helper()
		fd, err := unix.Socket(s.domain, s.kind|unix.SOCK_CLOEXEC, s.protocol)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, s.address(i)); err != nil {
			t.Fatal(err)
		}
		if s.domain == unix.AF_INET && s.kind == unix.SOCK_STREAM || s.domain == unix.AF_UNIX {
			if err := unix.Listen(fd, 1); err != nil {
				t.Fatal(err)
			}
		}
		if s.fds == nil {
			s.fds, s.refs = map[int]int{}, map[int]uint32{}
			t.Cleanup(func() {
				for _, fd := range s.fds {
					_ = unix.Close(fd)
				}
			})
		}
		s.fds[i] = fd
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := name.(*unix.SockaddrTIPC); ok {
			s.refs[i] = a.Addr.(*unix.TIPCSocketAddr).Ref
		}
	})
}

func (s *socks) remove() op {
	return do(func(t *testing.T, i int) {
		_ = unix.Close(s.fds[i])
		delete(s.fds, i)
	})
}

func (s *socks) change(what string, f func(fd int) error) []tellChange {
	return []tellChange{{what: what, op: do(func(t *testing.T, i int) {
		if err := f(s.fds[i]); err != nil {
			t.Fatal(err)
		}
	})}}
}

func tellSockets() []*tellFamily {
	inet := func(i int) unix.Sockaddr {
		return &unix.SockaddrInet4{Port: 77, Addr: [4]byte(markLoopback(i))}
	}
	diag := func(name, module string, s socks, count int, mark func(int) []byte, request []byte, what string, change func(fd int) error) *tellFamily {
		return &tellFamily{
			name: name, alone: true, modules: []string{module}, netlink: unix.NETLINK_SOCK_DIAG, count: count, mark: mark,
			request: structure(sockDiagByFamily, request), prepare: lines("ip link set lo up"),
			add: s.add(), remove: s.remove(), changes: s.change(what, change),
		}
	}
	all := func(size int, first ...byte) []byte {
		h := header(size, first...)
		binary.NativeEndian.PutUint32(h[4:], 0xffffffff) // states
		return h
	}
	connect := func(fd int) error {
		return unix.Connect(fd, &unix.SockaddrInet4{Port: 78, Addr: [4]byte{127, 0, 0, 1}})
	}
	shut := func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) }
	udp := diag("sockets, UDP", "udp_diag", socks{domain: unix.AF_INET, kind: unix.SOCK_DGRAM, address: inet}, 300, markLoopback,
		all(sizeofInetDiagReq, unix.AF_INET, unix.IPPROTO_UDP), "peer", connect)
	tcp := diag("sockets, TCP", "tcp_diag", socks{domain: unix.AF_INET, kind: unix.SOCK_STREAM, address: inet}, 300, markLoopback,
		all(sizeofInetDiagReq, unix.AF_INET, unix.IPPROTO_TCP), "backlog", func(fd int) error { return unix.Listen(fd, 7) })
	local := all(24, unix.AF_UNIX)
	binary.NativeEndian.PutUint32(local[12:], 0xff) // udiag_show
	un := diag("sockets, Unix", "unix_diag", socks{domain: unix.AF_UNIX, kind: unix.SOCK_STREAM,
		address: func(i int) unix.Sockaddr { return &unix.SockaddrUnix{Name: "@" + string(markName(i))} }}, 200, markName, local, "shutdown", shut)
	nl := header(20, unix.AF_NETLINK, 0xff)  // NDIAG_PROTO_ALL
	binary.NativeEndian.PutUint32(nl[8:], 3) // memory, groups
	nls := diag("sockets, netlink", "netlink_diag", socks{domain: unix.AF_NETLINK, kind: unix.SOCK_RAW,
		address: func(i int) unix.Sockaddr { return &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: objectID(i)} }}, 200, markID, nl, "group", func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, 1)
	})
	return []*tellFamily{tcp, udp, un, nls}
}

func markLoopback(i int) []byte { return address("127.77.0.1", i) }
