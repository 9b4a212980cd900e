// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A dump is a row of the table.
type dump struct {
	family, command string
	request
	home bool   // in the first namespace: the family is in no other
	note string // what the request asks for
}

// title is the command, with what is asked for.
func (d dump) title() string { return strings.TrimSpace(d.command + " " + d.note) }

func (d dump) String() string { return d.family + " " + d.title() }

// A generic is a generic netlink family, as the controller describes it.
type generic struct {
	name                string
	id                  uint16
	version, headerSize uint32
	dumps               map[uint32]bool
}

// families asks the controller for all families and the commands that dump:
// those that it says can (CTRL_ATTR_OPS), and those that have a policy for it
// (CTRL_CMD_GETPOLICY), where the kernel tells dump from do.
func families(t *testing.T) map[string]*generic {
	t.Helper()
	all := map[string]*generic{}
	for _, a := range control(t, unix.CTRL_CMD_GETFAMILY) {
		g := &generic{dumps: map[uint32]bool{}}
		for a.Next() {
			switch a.Type() {
			case unix.CTRL_ATTR_FAMILY_NAME:
				g.name = string(a.Text())
			case unix.CTRL_ATTR_FAMILY_ID:
				g.id = a.Uint16()
			case unix.CTRL_ATTR_VERSION:
				g.version = a.Uint32()
			case unix.CTRL_ATTR_HDRSIZE:
				g.headerSize = a.Uint32()
			case unix.CTRL_ATTR_OPS:
				for ops := a.Nested(); ops.Next(); {
					var id, flags uint32
					for op := ops.Nested(); op.Next(); {
						switch op.Type() {
						case unix.CTRL_ATTR_OP_ID:
							id = op.Uint32()
						case unix.CTRL_ATTR_OP_FLAGS:
							flags = op.Uint32()
						}
					}
					if flags&unix.GENL_CMD_CAP_DUMP != 0 {
						g.dumps[id] = true
					}
				}
			}
		}
		all[g.name] = g
	}
	for _, g := range all {
		const opPolicy, policyDump = 9, 2 // CTRL_ATTR_OP_POLICY, CTRL_ATTR_POLICY_DUMP
		for _, a := range control(t, unix.CTRL_CMD_GETPOLICY, attr(unix.CTRL_ATTR_FAMILY_ID, u16(g.id))...) {
			for a.Next() {
				if a.Type() != opPolicy {
					continue
				}
				for ops := a.Nested(); ops.Next(); {
					// A command that only dumps is called 0 there
					// (genetlink.c:ctrl_dumppolicy_put_op).
					if modes := ops.Nested(); ops.Type() != 0 && modes.Find(policyDump) {
						g.dumps[uint32(ops.Type())] = true
					}
				}
			}
		}
	}
	return all
}

// control has the reader in C ask the controller. Nothing comes of a family that
// has no policy.
func control(t *testing.T, command byte, attrs ...byte) (records []nldump.Attrs) {
	t.Helper()
	header := []byte{command, 1, 0, 0}
	o, err := readC(request{unix.NETLINK_GENERIC, unix.GENL_ID_CTRL, append(header, attrs...)}, large)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.records {
		records = append(records, nldump.Parse(r[4+len(header):]))
	}
	return records
}

// generics makes rows of what the families dump. Those in only the first
// namespace are read there.
func generics(here, home map[string]*generic, w *world) (rows []dump) {
	for _, name := range slices.Sorted(maps.Keys(home)) {
		g := home[name]
		own := here[name] != nil
		for _, command := range slices.Sorted(maps.Keys(g.dumps)) {
			d := dump{family: name, command: commandName(name, command), home: !own}
			header := append([]byte{byte(command), byte(g.version), 0, 0}, make([]byte, (g.headerSize+3)&^3)...)
			d.request = request{unix.NETLINK_GENERIC, g.id, header}
			for _, ask := range w.asks(name, d.command) {
				d.note = ask.note
				d.data = append(slices.Clone(header), ask.attrs...)
				if len(ask.header) > 0 {
					d.data = slices.Concat(header[:unix.GENL_HDRLEN], ask.header, ask.attrs)
				}
				rows = append(rows, d)
			}
		}
	}
	return rows
}

// RTM_GET*, by the size of the header that its request has, and by name.
var routeTypes = map[uint16]struct {
	name   string
	header int
}{
	unix.RTM_GETLINK:      {"getlink", unix.SizeofIfInfomsg},
	unix.RTM_GETADDR:      {"getaddr", unix.SizeofIfAddrmsg},
	unix.RTM_GETROUTE:     {"getroute", unix.SizeofRtMsg},
	unix.RTM_GETNEIGH:     {"getneigh", unix.SizeofNdMsg},
	unix.RTM_GETRULE:      {"getrule", 12},
	unix.RTM_GETQDISC:     {"getqdisc", 20},
	unix.RTM_GETTCLASS:    {"gettclass", 20},
	unix.RTM_GETTFILTER:   {"gettfilter", 20},
	unix.RTM_GETACTION:    {"getaction", 4},
	unix.RTM_GETMULTICAST: {"getmulticast", unix.SizeofIfAddrmsg},
	unix.RTM_GETANYCAST:   {"getanycast", unix.SizeofIfAddrmsg},
	unix.RTM_GETNEIGHTBL:  {"getneightbl", 4},
	unix.RTM_GETADDRLABEL: {"getaddrlabel", 12},
	unix.RTM_GETDCB:       {"getdcb", 4},
	unix.RTM_GETNETCONF:   {"getnetconf", 4},
	unix.RTM_GETMDB:       {"getmdb", 8},
	unix.RTM_GETNSID:      {"getnsid", 4},
	unix.RTM_GETSTATS:     {"getstats", 12},
	102:                   {"getchain", 20},
	unix.RTM_GETNEXTHOP:   {"getnexthop", 8},
	unix.RTM_GETLINKPROP:  {"getlinkprop", unix.SizeofIfInfomsg},
	unix.RTM_GETVLAN:      {"getvlan", 8},
	118:                   {"getnexthopbucket", 8},
	122:                   {"gettunnel", 8},
}

// Families that have dumps of their own in rtnetlink, though maybe no record.
var routeFamilies = map[byte]string{
	unix.AF_UNSPEC: "", unix.AF_INET: "inet", unix.AF_BRIDGE: "bridge", unix.AF_INET6: "inet6", unix.AF_MPLS: "mpls",
	unix.AF_CAN: "can", unix.AF_PHONET: "phonet", 45: "mctp", 128: "ipmr", 129: "ip6mr",
}

// routes finds the dumps of rtnetlink: it asks for each message type with each
// family. Where a family has none of its own, the kernel takes that of
// AF_UNSPEC, which many have: such an answer makes no row, nor does that of a
// family that has nothing.
func routes(t *testing.T, w *world) (rows []dump) {
	t.Helper()
	const firstGet, lastGet = unix.RTM_GETLINK, 0x3fe
	// Beyond those of sockets are rtnetlink's own, from 128 on.
	var families []int
	for family := range 64 {
		families = append(families, family)
	}
	for family := 128; family < 136; family++ {
		families = append(families, family)
	}
	for typ := uint16(firstGet); typ <= lastGet; typ += 4 {
		known := routeTypes[typ]
		if known.name == "" {
			known.name, known.header = fmt.Sprint("type ", typ), 16
		}
		of := func(family int) dump {
			d := dump{family: "rtnetlink", command: known.name, request: request{unix.NETLINK_ROUTE, typ, make([]byte, known.header)}}
			if name, ok := routeFamilies[byte(family)]; !ok {
				d.family += fmt.Sprint(" family ", family)
			} else if name != "" {
				d.family += " " + name
			}
			d.data[0] = byte(family)
			return d
		}
		// As the first row's request is, but for the family.
		ask := func(family int) answer {
			d := of(family)
			first := w.asks("rtnetlink", known.name)[0]
			if len(first.header) > 0 {
				copy(d.data[1:], first.header[1:])
			}
			d.data = append(d.data, first.attrs...)
			a, err := probe(d.request, masksOf(d))
			if err != nil {
				t.Fatalf("%v: %v", d, err)
			}
			return a
		}
		for _, family := range families {
			a := ask(family)
			if a.errno == unix.EOPNOTSUPP || a.errno == unix.EAFNOSUPPORT || family != unix.AF_UNSPEC && a.is(answer{}) {
				continue
			}
			// Twice, if the table moves between the two.
			if family != unix.AF_UNSPEC && (a.is(ask(unix.AF_UNSPEC)) || ask(family).is(ask(unix.AF_UNSPEC))) {
				continue
			}
			d := of(family)
			for _, ask := range w.asks(d.family, d.command) {
				row := d
				row.note = ask.note
				if len(ask.header) > 0 {
					row.data = slices.Clone(ask.header)
				}
				row.data = slices.Concat(row.data, ask.attrs)
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// The messages that dump, of nfnetlink's subsystems, by the modules that have
// them. One cannot ask for others: of what is no dump, the bits of NLM_F_DUMP
// are NLM_F_REPLACE and NLM_F_EXCL.
var netfilter = map[string][]struct {
	subsystem uint16
	name      string
	dumps     map[uint16]string
}{
	"nf_conntrack_netlink": {
		{1, "ctnetlink", map[uint16]string{1: "get", 3: "get-ctrzero", 4: "get-stats-cpu", 6: "get-dying", 7: "get-unconfirmed"}},
		{2, "ctnetlink-exp", map[uint16]string{1: "get", 3: "get-stats-cpu"}},
	},
	"nfnetlink_queue":     {{subsystem: 3, name: "queue"}},
	"nfnetlink_log":       {{subsystem: 4, name: "log"}},
	"nfnetlink_osf":       {{subsystem: 5, name: "osf"}},
	"ip_set":              {{6, "ipset", map[uint16]string{7: "list", 8: "save"}}},
	"nfnetlink_acct":      {{7, "acct", map[uint16]string{1: "get", 2: "get-ctrzero"}}},
	"nfnetlink_cttimeout": {{8, "cttimeout", map[uint16]string{1: "get"}}},
	"nfnetlink_cthelper":  {{9, "cthelper", map[uint16]string{1: "get"}}},
	"nf_tables": {{10, "nftables", map[uint16]string{1: "gettable", 4: "getchain", 7: "getrule", 10: "getset", 13: "getsetelem",
		19: "getobj", 21: "getobj-reset", 23: "getflowtable", 25: "getrule-reset", 33: "getsetelem-reset"}}},
	"nft_compat":     {{subsystem: 11, name: "compat"}},
	"nfnetlink_hook": {{12, "hook", map[uint16]string{0: "get"}}},
}

// netfilters makes rows of nfnetlink's subsystems. A module that registers one
// and is not known here is an error.
func netfilters(t *testing.T, w *world) (rows []dump) {
	t.Helper()
	users, err := callers("nfnetlink_subsys_register")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range users {
		if netfilter[module] == nil {
			t.Errorf("module %s has a subsystem of nfnetlink that this test does not know", module)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(netfilter)) {
		for _, s := range netfilter[module] {
			for _, message := range slices.Sorted(maps.Keys(s.dumps)) {
				d := dump{family: "nfnetlink " + s.name, command: s.dumps[message]}
				typ := s.subsystem<<8 | message
				for _, ask := range w.asks(d.family, d.command) {
					d.note = ask.note
					header := ask.header
					if len(header) == 0 {
						header = make([]byte, 4)
					}
					d.request = request{unix.NETLINK_NETFILTER, typ, slices.Concat(header, ask.attrs)}
					rows = append(rows, d)
				}
			}
		}
	}
	return rows
}

// callers are the modules in the guest that call a function of the kernel's: none
// where all is built in.
func callers(function string) (names []string, err error) {
	files, err := filepath.Glob("/lib/modules/*.ko")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		f, err := elf.Open(file)
		if err != nil {
			return nil, err
		}
		symbols, err := f.Symbols()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Section == elf.SHN_UNDEF && s.Name == function }) {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_"))
		}
	}
	return names, nil
}

// The families of sock_diag, and the protocols of the internet's.
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

// diags finds the dumps of sock_diag: each family, and each protocol of the
// internet's, that it does not refuse as unknown.
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
			// An unknown one is refused by ENOENT, one beyond AF_MAX by EINVAL.
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

// inetDiag is a struct inet_diag_req_v2 for all states.
func inetDiag(family, protocol byte) []byte {
	b := make([]byte, 56)
	b[0], b[1], b[2] = family, protocol, 0xff // with all extensions
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	return b
}

// familyDiag is a request for all sockets of a family, with what is constant of
// them: for each, the structure begins with the family and the protocol.
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

// others are the protocols that have few dumps, known by name: one cannot ask
// for all, as of nfnetlink.
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
	// RDMA: by client and operation. Those of the two clients of port mapping
	// and path records are messages to a daemon.
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

// Protocols of netlink with a socket of the kernel's, and why those that make
// no row have no dump.
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

// protocolsHere are those of netlink that the kernel has. One without a finder
// is an error.
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

// attr is an attribute with a value, or with the attributes that are in it.
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
