// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

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
