// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A structure is a family's header, as the kernel's uapi has it.
type structure struct {
	name   string
	size   int
	fields []field
}

type field struct {
	at, size int
	name     string
}

// text has each field and its value.
func (s *structure) text(b []byte) string {
	var all []string
	for _, f := range s.fields {
		var v uint64
		switch f.size {
		case 1:
			v = uint64(b[f.at])
		case 2:
			v = uint64(native.Uint16(b[f.at:]))
		case 4:
			v = uint64(native.Uint32(b[f.at:]))
		}
		if s == &nfgenmsg && f.size == 2 {
			v = uint64(binary.BigEndian.Uint16(b[f.at:]))
		}
		all = append(all, fmt.Sprintf("%s %d", f.name, v))
	}
	return strings.Join(all, ", ")
}

var (
	nfgenmsg = structure{"nfgenmsg", 4, []field{{0, 1, "family"}, {1, 1, "version"}, {2, 2, "res_id"}}}

	ifinfomsg = structure{"ifinfomsg", 16, []field{{0, 1, "family"}, {2, 2, "type"}, {4, 4, "index"}, {8, 4, "flags"}, {12, 4, "change"}}}
	ifaddrmsg = structure{"ifaddrmsg", 8, []field{{0, 1, "family"}, {1, 1, "prefixlen"}, {2, 1, "flags"}, {3, 1, "scope"}, {4, 4, "index"}}}
	rtmsg     = structure{"rtmsg", 12, []field{{0, 1, "family"}, {1, 1, "dst_len"}, {2, 1, "src_len"}, {3, 1, "tos"}, {4, 1, "table"},
		{5, 1, "protocol"}, {6, 1, "scope"}, {7, 1, "type"}, {8, 4, "flags"}}}
	ndmsg      = structure{"ndmsg", 12, []field{{0, 1, "family"}, {4, 4, "ifindex"}, {8, 2, "state"}, {10, 1, "flags"}, {11, 1, "type"}}}
	fibRuleHdr = structure{"fib_rule_hdr", 12, []field{{0, 1, "family"}, {1, 1, "dst_len"}, {2, 1, "src_len"}, {3, 1, "tos"},
		{4, 1, "table"}, {7, 1, "action"}, {8, 4, "flags"}}}
	tcmsg = structure{"tcmsg", 20, []field{{0, 1, "family"}, {4, 4, "ifindex"}, {8, 4, "handle"}, {12, 4, "parent"}, {16, 4, "info"}}}
	nhmsg = structure{"nhmsg", 8, []field{{0, 1, "family"}, {1, 1, "scope"}, {2, 1, "protocol"}, {4, 4, "flags"}}}
)

// headerOf returns the header of a message, or nil if it is not known here. Types
// of rtnetlink come in groups of four: new, del, get, set.
func headerOf(protocol int, typ uint16) *structure {
	switch protocol {
	case unix.NETLINK_NETFILTER:
		return &nfgenmsg
	case unix.NETLINK_ROUTE:
		switch typ &^ 3 {
		case unix.RTM_NEWLINK:
			return &ifinfomsg
		case unix.RTM_NEWADDR:
			return &ifaddrmsg
		case unix.RTM_NEWROUTE:
			return &rtmsg
		case unix.RTM_NEWNEIGH:
			return &ndmsg
		case unix.RTM_NEWRULE:
			return &fibRuleHdr
		case unix.RTM_NEWQDISC, unix.RTM_NEWTCLASS, unix.RTM_NEWTFILTER:
			return &tcmsg
		case unix.RTM_NEWNEXTHOP:
			return &nhmsg
		}
	}
	return nil
}
