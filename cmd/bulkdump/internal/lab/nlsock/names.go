// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"encoding/json"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Protocol is a netlink family's number (NETLINK_ROUTE …).
type Protocol uint8

// From include/uapi/linux/netlink.h.
var protocols = map[Protocol]string{
	unix.NETLINK_ROUTE:          "route",
	unix.NETLINK_USERSOCK:       "usersock",
	unix.NETLINK_FIREWALL:       "firewall",
	unix.NETLINK_SOCK_DIAG:      "sock_diag",
	unix.NETLINK_NFLOG:          "nflog",
	unix.NETLINK_XFRM:           "xfrm",
	unix.NETLINK_SELINUX:        "selinux",
	unix.NETLINK_ISCSI:          "iscsi",
	unix.NETLINK_AUDIT:          "audit",
	unix.NETLINK_FIB_LOOKUP:     "fib_lookup",
	unix.NETLINK_CONNECTOR:      "connector",
	unix.NETLINK_NETFILTER:      "netfilter",
	unix.NETLINK_IP6_FW:         "ip6_fw",
	unix.NETLINK_DNRTMSG:        "dnrtmsg",
	unix.NETLINK_KOBJECT_UEVENT: "uevent",
	unix.NETLINK_GENERIC:        "generic",
	unix.NETLINK_SCSITRANSPORT:  "scsitransport",
	unix.NETLINK_ECRYPTFS:       "ecryptfs",
	unix.NETLINK_RDMA:           "rdma",
	unix.NETLINK_CRYPTO:         "crypto",
	unix.NETLINK_SMC:            "smc",
}

// String is the protocol's name, or its number if it has none.
func (p Protocol) String() string {
	if name, ok := protocols[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// MarshalJSON returns the name, as a string.
func (p Protocol) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// A Group is a multicast group of a protocol, with its name if it is known.
type Group struct {
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"`
}

// String is the name, or the number if it has none.
func (g Group) String() string {
	if g.Name != "" {
		return g.Name
	}
	return strconv.FormatUint(uint64(g.ID), 10)
}

// The groups of NETLINK_ROUTE, from include/uapi/linux/rtnetlink.h.
var routeGroups = []string{
	"", "link", "notify", "neigh", "tc", "ipv4-ifaddr", "ipv4-mroute", "ipv4-route", "ipv4-rule",
	"ipv6-ifaddr", "ipv6-mroute", "ipv6-route", "ipv6-ifinfo", "decnet-ifaddr", "", "decnet-route",
	"decnet-rule", "", "ipv6-prefix", "ipv6-rule", "nd-useropt", "phonet-ifaddr", "phonet-route",
	"dcb", "ipv4-netconf", "ipv6-netconf", "mdb", "mpls-route", "nsid", "mpls-netconf",
	"ipv4-mroute-r", "ipv6-mroute-r", "nexthop", "brvlan", "mctp-ifaddr", "tunnel", "stats",
	"ipv4-mcaddr", "ipv6-mcaddr", "ipv6-acaddr",
}

// groupName returns "" if the name is unknown. The groups of generic netlink are
// numbered as families come: families has their names.
func groupName(p Protocol, id uint32, families map[uint32]string) string {
	switch {
	case p == unix.NETLINK_ROUTE && int64(id) < int64(len(routeGroups)):
		return routeGroups[id]
	case p == unix.NETLINK_GENERIC:
		return families[id]
	}
	return ""
}
