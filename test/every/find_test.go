// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A dump is a row of the table.
type dump struct {
	family, command string
	request
	home bool   // in the first namespace: the family exists only there
	note string // what the request selects
}

// title returns the command and the note.
func (d dump) title() string { return strings.TrimSpace(d.command + " " + d.note) }

func (d dump) String() string { return d.family + " " + d.title() }

// others returns the rows of protocols with few dumps, which are listed by
// name. As with nfnetlink, one cannot try all requests.
func others(t *testing.T, here map[int]bool) (rows []dump) {
	t.Helper()
	const getSA, getPolicy, getAlg, listRules = 18, 21, 19, 1013
	for _, d := range []dump{
		{family: "xfrm", command: "getsa", request: request{unix.NETLINK_XFRM, getSA, nil}},
		{family: "xfrm", command: "getpolicy", request: request{unix.NETLINK_XFRM, getPolicy, nil}},
		{family: "crypto", command: "getalg", request: request{unix.NETLINK_CRYPTO, getAlg, make([]byte, 216)}},
		{family: "audit", command: "list-rules", request: request{unix.NETLINK_AUDIT, listRules, nil}, home: true},
	} {
		if here[d.protocol] {
			rows = append(rows, d)
		}
	}
	if !here[unix.NETLINK_RDMA] {
		return rows
	}
	// RDMA: by client and operation. The operations of the clients for port
	// mapping and path records are messages to a daemon.
	const portMapper, pathRecord, devices = 2, 4, 5
	first := append(attr(1, u32(0)), attr(3, u32(1))...) // RDMA_NLDEV_ATTR_DEV_INDEX, _PORT_INDEX
	for client := uint16(1); client < 64; client++ {
		for op := range uint16(128) {
			name := fmt.Sprintf("client %d op %d", client, op)
			if client == portMapper || client == pathRecord {
				continue
			}
			if client == devices && rdmaCommands[op] != "" {
				name = rdmaCommands[op]
			}
			d := dump{family: "rdma", command: name, request: request{unix.NETLINK_RDMA, client<<10 | op, first}, home: true}
			a, err := probe(d.request, nil)
			if err != nil {
				t.Fatalf("%v: %v", d, err)
			}
			if a.errno != unix.EINVAL {
				rows = append(rows, d)
			}
		}
	}
	return rows
}

// The netlink protocols for which the kernel has a socket, and for those
// without a row, why they have no dump.
var protocols = map[int]string{
	unix.NETLINK_ROUTE: "", unix.NETLINK_SOCK_DIAG: "", unix.NETLINK_XFRM: "", unix.NETLINK_AUDIT: "", unix.NETLINK_NETFILTER: "",
	unix.NETLINK_GENERIC: "", unix.NETLINK_RDMA: "", unix.NETLINK_CRYPTO: "",
	unix.NETLINK_SELINUX:        "it sends events only",
	unix.NETLINK_ISCSI:          "each request has one answer",
	unix.NETLINK_FIB_LOOKUP:     "each request has one answer",
	unix.NETLINK_CONNECTOR:      "it sends events only",
	unix.NETLINK_KOBJECT_UEVENT: "it sends events only",
	unix.NETLINK_SCSITRANSPORT:  "it sends events only",
	unix.NETLINK_ECRYPTFS:       "it sends events only",
}

// protocolsHere returns the kernel's netlink protocols. It is an error if one
// has no finder.
func protocolsHere(t *testing.T) map[int]bool {
	t.Helper()
	here := map[int]bool{}
	text, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var socket string
		var protocol, port int
		if n, _ := fmt.Sscan(line, &socket, &protocol, &port); n != 3 || port != 0 {
			continue
		}
		if _, ok := protocols[protocol]; !ok {
			t.Errorf("the kernel has the protocol %d of netlink, which this test does not know", protocol)
		}
		here[protocol] = true
	}
	return here
}

// attr returns an attribute with a value, or with nested attributes.
func attr(typ uint16, value ...[]byte) []byte {
	v := slices.Concat(value...)
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	return append(b, make([]byte, -len(b)&3)...)
}

func nest(typ uint16, attrs ...[]byte) []byte { return attr(typ|unix.NLA_F_NESTED, attrs...) }

func u8(n uint8) []byte    { return []byte{n} }
func u16(n uint16) []byte  { return binary.NativeEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte  { return binary.NativeEndian.AppendUint32(nil, n) }
func text(s string) []byte { return append([]byte(s), 0) }
