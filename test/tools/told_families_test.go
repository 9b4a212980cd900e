// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// Numbers that package unix lacks.
const (
	rtmGetChain         = 102 // linux/rtnetlink.h
	rtmGetNexthop       = 106
	rtmGetVLAN          = 114
	rtmGetNexthopBucket = 118

	nfnlCtnetlink = 1 // linux/netfilter/nfnetlink.h
	nfnlIPSet     = 6
	nfnlNftables  = 10
	nfnlHook      = 12

	ctGet   = 1 // IPCTNL_MSG_CT_GET
	setList = 7 // IPSET_CMD_LIST
	hookGet = 0 // NFNL_MSG_HOOK_GET

	xfrmGetSA     = 0x12 // linux/xfrm.h
	xfrmGetPolicy = 0x15

	// Commands of generic families, each of its own header.
	ethtoolLinkstateGet = 6
	ethtoolFeaturesGet  = 11
	ethtoolChannelsGet  = 17
	netdevDevGet        = 1
	wgGetDevice         = 0
	macsecGetTxSC       = 0
	l2tpTunnelGet       = 4
	l2tpSessionGet      = 8
	tipcSockGet         = 6
	tipcNameTableGet    = 16
	hwsimNewRadio       = 4
	hwsimDelRadio       = 5
	hwsimGetRadio       = 6
	seg6SetHMAC         = 1
	seg6DumpHMAC        = 2
	ioam6DumpNamespaces = 3
	fouGet              = 3
	mptcpGetAddr        = 3
	entryGet            = 1
)

const (
	down       = "ip link add {name} index {id} type dummy"
	twoDummies = "ip link add d0 index 7 type dummy|ip link add d1 index 8 type dummy|ip link set d0 up|ip link set d1 up"
	oneBridge  = "ip link add br0 type bridge mcast_snooping 1|" + twoDummies + "|ip link set d0 master br0|ip link set d1 master br0|ip link set br0 up"
	classes    = twoDummies + "|tc qdisc add dev d0 root handle 5eed: htb"
)

func split(s string) op { return lines(strings.Split(s, "|")...) }

// header makes a header of a size, with bytes at its start, and a number.
func header(size int, first ...byte) []byte { return append(first, make([]byte, size-len(first))...) }

func headerWith(size int, first byte, offset int, number uint32) []byte {
	h := header(size, first)
	binary.NativeEndian.PutUint32(h[offset:], number)
	return h
}

// nested makes an attribute of attributes.
func nested(typ uint16, attrs ...netlink.Attribute) netlink.Attribute {
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		panic(err)
	}
	return attr(typ|unix.NLA_F_NESTED, b)
}

func tellFamilies() []*tellFamily {
	var all []*tellFamily
	for _, part := range [][]*tellFamily{
		tellLinks(), tellAddresses(), tellRoutes(), tellBridges(), tellTraffic(), tellNftables(), tellNetfilter(), tellXfrm(), tellSockets(), tellGeneric(),
	} {
		all = append(all, part...)
	}
	return all
}

func tellLinks() []*tellFamily {
	link := func(f tellFamily) *tellFamily {
		f.mark, f.add, f.remove = markID, lines(down), lines("ip link delete {name}")
		return &f
	}
	return []*tellFamily{
		link(tellFamily{
			name: "links", count: 12,
			request: structure(unix.RTM_GETLINK, header(unix.SizeofIfInfomsg)),
			prepare: lines("ip link add br0 type bridge"),
			changes: []tellChange{
				{what: "name", op: lines("ip link set {name} name r{i}"), undo: lines("ip link set r{i} name {name}")},
				inPlace("mtu", "ip link set {name} mtu 1234"),
				inPlace("up", "ip link set {name} up"),
				inPlace("down", "ip link set {name} down"),
				inPlace("alias", "ip link set {name} alias other"),
				inPlace("address", "ip link set {name} address {mac}"),
				inPlace("master", "ip link set {name} master br0"),
				inPlace("group", "ip link set {name} group 7"),
			},
		}),
		link(tellFamily{
			name: "link statistics", count: 60,
			request: structure(unix.RTM_GETSTATS, headerWith(12, 0, 8, 1)),
		}),
		link(tellFamily{
			name: "netconf, IPv4", count: 160,
			request: structure(unix.RTM_GETNETCONF, []byte{unix.AF_INET}),
			changes: []tellChange{{what: "forwarding", op: setting("ipv4/conf/%s/forwarding")}},
		}),
		link(tellFamily{
			name: "netconf, IPv6", count: 160,
			request: structure(unix.RTM_GETNETCONF, []byte{unix.AF_INET6}),
			changes: []tellChange{{what: "forwarding", op: setting("ipv6/conf/%s/forwarding")}},
		}),
		link(tellFamily{
			name: "neighbour tables", count: 60,
			request: structure(unix.RTM_GETNEIGHTBL, header(4)),
			changes: []tellChange{inPlace("base_reachable", "ip ntable change name arp_cache dev {name} base_reachable 12345")},
		}),
	}
}

// setting writes to a file of /proc/sys/net that is the object's.
func setting(format string) op {
	return do(func(t *testing.T, i int) {
		t.Helper()
		if err := os.WriteFile("/proc/sys/net/"+fmt.Sprintf(format, markName(i)), []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	})
}

func tellAddresses() []*tellFamily {
	groups := map[int]*os.File{}
	join := func(level, option int) (add, remove op) {
		sock := func(t *testing.T, i int) {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			m := unix.IPv6Mreq{Interface: 7}
			copy(m.Multiaddr[:], markGroup6(i))
			if err := unix.SetsockoptIPv6Mreq(fd, level, option, &m); err != nil {
				t.Fatal(err)
			}
			groups[i] = os.NewFile(uintptr(fd), "")
		}
		leave := func(t *testing.T, i int) { _ = groups[i].Close() }
		return do(sock), do(leave)
	}
	joined, left := join(unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP)
	addresses := func(name string, family byte, link uint32, mark func(int) []byte, a, flags string) *tellFamily {
		return &tellFamily{
			name: name, count: 160, mark: mark, prepare: split(twoDummies),
			request: structure(unix.RTM_GETADDR, headerWith(unix.SizeofIfAddrmsg, family, 4, link)),
			add:     lines("ip address add " + a + " dev d0" + flags), remove: lines("ip address delete " + a + " dev d0"),
			changes: []tellChange{inPlace("lifetime", "ip address change "+a+" dev d0 valid_lft 1000 preferred_lft 900")},
		}
	}
	return []*tellFamily{
		addresses("addresses, IPv4", unix.AF_INET, 0, markIP, "{ip}/32", ""),
		addresses("addresses, IPv6", unix.AF_INET6, 0, objectIP6, "{ip6}/128", " nodad"),
		addresses("addresses of one link, IPv4", unix.AF_INET, 7, markIP, "{ip}/32", ""),
		addresses("addresses of one link, IPv6", unix.AF_INET6, 7, objectIP6, "{ip6}/128", " nodad"),
		{
			name: "multicast addresses, IPv6", alone: true, count: 160, mark: markGroup6, prepare: split(twoDummies),
			request: structure(unix.RTM_GETMULTICAST, header(unix.SizeofIfAddrmsg, unix.AF_INET6)),
			add:     joined, remove: left,
		},
		{
			name: "address labels", count: 160, mark: objectIP6,
			request: structure(unix.RTM_GETADDRLABEL, header(12, unix.AF_INET6)),
			add:     lines("ip addrlabel add prefix {ip6}/128 label 99"), remove: lines("ip addrlabel del prefix {ip6}/128 label 99"),
		},
	}
}

func markGroup6(i int) []byte { return append([]byte{0xff, 0x15}, objectIP6(i)[2:]...) }

func tellRoutes() []*tellFamily {
	rules := func(name string, family byte, ip string) *tellFamily {
		return &tellFamily{
			name: name, count: 160, mark: markID,
			request: structure(unix.RTM_GETRULE, header(12, family)),
			add:     lines(ip + " rule add pref {id} table 77"), remove: lines(ip + " rule delete pref {id}"),
		}
	}
	neighbours := func(name string, family byte, mark func(int) []byte, a string) *tellFamily {
		return &tellFamily{
			name: name, count: 160, mark: mark, prepare: split(twoDummies),
			request: structure(unix.RTM_GETNEIGH, header(unix.SizeofNdMsg, family)),
			add:     lines("ip neighbour add " + a + " lladdr {mac} dev d0 nud permanent"),
			remove:  lines("ip neighbour delete " + a + " dev d0"),
			changes: []tellChange{inPlace("lladdr", "ip neighbour change "+a+" lladdr 02:00:00:00:00:07 dev d0")},
		}
	}
	routes := func(name, ip string, family byte, mark func(int) []byte, a string) *tellFamily {
		return &tellFamily{
			name: name, count: 160, mark: mark, prepare: split(twoDummies),
			request: structure(unix.RTM_GETROUTE, header(unix.SizeofRtMsg, family)),
			add:     lines(ip + " route add " + a + " dev d0"), remove: lines(ip + " route delete " + a + " dev d0"),
			changes: []tellChange{inPlace("mtu", ip+" route change "+a+" dev d0 mtu 1300")},
		}
	}
	mpls := routes("routes, MPLS", "ip -M", unix.AF_MPLS, func(i int) []byte {
		return binary.BigEndian.AppendUint32(nil, objectLabel(i)<<12|1<<8)
	}, "")
	mpls.modules = []string{"mpls_router"}
	mpls.prepare.do = func(t *testing.T, _ int) { setLabels(t) }
	mpls.add, mpls.remove = lines("ip -M route add {label} dev d0"), lines("ip -M route delete {label}")
	mpls.changes = []tellChange{inPlace("device", "ip -M route change {label} dev d1")}
	return []*tellFamily{
		routes("routes, IPv4", "ip", unix.AF_INET, markIP, "{ip}/32"),
		routes("routes, IPv6", "ip -6", unix.AF_INET6, objectIP6, "{ip6}/128"),
		mpls,
		rules("rules, IPv4", unix.AF_INET, "ip"),
		rules("rules, IPv6", unix.AF_INET6, "ip -6"),
		neighbours("neighbours, IPv4", unix.AF_INET, markIP, "{ip}"),
		neighbours("neighbours, IPv6", unix.AF_INET6, objectIP6, "{ip6}"),
		{
			name: "nexthops", count: 240, mark: markID, prepare: split(twoDummies),
			request: structure(rtmGetNexthop, header(8)),
			add:     lines("ip nexthop add id {id} dev d0"), remove: lines("ip nexthop delete id {id}"),
			changes: []tellChange{inPlace("device", "ip nexthop replace id {id} dev d1")},
		},
		{
			name: "nexthop buckets", count: 30, mark: markID,
			prepare: split(twoDummies + "|ip nexthop add id 1 dev d0|ip nexthop add id 2 dev d1"),
			request: structure(rtmGetNexthopBucket, header(8)),
			add:     lines("ip nexthop add id {id} group 1/2 type resilient buckets 8"), remove: lines("ip nexthop delete id {id}"),
			changes: []tellChange{inPlace("nexthop of a bucket", "ip nexthop replace id {id} group 2 type resilient buckets 8")},
		},
	}
}

// setLabels makes room for labels of MPLS.
func setLabels(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/mpls/platform_labels", []byte("1048575"), 0); err != nil {
		t.Fatal(err)
	}
}

func tellBridges() []*tellFamily {
	return []*tellFamily{
		{
			name: "bridge ports", count: 30, mark: markID,
			request: structure(unix.RTM_GETLINK, header(unix.SizeofIfInfomsg, unix.AF_BRIDGE)),
			prepare: split(oneBridge),
			add:     lines(down, "ip link set {name} master br0"), remove: lines("ip link delete {name}"),
			changes: []tellChange{inPlace("cost", "bridge link set dev {name} cost 7")},
		},
		{
			name: "bridge vlans", count: 100, mark: markID,
			request: structure(rtmGetVLAN, header(8, unix.AF_BRIDGE)),
			prepare: split(oneBridge + "|ip link set br0 type bridge vlan_filtering 1"),
			add:     lines(down, "ip link set {name} master br0", "bridge vlan add vid 77 dev {name}"), remove: lines("ip link delete {name}"),
			changes: []tellChange{
				inPlace("one more", "bridge vlan add vid 99 dev {name}"), inPlace("one less", "bridge vlan delete vid 99 dev {name}"),
				inPlace("untagged", "bridge vlan add vid 77 dev {name} untagged"),
			},
		},
		{
			name: "fdb", count: 160, mark: objectMAC, prepare: split(oneBridge),
			request: structure(unix.RTM_GETNEIGH, header(unix.SizeofNdMsg, unix.AF_BRIDGE)),
			add:     lines("bridge fdb add {mac} dev d0 master static"), remove: lines("bridge fdb delete {mac} dev d0 master"),
			changes: []tellChange{{
				what: "port", op: lines("bridge fdb replace {mac} dev d1 master static"), undo: lines("bridge fdb replace {mac} dev d0 master static"),
			}},
		},
		{
			name: "mdb", count: 160, mark: func(i int) []byte { return address("239.77.0.1", i) }, prepare: split(oneBridge),
			request: structure(unix.RTM_GETMDB, header(8, unix.AF_BRIDGE)),
			add:     lines("bridge mdb add dev br0 port d0 grp {group} permanent"), remove: lines("bridge mdb delete dev br0 port d0 grp {group}"),
			changes: []tellChange{{what: "state", since: "6.3", op: lines("bridge mdb replace dev br0 port d0 grp {group} temp")}},
		},
	}
}

func tellTraffic() []*tellFamily {
	dev := func(parent uint32) []byte {
		h := headerWith(20, 0, 4, 7)
		binary.NativeEndian.PutUint32(h[12:], parent)
		return h
	}
	markClass := func(i int) []byte { return u32(0x5eed0000 + uint32(i) + 1) }
	return []*tellFamily{
		{
			name: "qdiscs", count: 60, mark: markID, request: structure(unix.RTM_GETQDISC, header(20)),
			base:    lines(down),
			add:     lines("tc qdisc add dev {name} root handle 1: pfifo limit 100"),
			remove:  lines("tc qdisc delete dev {name} root"),
			changes: []tellChange{inPlace("limit", "tc qdisc change dev {name} root pfifo limit 7")},
		},
		{
			name: "classes", modules: []string{"sch_htb"}, count: 60, mark: markClass, request: structure(unix.RTM_GETTCLASS, dev(0)),
			prepare: split(classes),
			add:     lines("tc class add dev d0 parent 5eed: classid 5eed:{hex} htb rate 1mbit"),
			remove:  lines("tc class delete dev d0 parent 5eed: classid 5eed:{hex}"),
			changes: []tellChange{inPlace("rate", "tc class change dev d0 parent 5eed: classid 5eed:{hex} htb rate 2mbit")},
		},
		{
			name: "filters", modules: []string{"cls_flower"}, count: 60, mark: objectMAC, request: structure(unix.RTM_GETTFILTER, dev(0x5eed0000)),
			prepare: split(classes),
			add:     lines("tc filter add dev d0 parent 5eed: protocol ip pref {i} handle 1 flower dst_mac {mac} classid 5eed:1"),
			remove:  lines("tc filter delete dev d0 parent 5eed: protocol ip pref {i}"),
			changes: []tellChange{inPlace("class", "tc filter change dev d0 parent 5eed: protocol ip pref {i} handle 1 flower dst_mac {mac} classid 5eed:2")},
		},
		{
			name: "filter chains", modules: []string{"sch_htb"}, count: 160, mark: markID, request: structure(rtmGetChain, dev(0x5eed0000)),
			prepare: split(classes),
			add:     lines("tc chain add dev d0 parent 5eed: chain {id}"), remove: lines("tc chain delete dev d0 parent 5eed: chain {id}"),
		},
		{
			name: "actions", modules: []string{"act_gact"}, count: 80, mark: markID,
			request: structure(unix.RTM_GETACTION, header(4), nested(1, nested(1, attrText(1, "gact")))),
			add:     lines("tc actions add action gact drop index {id}"), remove: lines("tc actions delete action gact index {id}"),
			changes: []tellChange{inPlace("verdict", "tc actions change action gact pass index {id}")},
		},
	}
}

// nfnetlink returns a request of one of its subsystems.
func nfnetlink(subsystem, message uint16, family byte, attrs ...netlink.Attribute) func(*testing.T) nldump.Message {
	return structure(subsystem<<8|message, header(4, family), attrs...)
}

// resID is the low half of the ruleset's generation, in each record's header.
func resID(m nldump.Message) (uint64, error) { return uint64(binary.BigEndian.Uint16(m.Data[2:])), nil }

func tellNftables() []*tellFamily {
	const inet = 1 // NFPROTO_INET
	nft := func(f tellFamily, get uint16, attrs ...netlink.Attribute) *tellFamily {
		f.modules, f.netlink, f.generation = append(f.modules, "nf_tables"), unix.NETLINK_NETFILTER, resID
		f.request = nfnetlink(nfnlNftables, get, inet, attrs...)
		if f.mark == nil {
			f.mark = markName
		}
		return &f
	}
	return []*tellFamily{
		nft(tellFamily{
			name: "nft tables", count: 30,
			add: lines("nft add table inet {name}{long}"), remove: lines("nft delete table inet {name}{long}"),
			changes: []tellChange{inPlace("flags", "nft add table inet {name}{long} { flags dormant ; }")},
		}, unix.NFT_MSG_GETTABLE),
		nft(tellFamily{
			name: "nft chains", count: 30, prepare: lines("nft add table inet t"),
			add: lines("nft add chain inet t {name}{long} { type filter hook input priority 0 ; policy accept ; }"), remove: lines("nft delete chain inet t {name}{long}"),
			changes: []tellChange{inPlace("policy", "nft add chain inet t {name}{long} { policy drop ; }")},
		}, unix.NFT_MSG_GETCHAIN),
		nft(tellFamily{
			name: "nft rules", count: 30, prepare: lines("nft add table inet t"),
			add: lines("nft add chain inet t {name}{long}", "nft add rule inet t {name}{long} accept"), remove: lines("nft flush chain inet t {name}{long}"),
			changes: []tellChange{{what: "verdict", op: do(replaceRule)}},
		}, unix.NFT_MSG_GETRULE),
		nft(tellFamily{
			name: "nft sets", count: 30, prepare: lines("nft add table inet t"),
			add: lines("nft add set inet t {name}{long} { type ipv4_addr ; }"), remove: lines("nft delete set inet t {name}{long}"),
		}, unix.NFT_MSG_GETSET),
		nft(tellFamily{
			name: "nft set elements", count: 300, mark: markIP,
			prepare: lines("nft add table inet t", "nft add set inet t s { type ipv4_addr ; flags timeout ; }"),
			add:     lines("nft add element inet t s { {ip} timeout 1h }"), remove: lines("nft delete element inet t s { {ip} }"),
			changes: []tellChange{{what: "timeout", since: "6.12", op: lines("nft add element inet t s { {ip} timeout 2h }")}},
		}, unix.NFT_MSG_GETSETELEM, attrText(unix.NFTA_SET_ELEM_LIST_TABLE, "t"), attrText(unix.NFTA_SET_ELEM_LIST_SET, "s")),
		nft(tellFamily{
			name: "nft objects", modules: []string{"nft_quota"}, count: 30, prepare: lines("nft add table inet t"),
			add: lines("nft add quota inet t {name}{long} { over 1 mbytes }"), remove: lines("nft delete quota inet t {name}{long}"),
			changes: []tellChange{inPlace("quota", "nft add quota inet t {name}{long} { over 2 mbytes }")},
		}, unix.NFT_MSG_GETOBJ),
		nft(tellFamily{
			name: "nft flowtables", modules: []string{"nf_flow_table_inet"}, count: 30, prepare: split(twoDummies + "|nft add table inet t"),
			add: lines("nft add flowtable inet t {name}{long} { hook ingress priority 0 ; }"), remove: lines("nft delete flowtable inet t {name}{long}"),
			changes: []tellChange{{
				what: "devices", op: lines("nft add flowtable inet t {name}{long} { hook ingress priority 0 ; devices = { d0 } ; }"),
				undo: lines("nft delete flowtable inet t {name}{long} { hook ingress priority 0 ; devices = { d0 } ; }"),
			}},
		}, unix.NFT_MSG_GETFLOWTABLE),
		{
			name: "netfilter hooks", unaddressed: true, modules: []string{"nfnetlink_hook", "nf_tables"}, netlink: unix.NETLINK_NETFILTER, count: 30,
			mark: markName, prepare: lines("nft add table ip t"),
			// NFPROTO_IPV4, NFNLA_HOOK_HOOKNUM, NF_INET_LOCAL_IN
			request: nfnetlink(nfnlHook, hookGet, 2, attr(1, binary.BigEndian.AppendUint32(nil, 1))),
			add:     lines("nft add chain ip t {name}{long} { type filter hook input priority 0 ; }"), remove: lines("nft delete chain ip t {name}{long}"),
		},
	}
}

// replaceRule changes the rule of a chain.
func replaceRule(t *testing.T, i int) {
	chain := expand("{name}{long}", i)
	text, _ := run(t, "nft", "-a", "list", "chain", "inet", "t", chain)
	_, handle, ok := strings.Cut(text, "accept # handle ")
	if !ok {
		t.Fatalf("no rule in %s", text)
	}
	handle, _, _ = strings.Cut(handle, "\n")
	run(t, "nft", "replace", "rule", "inet", "t", chain, "handle", handle, "drop")
}

func tellNetfilter() []*tellFamily {
	protocol := attr(1, []byte{7}) // IPSET_ATTR_PROTOCOL
	flow := "-p udp -s {ip} -d 10.99.0.1 --sport 1 --dport 2"
	return []*tellFamily{
		{
			name: "ipset sets", modules: []string{"ip_set_hash_ip"}, netlink: unix.NETLINK_NETFILTER, count: 80, mark: markName,
			request: nfnetlink(nfnlIPSet, setList, unix.AF_INET, protocol),
			add:     lines("ipset create {name} hash:ip"), remove: lines("ipset destroy {name}"),
			changes: []tellChange{{what: "name", op: lines("ipset rename {name} r{i}"), undo: lines("ipset rename r{i} {name}")}},
		},
		{
			name: "ipset entries", modules: []string{"ip_set_hash_ip"}, netlink: unix.NETLINK_NETFILTER, count: 300, mark: markIP,
			prepare: lines("ipset create s hash:ip timeout 1000"),
			request: nfnetlink(nfnlIPSet, setList, unix.AF_INET, protocol, attrText(2, "s")),
			add:     lines("ipset add s {ip}"), remove: lines("ipset del s {ip}"),
			changes: []tellChange{inPlace("timeout", "ipset add s {ip} timeout 2000 -exist")},
		},
		{
			name: "conntrack", modules: []string{"nf_conntrack_netlink"}, netlink: unix.NETLINK_NETFILTER, count: 80, mark: markIP,
			request: nfnetlink(nfnlCtnetlink, ctGet, unix.AF_INET),
			add:     lines("conntrack -I " + flow + " -t 1000"), remove: lines("conntrack -D " + flow),
			changes: []tellChange{inPlace("mark", "conntrack -U "+flow+" -m 7")},
		},
		{name: "conntrack expectations", never: "not tried; no, by the source"},
	}
}

func tellXfrm() []*tellFamily {
	state := "src {ip6} dst fd99::1 proto route2"
	policy := "src {ip}/32 dst 10.99.0.1/32 dir out"
	return []*tellFamily{
		{
			name: "xfrm states", modules: []string{"xfrm_user"}, netlink: unix.NETLINK_XFRM, count: 30, mark: objectIP6,
			request: structure(xfrmGetSA, nil),
			add:     lines("ip xfrm state add " + state + " mode ro coa fd99::2"), remove: lines("ip xfrm state delete " + state),
			changes: []tellChange{inPlace("coa", "ip xfrm state update "+state+" mode ro coa fd99::3")},
		},
		{
			name: "xfrm policies", modules: []string{"xfrm_user"}, netlink: unix.NETLINK_XFRM, count: 60, mark: markIP,
			request: structure(xfrmGetPolicy, nil),
			add:     lines("ip xfrm policy add " + policy + " action block"), remove: lines("ip xfrm policy delete " + policy),
			changes: []tellChange{inPlace("action", "ip xfrm policy update "+policy+" action allow")},
		},
	}
}

// socks are sockets, the objects of sock_diag and of TIPC.
type socks struct {
	domain, kind, protocol int
	address                func(i int) unix.Sockaddr
	fds                    map[int]int
	refs                   map[int]uint32 // of TIPC, by which a dump knows them
}

func (s *socks) add() op {
	return do(func(t *testing.T, i int) {
		t.Helper()
		fd, err := unix.Socket(s.domain, s.kind|unix.SOCK_CLOEXEC, s.protocol)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, s.address(i)); err != nil {
			t.Fatal(err)
		}
		if s.domain == unix.AF_INET && s.kind == unix.SOCK_STREAM || s.domain == unix.AF_UNIX {
			if err := unix.Listen(fd, 1); err != nil {
				t.Fatal(err)
			}
		}
		if s.fds == nil {
			s.fds, s.refs = map[int]int{}, map[int]uint32{}
			t.Cleanup(func() {
				for _, fd := range s.fds {
					_ = unix.Close(fd)
				}
			})
		}
		s.fds[i] = fd
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := name.(*unix.SockaddrTIPC); ok {
			s.refs[i] = a.Addr.(*unix.TIPCSocketAddr).Ref
		}
	})
}

func (s *socks) remove() op {
	return do(func(t *testing.T, i int) {
		_ = unix.Close(s.fds[i])
		delete(s.fds, i)
	})
}

func (s *socks) change(what string, f func(fd int) error) []tellChange {
	return []tellChange{{what: what, op: do(func(t *testing.T, i int) {
		if err := f(s.fds[i]); err != nil {
			t.Fatal(err)
		}
	})}}
}

func tellSockets() []*tellFamily {
	inet := func(i int) unix.Sockaddr {
		return &unix.SockaddrInet4{Port: 77, Addr: [4]byte(markLoopback(i))}
	}
	diag := func(name, module string, s socks, count int, mark func(int) []byte, request []byte, what string, change func(fd int) error) *tellFamily {
		return &tellFamily{
			name: name, alone: true, modules: []string{module}, netlink: unix.NETLINK_SOCK_DIAG, count: count, mark: mark,
			request: structure(sockDiagByFamily, request), prepare: lines("ip link set lo up"),
			add: s.add(), remove: s.remove(), changes: s.change(what, change),
		}
	}
	all := func(size int, first ...byte) []byte {
		h := header(size, first...)
		binary.NativeEndian.PutUint32(h[4:], 0xffffffff) // states
		return h
	}
	connect := func(fd int) error {
		return unix.Connect(fd, &unix.SockaddrInet4{Port: 78, Addr: [4]byte{127, 0, 0, 1}})
	}
	shut := func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) }
	udp := diag("sockets, UDP", "udp_diag", socks{domain: unix.AF_INET, kind: unix.SOCK_DGRAM, address: inet}, 300, markLoopback,
		all(sizeofInetDiagReq, unix.AF_INET, unix.IPPROTO_UDP), "peer", connect)
	tcp := diag("sockets, TCP", "tcp_diag", socks{domain: unix.AF_INET, kind: unix.SOCK_STREAM, address: inet}, 300, markLoopback,
		all(sizeofInetDiagReq, unix.AF_INET, unix.IPPROTO_TCP), "backlog", func(fd int) error { return unix.Listen(fd, 7) })
	local := all(24, unix.AF_UNIX)
	binary.NativeEndian.PutUint32(local[12:], 0xff) // udiag_show
	un := diag("sockets, Unix", "unix_diag", socks{domain: unix.AF_UNIX, kind: unix.SOCK_STREAM,
		address: func(i int) unix.Sockaddr { return &unix.SockaddrUnix{Name: "@" + string(markName(i))} }}, 200, markName, local, "shutdown", shut)
	nl := header(20, unix.AF_NETLINK, 0xff)  // NDIAG_PROTO_ALL
	binary.NativeEndian.PutUint32(nl[8:], 3) // memory, groups
	nls := diag("sockets, netlink", "netlink_diag", socks{domain: unix.AF_NETLINK, kind: unix.SOCK_RAW,
		address: func(i int) unix.Sockaddr { return &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: objectID(i)} }}, 200, markID, nl, "group", func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, 1)
	})
	return []*tellFamily{tcp, udp, un, nls}
}

func markLoopback(i int) []byte { return address("127.77.0.1", i) }

func tellGeneric() []*tellFamily {
	gen := func(f tellFamily) *tellFamily {
		f.netlink = unix.NETLINK_GENERIC
		return &f
	}
	ethtool := func(name string, command byte, changes ...tellChange) *tellFamily {
		return gen(tellFamily{
			name: name, count: 60, mark: markName,
			// ETHTOOL_A_*_HEADER, ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS
			request: generic("ethtool", command, nested(1, attr(3, u32(1)))),
			add:     lines("ip link add {name} index {id} type veth peer name p{i}"), remove: lines("ip link delete {name}"),
			changes: changes,
		})
	}
	tipc := func() *socks {
		return &socks{domain: unix.AF_TIPC, kind: unix.SOCK_RDM, address: func(i int) unix.Sockaddr {
			return &unix.SockaddrTIPC{Scope: 2, Addr: &unix.TIPCServiceName{Type: objectID(i), Instance: 1}}
		}}
	}
	names, sockets := tipc(), tipc()
	// The kernel removes tunnels and sessions in a work queue, after it has
	// acknowledged the request (l2tp_tunnel_delete, l2tp_session_delete). Their
	// numbers and ports are free when no dump has them any more.
	removedLater := func(command uint8, l string) op {
		return op{lines: []string{l}, do: func(t *testing.T, i int) {
			test := gen(tellFamily{request: generic("l2tp", command)}).start(t)
			defer test.stream.Close()
			for there := true; there; {
				pages, _, _, err := test.pages(t, nil)
				if err != nil {
					t.Fatal(err)
				}
				there = slices.ContainsFunc(pages, func(p []byte) bool { return bytes.Contains(p, markID(i)) })
			}
		}}
	}
	// The names of radios are those of all network namespaces.
	radio := func(command uint8, of string) op {
		return do(func(t *testing.T, i int) { hwsim(t, command, of+string(markName(i))+strings.Repeat("x", 40)) })
	}
	wireless := []string{"mac80211_hwsim"}
	return []*tellFamily{
		gen(tellFamily{
			name: "nlctrl", global: true, count: 1, mark: func(int) []byte { return []byte("bulkdump_min\x00") },
			request: generic("nlctrl", unix.CTRL_CMD_GETFAMILY),
			add:     lines("insmod /lib/modules/bulkdump_minimal.ko"), remove: lines("rmmod bulkdump_minimal"), cleanup: lines("rmmod bulkdump_minimal"),
		}),
		ethtool("ethtool linkstate", ethtoolLinkstateGet, inPlace("up", "ip link set {name} up")),
		ethtool("ethtool features", ethtoolFeaturesGet, inPlace("gso", "ethtool -K {name} gso off")),
		ethtool("ethtool channels", ethtoolChannelsGet, inPlace("rx", "ethtool -L {name} rx 1")),
		gen(tellFamily{
			name: "netdev devices", since: "6.3", count: 120, mark: markID, request: generic("netdev", netdevDevGet),
			add: lines(down), remove: lines("ip link delete {name}"),
		}),
		{name: "devlink", never: "no kernel here has netdevsim"},
		gen(tellFamily{
			name: "wireguard peers", modules: []string{"wireguard"}, count: 60, mark: markKey,
			prepare: lines("ip link add wg0 type wireguard"),
			request: generic("wireguard", wgGetDevice, attrText(2, "wg0")),
			add:     lines("wg set wg0 peer {key} allowed-ips {ip}/32"), remove: lines("wg set wg0 peer {key} remove"),
			changes: []tellChange{inPlace("endpoint", "wg set wg0 peer {key} endpoint 10.99.0.1:77")},
		}),
		gen(tellFamily{
			name: "macsec", modules: []string{"macsec"}, count: 30, mark: markID, prepare: split(twoDummies),
			request: generic("macsec", macsecGetTxSC),
			add:     lines("ip link add link d0 name {name} index {id} type macsec port {i}"), remove: lines("ip link delete {name}"),
			changes: []tellChange{inPlace("encrypt", "ip link set {name} type macsec encrypt on")},
		}),
		gen(tellFamily{
			name: "l2tp tunnels", modules: []string{"l2tp_netlink"}, count: 40, mark: markID, prepare: lines("ip address add 127.77.0.1/8 dev lo", "ip link set lo up"),
			request: generic("l2tp", l2tpTunnelGet),
			add:     lines("ip l2tp add tunnel tunnel_id {id} peer_tunnel_id {id} encap udp local 127.77.0.1 remote 127.77.0.2 udp_sport {port} udp_dport {port}"),
			remove:  removedLater(l2tpTunnelGet, "ip l2tp delete tunnel tunnel_id {id}"),
		}),
		gen(tellFamily{
			name: "l2tp sessions", modules: []string{"l2tp_netlink", "l2tp_eth"}, count: 60, mark: markID,
			prepare: lines("ip address add 127.77.0.1/8 dev lo", "ip link set lo up",
				"ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap udp local 127.77.0.1 remote 127.77.0.2 udp_sport 7 udp_dport 7"),
			request: generic("l2tp", l2tpSessionGet),
			add:     lines("ip l2tp add session tunnel_id 1 session_id {id} peer_session_id {id}"),
			remove:  removedLater(l2tpSessionGet, "ip l2tp delete session tunnel_id 1 session_id {id}"),
		}),
		gen(tellFamily{
			name: "tipc names", alone: true, modules: []string{"tipc"}, count: 120, mark: markID, request: generic("TIPCv2", tipcNameTableGet),
			add: names.add(), remove: names.remove(),
		}),
		gen(tellFamily{
			name: "tipc sockets", alone: true, modules: []string{"tipc"}, count: 160, request: generic("TIPCv2", tipcSockGet),
			mark: func(i int) []byte { return u32(sockets.refs[i]) },
			add:  sockets.add(), remove: sockets.remove(),
		}),
		gen(tellFamily{
			name: "wiphys", modules: wireless, count: 4, mark: markName,
			request: generic("nl80211", unix.NL80211_CMD_GET_WIPHY, attr(unix.NL80211_ATTR_SPLIT_WIPHY_DUMP, nil)),
			add:     radio(hwsimNewRadio, "w"), remove: radio(hwsimDelRadio, "w"), changes: []tellChange{{what: "rts", op: do(setRTS)}},
		}),
		gen(tellFamily{
			name: "wireless interfaces", modules: wireless, count: 60, mark: markName,
			prepare: radio(hwsimNewRadio, "i"),
			request: generic("nl80211", unix.NL80211_CMD_GET_INTERFACE),
			add:     lines("iw dev wlan0 interface add {name} type managed"), remove: lines("iw dev {name} del"),
			changes: []tellChange{inPlace("type", "iw dev {name} set type monitor")},
		}),
		gen(tellFamily{
			name: "hwsim radios", modules: wireless, count: 60, mark: markName,
			request: generic("MAC80211_HWSIM", hwsimGetRadio), add: radio(hwsimNewRadio, "r"), remove: radio(hwsimDelRadio, "r"),
		}),
		{name: "wireless stations", never: "not tried; no, by the source"},
		{name: "wireless scan results", never: "not tried; told, by the source"},
		gen(tellFamily{
			name: "mptcp endpoints", since: "7.0", older: "8 at most: one page", count: 160, mark: markIP,
			request: generic("mptcp_pm", mptcpGetAddr),
			add:     lines("ip mptcp endpoint add {ip} id {i}"), remove: lines("ip mptcp endpoint delete id {i}"),
			changes: []tellChange{inPlace("backup", "ip mptcp endpoint change id {i} backup")},
		}),
		gen(tellFamily{
			name: "seg6 hmac", count: 80, mark: markID, request: generic("SEG6", seg6DumpHMAC),
			add: do(func(t *testing.T, i int) { hmac(t, i, []byte("secret")) }), remove: do(func(t *testing.T, i int) { hmac(t, i, nil) }),
			changes: []tellChange{{what: "secret", op: do(func(t *testing.T, i int) { hmac(t, i, []byte("another")) })}},
		}),
		gen(tellFamily{
			name: "ioam6 namespaces", count: 160, mark: markID, request: generic("IOAM6", ioam6DumpNamespaces),
			add: lines("ip ioam namespace add {i} data {id}"), remove: lines("ip ioam namespace del {i}"),
		}),
		gen(tellFamily{
			name: "fou ports", modules: []string{"fou"}, count: 160, mark: func(i int) []byte { return binary.BigEndian.AppendUint16([]byte{6, 0, 1, 0}, objectPort(i)) },
			request: generic("fou", fouGet),
			add:     lines("ip fou add port {port} ipproto 4"), remove: lines("ip fou del port {port}"),
		}),
		gen(tellFamily{
			name: "bulkdump", count: 160, mark: markID, request: generic(client.FamilyName, entryGet),
			add: entry(func(ctx context.Context, c *client.Client, i int) (uint64, error) {
				return c.New(ctx, client.Entry{ID: objectID(i), Name: "name"})
			}),
			remove: entry(func(ctx context.Context, c *client.Client, i int) (uint64, error) { return c.Delete(ctx, objectID(i)) }),
			changes: []tellChange{{what: "value", op: entry(func(ctx context.Context, c *client.Client, i int) (uint64, error) {
				return c.Set(ctx, client.Change{ID: objectID(i), Value: ptr(uint64(7))})
			})}},
		}),
	}
}

// entry changes an entry of our own table.
func entry(change func(ctx context.Context, c *client.Client, i int) (uint64, error)) op {
	var c *client.Client
	return do(func(t *testing.T, i int) {
		t.Helper()
		if c == nil {
			var err error
			if c, err = client.Dial(client.Config{}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
		}
		if _, err := change(context.Background(), c, i); err != nil {
			t.Fatal(err)
		}
	})
}

// genericDo sends a request that is no dump.
func genericDo(t *testing.T, family string, command uint8, attrs ...netlink.Attribute) error {
	t.Helper()
	conn, err := genetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Execute(genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}, Data: encode(t, attrs)},
		genericFamily(t, family).ID, netlink.Request|netlink.Acknowledge)
	return err
}

// hwsim makes a radio, whose number is the answer, or removes it.
func hwsim(t *testing.T, command uint8, name string) {
	t.Helper()
	const radioName = 17
	err := genericDo(t, "MAC80211_HWSIM", command, attrText(radioName, name))
	// The library takes the number for an error, and turns its sign.
	if errno := unix.Errno(0); err != nil && !(errors.As(err, &errno) && int(errno) < 0) {
		t.Fatal(err)
	}
}

// setRTS changes the threshold of a radio. They have wlan0, wlan1 … in order.
func setRTS(t *testing.T, i int) {
	t.Helper()
	link, err := net.InterfaceByName(fmt.Sprintf("wlan%d", i))
	if err != nil {
		t.Fatal(err)
	}
	err = genericDo(t, "nl80211", unix.NL80211_CMD_SET_WIPHY, attr(unix.NL80211_ATTR_IFINDEX, u32(uint32(link.Index))),
		attr(unix.NL80211_ATTR_WIPHY_RTS_THRESHOLD, u32(500)))
	if err != nil {
		t.Fatal(err)
	}
}

// hmac sets a key, or removes it.
func hmac(t *testing.T, i int, secret []byte) {
	t.Helper()
	attrs := []netlink.Attribute{attr(3, markID(i)), attr(5, []byte{byte(len(secret))}), attr(6, []byte{2})}
	if secret != nil {
		attrs = append(attrs, attr(4, secret))
	}
	if err := genericDo(t, "SEG6", seg6SetHMAC, attrs...); err != nil {
		t.Fatal(err)
	}
}
