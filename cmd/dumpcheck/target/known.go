// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"slices"

	"golang.org/x/sys/unix"
)

// key makes a Key of ranges of the header and of top-level attributes.
func key(header [][2]int, attrs ...uint16) Key {
	k := Key{Header: header}
	for _, typ := range attrs {
		k.Attrs = append(k.Attrs, []uint16{typ})
	}
	return k
}

// bytesOf are pairs of from and to.
func bytesOf(places ...int) (ranges [][2]int) {
	for i := 0; i < len(places); i += 2 {
		ranges = append(ranges, [2]int{places[i], places[i+1]})
	}
	return ranges
}

// keys are what tells a record from all others, as the kernel has it. What can be
// changed in place is not in a key. The first line that fits counts.
var keys = []struct {
	family, command string // of the targets; a prefix of the family is enough, and "" is any command
	key             Key
}{
	{"rtnetlink bridge", "getlink", key(bytesOf(4, 8), unix.IFLA_MASTER)},
	{"rtnetlink", "getlink", key(bytesOf(4, 8))},
	// Family, length of the prefix, index.
	{"rtnetlink", "getaddr", key(bytesOf(0, 2, 4, 8), unix.IFA_ADDRESS, unix.IFA_LOCAL)},
	// All of struct rtmsg but the protocol and the flags.
	{"rtnetlink", "getroute", key(bytesOf(0, 5, 6, 8), unix.RTA_DST, unix.RTA_SRC, unix.RTA_IIF, unix.RTA_OIF, unix.RTA_GATEWAY,
		unix.RTA_PRIORITY, unix.RTA_TABLE)},
	// Family, index, flags (NTF_PROXY, NTF_SELF, NTF_MASTER).
	{"rtnetlink bridge", "getneigh", key(bytesOf(0, 1, 4, 8, 10, 11), unix.NDA_LLADDR, unix.NDA_VLAN, unix.NDA_DST, unix.NDA_PORT,
		unix.NDA_VNI, unix.NDA_IFINDEX, unix.NDA_SRC_VNI)},
	{"rtnetlink", "getneigh", key(bytesOf(0, 1, 4, 8), unix.NDA_DST)},
	{"rtnetlink", "getrule", key(bytesOf(0, 12), unix.FRA_DST, unix.FRA_SRC, unix.FRA_IIFNAME, unix.FRA_GOTO, unix.FRA_PRIORITY, unix.FRA_FWMARK,
		unix.FRA_TUN_ID, unix.FRA_TABLE, unix.FRA_FWMASK, unix.FRA_OIFNAME, unix.FRA_L3MDEV, unix.FRA_UID_RANGE, unix.FRA_IP_PROTO,
		unix.FRA_SPORT_RANGE, unix.FRA_DPORT_RANGE)},
	// Index, handle, parent; of filters the info too.
	{"rtnetlink", "getqdisc", key(bytesOf(4, 16))},
	{"rtnetlink", "gettclass", key(bytesOf(4, 16))},
	{"rtnetlink", "gettfilter", key(bytesOf(4, 20), 1, 11)}, // TCA_KIND, TCA_CHAIN
	{"rtnetlink", "getchain", key(bytesOf(4, 16), 11)},
	{"rtnetlink", "getmulticast", key(bytesOf(0, 1, 4, 8), unix.IFA_MULTICAST)},
	{"rtnetlink", "getanycast", key(bytesOf(0, 1, 4, 8), unix.IFA_ANYCAST)},
	// NDTA_NAME; NDTPA_IFINDEX in NDTA_PARMS.
	{"rtnetlink", "getneightbl", Key{Header: bytesOf(0, 1), Attrs: [][]uint16{{1}, {6, 1}}}},
	{"rtnetlink", "getaddrlabel", key(bytesOf(0, 3, 4, 8), 1)}, // IFAL_ADDRESS
	{"rtnetlink", "getnetconf", key(bytesOf(0, 1), 1)},         // NETCONFA_IFINDEX
	// A record is a part of an object: MDBA_MDB_ENTRY_INFO in its nests, BRIDGE_VLANDB_ENTRY,
	// and the actions in TCA_ACT_TAB.
	{"rtnetlink", "getmdb", Key{Header: bytesOf(4, 8), Element: []uint16{1, 1, 1}}},
	{"rtnetlink bridge", "getvlan", Key{Header: bytesOf(4, 8), Element: []uint16{1}}},
	{"rtnetlink", "getaction", Key{Element: []uint16{1, 0}}},
	{"rtnetlink", "getnsid", key(nil, 1)}, // NETNSA_NSID
	{"rtnetlink", "getstats", key(bytesOf(4, 8))},
	{"rtnetlink", "getnexthop", key(nil, unix.NHA_ID)},
	// NHA_ID; NHA_RES_BUCKET_INDEX in NHA_RES_BUCKET.
	{"rtnetlink", "getnexthopbucket", Key{Attrs: [][]uint16{{1}, {13, 1}}}},

	// NFTA_SET_ELEM_LIST_TABLE and _SET; NFTA_SET_ELEM_KEY of each element.
	{"nfnetlink nftables", "getsetelem", Key{Attrs: [][]uint16{{1}, {2}}, Element: []uint16{3, 1, 1}}},
	{"nfnetlink ctnetlink", "get-stats-cpu", key(bytesOf(2, 4))},
	{"nfnetlink ctnetlink", "", key(nil, 1, 18)}, // CTA_TUPLE_ORIG, CTA_ZONE
	{"nfnetlink ctnetlink-exp", "get-stats-cpu", key(bytesOf(2, 4))},
	{"nfnetlink ctnetlink-exp", "", key(nil, 2, 3)}, // CTA_EXPECT_TUPLE, CTA_EXPECT_MASK
	// IPSET_ATTR_SETNAME; IPSET_ATTR_DATA in IPSET_ATTR_ADT.
	{"nfnetlink ipset", "", Key{Attrs: [][]uint16{{2}}, Element: []uint16{8, 7}}},
	{"nfnetlink acct", "", key(nil, 1)},
	{"nfnetlink cttimeout", "", key(nil, 1)},
	{"nfnetlink cthelper", "", key(nil, 1, 2)},
	{"nfnetlink hook", "", key(nil, 1, 2, 3, 4)},
	// The family; then the table and the name, or the handle.
	{"nfnetlink nftables", "gettable", key(bytesOf(0, 1), 1)},
	{"nfnetlink nftables", "getchain", key(bytesOf(0, 1), 1, 3)},
	{"nfnetlink nftables", "getrule", key(bytesOf(0, 1), 1, 2, 3)},
	{"nfnetlink nftables", "getrule-reset", key(bytesOf(0, 1), 1, 2, 3)},
	{"nfnetlink nftables", "getset", key(bytesOf(0, 1), 1, 2)},
	{"nfnetlink nftables", "getobj", key(bytesOf(0, 1), 1, 2, 3)},
	{"nfnetlink nftables", "getobj-reset", key(bytesOf(0, 1), 1, 2, 3)},
	{"nfnetlink nftables", "getflowtable", key(bytesOf(0, 1), 1, 2)},

	// struct inet_diag_sockid, with the cookie.
	{"sock_diag", "get-tcp", key(bytesOf(0, 1, 4, 52))},
	{"sock_diag", "get-dccp", key(bytesOf(0, 1, 4, 52))},
	{"sock_diag inet", "", key(bytesOf(0, 1, 4, 52))},
	{"sock_diag inet6", "", key(bytesOf(0, 1, 4, 52))},
	// The inode and the cookie; with netlink the protocol and the port, too.
	{"sock_diag unix", "", key(bytesOf(4, 16))},
	{"sock_diag packet", "", key(bytesOf(4, 16))},
	{"sock_diag xdp", "", key(bytesOf(4, 16))},
	{"sock_diag netlink", "", key(bytesOf(2, 3, 4, 8, 16, 28))},
	{"sock_diag vsock", "", key(bytesOf(4, 32))},

	{"xfrm", "getsa", key(bytesOf(56, 77, 80, 96), 21, 31)},   // id, source; XFRMA_MARK, XFRMA_IF_ID
	{"xfrm", "getpolicy", key(bytesOf(156, 161), 16, 21, 31)}, // index, direction; XFRMA_POLICY_TYPE
	{"crypto", "getalg", key(bytesOf(64, 128))},               // the driver's name
	{"rdma", "get", key(nil, 1)},                              // RDMA_NLDEV_ATTR_DEV_INDEX
	{"rdma", "port-get", key(nil, 1, 3)},                      // RDMA_NLDEV_ATTR_PORT_INDEX
	{"nlctrl", "getfamily", key(nil, unix.CTRL_ATTR_FAMILY_ID)},
	{"ethtool", "stats-get", Key{Attrs: [][]uint16{{2, 1}}}}, // ETHTOOL_A_HEADER_DEV_INDEX
	{"ethtool", "", Key{Attrs: [][]uint16{{1, 1}}}},
	{"netdev", "dev-get", key(nil, 1)},
	{"wireguard", "", Key{Element: []uint16{8, 0, 1}}}, // WGPEER_A_PUBLIC_KEY in WGDEVICE_A_PEERS
	{"bulkdump", "", key(nil, 1)},
	{"bulkdump_min", "", key(nil, 1)},
	{"bulkdump_broken", "", key(nil, 1)},
}

// keyOf returns the key of a target's records; zero if it is not known.
func keyOf(family, command string) Key {
	for _, k := range keys {
		if under(family, k.family) && (k.command == "" || k.command == command) {
			return k.key
		}
	}
	return Key{}
}

// first are families of this project whose table is in the first network namespace.
var first = []string{"bulkdump_broken", "bulkdump_min", "bulkdump_nested"}

// describe adds to a target what is known of it, by its names.
func (t *Target) describe() {
	t.Moving = movingOf(t.Family, t.Command)
	t.Key = keyOf(t.Family, t.Command)
	t.Changer = changerOf(t)
	t.Home = t.Home || slices.Contains(first, t.Family)
}
