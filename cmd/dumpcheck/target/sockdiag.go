// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// The families of sock_diag, with the module that answers and the size of a record's
// header, and the internet protocols.
var (
	diagFamilies = map[byte]struct {
		name, module string
		header       int
	}{
		unix.AF_UNIX: {"unix", "unix_diag", 16}, unix.AF_INET: {"inet", "inet_diag", 72}, unix.AF_INET6: {"inet6", "inet_diag", 72},
		unix.AF_NETLINK: {"netlink", "netlink_diag", 28}, unix.AF_PACKET: {"packet", "af_packet_diag", 16}, unix.AF_TIPC: {"tipc", "diag", 0},
		unix.AF_VSOCK: {"vsock", "vsock_diag", -1}, unix.AF_SMC: {"smc", "smc_diag", 72}, unix.AF_XDP: {"xdp", "xsk_diag", 16},
	}
	diagProtocols = map[byte]struct{ name, module string }{
		unix.IPPROTO_TCP: {"tcp", "tcp_diag"}, unix.IPPROTO_UDP: {"udp", "udp_diag"}, unix.IPPROTO_DCCP: {"dccp", "dccp_diag"},
		unix.IPPROTO_SCTP: {"sctp", "sctp_diag"}, unix.IPPROTO_UDPLITE: {"udplite", "udp_diag"}, unix.IPPROTO_RAW: {"raw", "raw_diag"},
	}
)

const (
	getTCP       = 18 // TCPDIAG_GETSOCK
	getDCCP      = 19 // DCCPDIAG_GETSOCK
	getByFamily  = 20 // SOCK_DIAG_BY_FAMILY
	diagProtocol = 3  // INET_DIAG_REQ_PROTOCOL
	protoMPTCP   = 262
)

// DiagFamilies returns the names of the families of sock_diag that are known.
func DiagFamilies() (names []string) {
	for _, f := range slices.Sorted(maps.Keys(diagFamilies)) {
		names = append(names, diagFamilies[f].name)
	}
	return names
}

// SockDiag finds the dumps of sock_diag: each family and each internet protocol that it
// does not refuse as unknown. The kernel would load the modules of those for which it can
// open sockets. So what a module could provide that is not loaded is asked for only if
// load says so.
func SockDiag(load func(*Target) bool) (targets []*Target, err error) {
	p := newProber()
	add := func(t Target, module string, request []byte) error {
		if loadable(module) && !load(&t) {
			return nil
		}
		t.Request.Data = request
		a, err := p.probe(&t)
		if err != nil {
			return err
		}
		// An unknown family is refused with ENOENT, and one above AF_MAX with EINVAL.
		if a.errno == unix.ENOENT || a.errno == unix.EINVAL && request[0] > unix.AF_XDP {
			return nil
		}
		t.describe()
		targets = append(targets, &t)
		return nil
	}
	for family := range 256 {
		f, known := diagFamilies[byte(family)]
		if !known {
			f.name, f.header = fmt.Sprint("family ", family), -1
		}
		t := Target{
			Family: "sock_diag " + f.name, Command: "get", Protocol: unix.NETLINK_SOCK_DIAG, Header: f.header,
			Request: nldump.Message{Type: getByFamily}, NoAck: family == unix.AF_TIPC,
		}
		if family != unix.AF_INET && family != unix.AF_INET6 {
			if err := add(t, f.module, familyDiag(byte(family))); err != nil {
				return nil, err
			}
			continue
		}
		for protocol := range 256 {
			known, ok := diagProtocols[byte(protocol)]
			if t.Command = known.name; !ok {
				t.Command = fmt.Sprint("protocol ", protocol)
			}
			if err := add(t, known.module, inetDiag(byte(family), byte(protocol))); err != nil {
				return nil, err
			}
		}
		t.Command = "mptcp"
		if err := add(t, "mptcp_diag", append(inetDiag(byte(family), unix.IPPROTO_IP), Attr(diagProtocol, u32(protoMPTCP))...)); err != nil {
			return nil, err
		}
	}
	for typ, name := range map[uint16]string{getTCP: "tcp", getDCCP: "dccp"} {
		data := zeros(60) // struct inet_diag_req
		data[0] = unix.AF_INET
		binary.NativeEndian.PutUint32(data[52:], ^uint32(0))
		t := &Target{
			Family: "sock_diag", Command: "get-" + name, Protocol: unix.NETLINK_SOCK_DIAG, Header: 72,
			Request: nldump.Message{Type: typ, Data: data},
		}
		if loadable(name+"_diag") && !load(t) {
			continue
		}
		t.describe()
		targets = append(targets, t)
	}
	slices.SortStableFunc(targets, func(a, b *Target) int { return strings.Compare(a.Family, b.Family) })
	return targets, nil
}

// inetDiag returns a struct inet_diag_req_v2 for all states.
func inetDiag(family, protocol byte) []byte {
	b := zeros(56)
	b[0], b[1], b[2] = family, protocol, 0xff // with all extensions
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	return b
}

// familyDiag returns a request for all sockets of a family, with all their data
// that does not change. Each such structure starts with the family and the
// protocol.
func familyDiag(family byte) []byte {
	b := zeros(64)
	b[0] = family
	states, show := 4, 12
	switch family {
	case unix.AF_UNIX: // struct unix_diag_req: states, inode, show, cookie
		b = b[:24]
		binary.NativeEndian.PutUint32(b[show:], 0x7f)
	case unix.AF_PACKET: // struct packet_diag_req: inode, show, cookie
		b = b[:20]
		binary.NativeEndian.PutUint32(b[8:], 0x3f)
		return b
	case unix.AF_NETLINK: // struct netlink_diag_req: inode, show, cookie
		b = b[:20]
		b[1] = 255 // NDIAG_PROTO_ALL
		binary.NativeEndian.PutUint32(b[8:], 0x2)
		return b
	case unix.AF_XDP: // struct xdp_diag_req: inode, show, cookie
		b = b[:20]
		binary.NativeEndian.PutUint32(b[8:], 0x1f)
		return b
	case unix.AF_VSOCK: // struct vsock_diag_req: states, inode, show, cookie
		b = b[:24]
	case unix.AF_TIPC: // struct tipc_sock_diag_req: states
		b = b[:8]
	case unix.AF_SMC: // struct smc_diag_req: ext, the sockets
		return b
	}
	binary.NativeEndian.PutUint32(b[states:], ^uint32(0))
	return b
}
