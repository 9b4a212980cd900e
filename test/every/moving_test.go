// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A mask is a part of a dump's records that changes by itself. It is ignored
// when records are compared.
type mask struct {
	family, command string   // of the rows; a prefix of the family is enough
	header          int      // size of the family's header, before the attributes
	path            []uint16 // 0 is any type; nil is the whole record, if it belongs to a reader
	from, to        int      // bytes of the attribute's value; 0, 0 means all
	what            string
}

var masks = []mask{
	{"rtnetlink", "getneigh", unix.SizeofNdMsg, []uint16{unix.NDA_CACHEINFO}, 0, 0, "ages (NDA_CACHEINFO)"},
	// struct ndt_config
	{"rtnetlink", "getneightbl", 4, []uint16{5}, 8, 16, "ages (ndtc_last_flush, ndtc_last_rand)"},
	{"rtnetlink", "getroute", unix.SizeofRtMsg, []uint16{unix.RTA_EXPIRES}, 0, 0, "ages (RTA_EXPIRES)"},
	{"rtnetlink", "getnexthopbucket", 8, []uint16{13, 2}, 0, 0, "ages (NHA_RES_BUCKET_IDLE_TIME)"},
	// struct tcf_t
	{"rtnetlink", "getaction", 4, []uint16{1, 0, 2, 1}, 0, 0, "ages (TCA_GACT_TM)"},
	{"rtnetlink", "gettfilter", 20, []uint16{2, 3, 0, 2, 1}, 0, 0, "ages (TCA_GACT_TM)"},
	{"nfnetlink ctnetlink", "get", 4, []uint16{7}, 0, 0, "timeouts (CTA_TIMEOUT)"},
	{"nfnetlink ctnetlink", "get-ctrzero", 4, []uint16{7}, 0, 0, "timeouts (CTA_TIMEOUT)"},
	{"nfnetlink ctnetlink-exp", "get", 4, []uint16{4}, 0, 0, "timeouts (CTA_EXPECT_TIMEOUT)"},
	{"tcp_metrics", "get", unix.GENL_HDRLEN, []uint16{3}, 0, 0, "ages (TCP_METRICS_ATTR_AGE)"},
	{"sock_diag inet", "tcp", 72, []uint16{2}, 0, 0, "ages (INET_DIAG_INFO)"},
	{"sock_diag inet6", "tcp", 72, []uint16{2}, 0, 0, "ages (INET_DIAG_INFO)"},
	{"sock_diag inet", "mptcp", 72, []uint16{2}, 0, 0, "ages (INET_DIAG_INFO)"},
	{"sock_diag inet6", "mptcp", 72, []uint16{2}, 0, 0, "ages (INET_DIAG_INFO)"},
	{"sock_diag netlink", "get", 0, nil, 0, 0, "sockets of sock_diag: the readers' own"},
}

// masksOf returns the masks of a row.
func masksOf(d dump) (of []mask) {
	for _, m := range masks {
		if m.command == d.command && (d.family == m.family || strings.HasPrefix(d.family, m.family+" ")) {
			of = append(of, m)
		}
	}
	return of
}

// readers reports whether a record belongs to a sock_diag socket, because each
// reader has one.
func readers(record []byte) bool {
	const offset = 4 + 2 // ndiag_protocol
	return len(record) > offset && record[offset] == unix.NETLINK_SOCK_DIAG
}

// hide returns a record without the masked parts, or nothing if all of it is
// masked.
func hide(record []byte, masks []mask) []byte {
	if len(masks) == 0 {
		return record
	}
	record = slices.Clone(record)
	for _, m := range masks {
		if m.path == nil && readers(record) {
			return nil
		}
		m.hide(record[min(4+m.header, len(record)):], m.path)
	}
	return record
}

func (m mask) hide(attrs []byte, path []uint16) {
	for len(path) > 0 && len(attrs) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(attrs))
		if n < unix.SizeofNlAttr || n > len(attrs) {
			return
		}
		value := attrs[unix.SizeofNlAttr:n]
		if typ := binary.NativeEndian.Uint16(attrs[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER); typ == path[0] || path[0] == 0 {
			switch {
			case len(path) > 1:
				m.hide(value, path[1:])
			case m.to == 0:
				clear(value)
			case m.to <= len(value):
				clear(value[m.from:m.to])
			}
		}
		attrs = attrs[min((n+3)&^3, len(attrs)):]
	}
}
