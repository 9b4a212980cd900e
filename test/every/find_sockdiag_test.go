// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The families of sock_diag, and the internet protocols.
var (
	diagFamilies = map[byte]string{
		unix.AF_UNIX: "unix", unix.AF_INET: "inet", unix.AF_INET6: "inet6", unix.AF_NETLINK: "netlink", unix.AF_PACKET: "packet",
		unix.AF_TIPC: "tipc", unix.AF_VSOCK: "vsock", unix.AF_SMC: "smc", unix.AF_XDP: "xdp",
	}
	diagProtocols = map[byte]string{
		unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_DCCP: "dccp", unix.IPPROTO_SCTP: "sctp",
		unix.IPPROTO_UDPLITE: "udplite", unix.IPPROTO_RAW: "raw",
	}
)

const (
	getTCP       = 18 // TCPDIAG_GETSOCK
	getDCCP      = 19 // DCCPDIAG_GETSOCK
	getByFamily  = 20 // SOCK_DIAG_BY_FAMILY
	diagProtocol = 3  // INET_DIAG_REQ_PROTOCOL
	protoMPTCP   = 262
)

// diags finds the dumps of sock_diag: each family and each internet protocol
// that it does not refuse as unknown.
func diags(t *testing.T) (rows []dump) {
	t.Helper()
	add := func(d dump) {
		a, err := probe(d.request, nil)
		if err != nil {
			t.Fatalf("%v: %v", d, err)
		}
		if a.errno != unix.ENOENT {
			rows = append(rows, d)
		}
	}
	for family := range 256 {
		name := diagFamilies[byte(family)]
		if name == "" {
			name = fmt.Sprint("family ", family)
		}
		d := dump{family: "sock_diag " + name, command: "get"}
		switch family {
		case unix.AF_INET, unix.AF_INET6:
			for protocol := range 256 {
				d.command = diagProtocols[byte(protocol)]
				if d.command == "" {
					d.command = fmt.Sprint("protocol ", protocol)
				}
				d.request = request{unix.NETLINK_SOCK_DIAG, getByFamily, inetDiag(byte(family), byte(protocol))}
				add(d)
			}
			d.command = "mptcp"
			d.data = append(inetDiag(byte(family), unix.IPPROTO_IP), attr(diagProtocol, u32(protoMPTCP))...)
			add(d)
		default:
			d.request = request{unix.NETLINK_SOCK_DIAG, getByFamily, familyDiag(byte(family))}
			// An unknown family is refused with ENOENT, one above AF_MAX with
			// EINVAL.
			if a, err := probe(d.request, nil); err != nil {
				t.Fatalf("%v: %v", d, err)
			} else if a.errno == unix.EINVAL && diagFamilies[byte(family)] == "" && family > unix.AF_XDP {
				continue
			}
			add(d)
		}
	}
	for typ, name := range map[uint16]string{getTCP: "tcp", getDCCP: "dccp"} {
		data := make([]byte, 60) // struct inet_diag_req
		data[0] = unix.AF_INET
		binary.NativeEndian.PutUint32(data[52:], ^uint32(0))
		rows = append(rows, dump{family: "sock_diag", command: "get-" + name, request: request{unix.NETLINK_SOCK_DIAG, typ, data}})
	}
	slices.SortStableFunc(rows, func(a, b dump) int { return strings.Compare(a.family, b.family) })
	return rows
}

// inetDiag returns a struct inet_diag_req_v2 for all states.
func inetDiag(family, protocol byte) []byte {
	b := make([]byte, 56)
	b[0], b[1], b[2] = family, protocol, 0xff // with all extensions
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	return b
}

// familyDiag returns a request for all sockets of a family, with all their data
// that does not change. Each such structure starts with the family and the
// protocol.
func familyDiag(family byte) []byte {
	b := make([]byte, 64)
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
