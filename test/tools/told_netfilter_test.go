// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

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
