// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// RTM_GET*, with the size of the request's header and the name.
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

// The families that have their own dumps in rtnetlink, even without a record.
var routeFamilies = map[byte]string{
	unix.AF_UNSPEC: "", unix.AF_INET: "inet", unix.AF_BRIDGE: "bridge", unix.AF_INET6: "inet6", unix.AF_MPLS: "mpls",
	unix.AF_CAN: "can", unix.AF_PHONET: "phonet", 45: "mctp", 128: "ipmr", 129: "ip6mr",
}

// routes finds the dumps of rtnetlink: it tries each message type with each
// family. If a family has no dump of its own, the kernel uses the one of
// AF_UNSPEC. Such an answer makes no row, and neither does a family without any
// record.
func routes(t *testing.T, w *world) (rows []dump) {
	t.Helper()
	const firstGet, lastGet = unix.RTM_GETLINK, 0x3fe
	// After the socket families come rtnetlink's own, from 128 on.
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
		// The first row's request, with another family.
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
			// Compare twice, because the table may change in between.
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
