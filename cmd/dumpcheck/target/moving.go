// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Part is a part of a record that changes by itself.
type Part struct {
	Path     []uint16 // types of attributes, from the outermost; 0 is any type. Empty: the whole record may be there or not
	From, To int      // bytes of its value; 0, 0 is all of it
	What     string   // "ages (NDA_CACHEINFO)"
}

// Meets tells whether the part's path and another one are the same, as far as the
// shorter of them goes.
func (p Part) Meets(path []uint16) bool {
	n := min(len(p.Path), len(path))
	return slices.EqualFunc(p.Path[:n], path[:n], func(own, other uint16) bool { return own == other || own == 0 })
}

var moving = []struct {
	family, command string // of the targets; a prefix of the family is enough
	part            Part
}{
	{"rtnetlink", "getneigh", Part{Path: []uint16{unix.NDA_CACHEINFO}, What: "ages (NDA_CACHEINFO)"}},
	// struct ndt_config
	{"rtnetlink", "getneightbl", Part{[]uint16{5}, 8, 16, "ages (ndtc_last_flush, ndtc_last_rand)"}},
	{"rtnetlink", "getroute", Part{Path: []uint16{unix.RTA_EXPIRES}, What: "ages (RTA_EXPIRES)"}},
	{"rtnetlink", "getnexthopbucket", Part{Path: []uint16{13, 2}, What: "ages (NHA_RES_BUCKET_IDLE_TIME)"}},
	// struct tcf_t
	{"rtnetlink", "getaction", Part{Path: []uint16{1, 0, 2, 1}, What: "ages (TCA_GACT_TM)"}},
	{"rtnetlink", "gettfilter", Part{Path: []uint16{2, 3, 0, 2, 1}, What: "ages (TCA_GACT_TM)"}},
	{"nfnetlink ctnetlink", "get", Part{Path: []uint16{7}, What: "timeouts (CTA_TIMEOUT)"}},
	{"nfnetlink ctnetlink", "get-ctrzero", Part{Path: []uint16{7}, What: "timeouts (CTA_TIMEOUT)"}},
	{"nfnetlink ctnetlink-exp", "get", Part{Path: []uint16{4}, What: "timeouts (CTA_EXPECT_TIMEOUT)"}},
	{"tcp_metrics", "get", Part{Path: []uint16{3}, What: "ages (TCP_METRICS_ATTR_AGE)"}},
	{"sock_diag inet", "tcp", Part{Path: []uint16{2}, What: "ages (INET_DIAG_INFO)"}},
	{"sock_diag inet6", "tcp", Part{Path: []uint16{2}, What: "ages (INET_DIAG_INFO)"}},
	{"sock_diag inet", "mptcp", Part{Path: []uint16{2}, What: "ages (INET_DIAG_INFO)"}},
	{"sock_diag inet6", "mptcp", Part{Path: []uint16{2}, What: "ages (INET_DIAG_INFO)"}},
	{"sock_diag inet", "sctp", Part{Path: []uint16{2}, What: "counters (INET_DIAG_INFO)"}},
	{"sock_diag inet6", "sctp", Part{Path: []uint16{2}, What: "counters (INET_DIAG_INFO)"}},
	{"sock_diag netlink", "get", Part{What: "sockets of sock_diag: the readers' own"}},
}

// movingOf returns the parts of a target's records that move.
func movingOf(family, command string) (parts []Part) {
	for _, m := range moving {
		if m.command == command && under(family, m.family) {
			parts = append(parts, m.part)
		}
	}
	return parts
}

// under reports whether a family is the one named, or is one in it.
func under(family, name string) bool {
	return family == name || strings.HasPrefix(family, name) && family[len(name)] == ' '
}

// Still returns the payload of a record with the parts cleared that move, or nil for
// a record that need not be there: each reader of the sockets of netlink has one
// itself.
func (t *Target) Still(payload []byte) []byte {
	if len(t.Moving) == 0 {
		return payload
	}
	payload = slices.Clone(payload)
	for _, p := range t.Moving {
		const protocol = 2 // ndiag_protocol
		if len(p.Path) == 0 && len(payload) > protocol && payload[protocol] == unix.NETLINK_SOCK_DIAG {
			return nil
		}
		p.clear(payload[min(max(t.Header, 0), len(payload)):], p.Path)
	}
	return payload
}

func (p Part) clear(attrs []byte, path []uint16) {
	for len(path) > 0 && len(attrs) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(attrs))
		if n < unix.SizeofNlAttr || n > len(attrs) {
			return
		}
		value := attrs[unix.SizeofNlAttr:n]
		if typ := binary.NativeEndian.Uint16(attrs[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER); typ == path[0] || path[0] == 0 {
			switch {
			case len(path) > 1:
				p.clear(value, path[1:])
			case p.To == 0:
				clear(value)
			case p.To <= len(value):
				clear(value[p.From:p.To])
			}
		}
		attrs = attrs[min(align(n), len(attrs)):]
	}
}
