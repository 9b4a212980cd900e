// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"fmt"
	"io"
)

// objects are made by programs that read them line by line, if the kernel has the
// module.
var objects = []struct {
	module  string
	program string
	input   func(line func(format string, args ...any))
}{
	// Quiet first: nothing of what follows shall send by itself.
	{"", "sh -e", func(line func(string, ...any)) {
		line("echo >/proc/sys/kernel/modprobe") // what there is, is loaded
		line("cd /proc/sys/net")
		for _, of := range []string{"default", "all", "lo"} {
			line("echo 0 >ipv6/conf/%s/accept_dad", of)
			line("echo 0 >ipv6/conf/%s/router_solicitations", of)
			line("echo 1 >ipv6/conf/%s/addr_gen_mode", of)
		}
		line("echo 0 >ipv6/conf/default/mldv1_unsolicited_report_interval")
		line("echo 0 >ipv6/conf/default/mldv2_unsolicited_report_interval")
	}},
	{"", "ip -batch -", func(line func(string, ...any)) { line("link set lo up") }},
	{"veth", "ip -batch -", func(line func(string, ...any)) {
		for i := range 60 {
			line("link add v%d address 02:00:00:00:01:%02x type veth peer name p%d address 02:00:00:00:02:%02x", i, i, i, i)
			line("link set v%d up", i)
			line("link set p%d up", i)
			for j := range 8 {
				line("addr add 10.%d.0.%d/16 dev v%d", i, j+1, i)
				line("addr add 2001:db8:%d::%d/64 dev v%d nodad", i, j+1, i)
			}
		}
		for i := range 3 {
			line("link property add dev v%d altname v%d-other-name altname v%d-third-name", i, i, i)
		}
	}},
	{"dummy", "ip -batch -", func(line func(string, ...any)) {
		for i := range 31 {
			line("link add d%d type dummy", i)
			line("link set d%d up", i)
		}
	}},
	{"8021q", "ip -batch -", func(line func(string, ...any)) {
		for i := 2; i <= 40; i++ {
			line("link add link v0 name v0.%d type vlan id %d", i, i)
		}
	}},
	{"macvlan", "ip -batch -", func(line func(string, ...any)) {
		for i := range 5 {
			line("link add link v1 name mv%d type macvlan mode bridge", i)
		}
	}},
	{"ipvlan", "ip -batch -", func(line func(string, ...any)) {
		for i := range 3 {
			line("link add link v2 name iv%d type ipvlan", i)
		}
	}},
	{"vrf", "ip -batch -", func(line func(string, ...any)) { line("link add vrf9 type vrf table 100") }},
	{"ifb", "ip -batch -", func(line func(string, ...any)) { line("link add ifb9 type ifb") }},
	{"bonding", "ip -batch -", func(line func(string, ...any)) { line("link add bond9 type bond") }},
	{"team", "ip -batch -", func(line func(string, ...any)) { line("link add team9 type team") }},
	{"ip_gre", "ip -batch -", func(line func(string, ...any)) {
		line("link add gre9 type gre local 10.0.0.1 remote 10.0.0.99 key 1")
	}},
	{"sit", "ip -batch -", func(line func(string, ...any)) { line("link add sit9 type sit local 10.0.0.1 remote 10.0.0.98") }},
	{"geneve", "ip -batch -", func(line func(string, ...any)) { line("link add gen9 type geneve id 5 remote 10.0.0.97") }},
	{"xfrm_interface", "ip -batch -", func(line func(string, ...any)) { line("link add xfrm9 type xfrm dev v6 if_id 9") }},
	{"ovpn", "ip -batch -", func(line func(string, ...any)) { line("link add ovpn9 type ovpn") }},
	{"bridge", "ip -batch -", func(line func(string, ...any)) {
		line("link add br0 type bridge vlan_filtering 1")
		for i := range 20 {
			line("link set p%d master br0", i)
		}
	}},
	{"bridge", "sh -e", func(line func(string, ...any)) {
		line("echo 1 >/proc/sys/net/ipv6/conf/br0/disable_ipv6") // it would be in a group, for a time
		line("ip link set br0 up")
	}},
	{"bridge", "bridge -batch -", func(line func(string, ...any)) {
		for i := range 20 {
			for j := range 30 {
				line("fdb add 02:01:00:00:%02x:%02x dev p%d master static", i, j, i)
			}
		}
		for i := range 250 {
			line("mdb add dev br0 port p1 grp 239.1.1.%d permanent", i)
			line("mdb add dev br0 port p2 grp ff0e::%x permanent", i+1)
		}
		for i := range 20 { // later: a group is made in each VLAN that the port has
			for j := range 30 {
				line("vlan add dev p%d vid %d", i, 2*j+2)
			}
		}
	}},
	// Its timers would run.
	{"bridge", "ip -batch -", func(line func(string, ...any)) { line("link set br0 down") }},
	{"vxlan", "ip -batch -", func(line func(string, ...any)) {
		line("link add vx0 type vxlan id 42 local 10.0.0.1 dstport 4789 nolearning")
		line("link add vx1 type vxlan external vnifilter dstport 4790")
	}},
	{"vxlan", "bridge -batch -", func(line func(string, ...any)) {
		for i := range 250 {
			line("fdb add 02:02:00:00:00:%02x dev vx0 dst 10.0.1.%d", i, i+1)
			line("vni add dev vx1 vni %d", 2*i+1)
		}
	}},
	{"", "ip -batch -", func(line func(string, ...any)) {
		for i := range 250 {
			for j := 1; j <= 4; j++ {
				line("route add 172.%d.%d.0/24 via 10.%d.0.77 dev v%d metric %d", 16+j, i, j, j, j)
			}
			for j := 1; j <= 2; j++ {
				line("route add 2001:db8:1000:%x::/64 via 2001:db8:%d::77 dev v%d metric %d", i, j, j, j)
				line("neigh add 10.%d.1.%d lladdr 02:03:00:00:%02x:%02x dev v%d nud permanent", 20+j, i+1, j, i, 20+j)
				line("neigh add 2001:db8:%d::1:%x lladdr 02:03:00:01:%02x:%02x dev v%d nud permanent", 20+j, i+1, j, i, 20+j)
			}
			line("rule add from 192.168.1.%d table %d", i, i+1000)
			line("nexthop add id %d via 10.30.0.%d dev v30", i+1, i%200+9)
		}
		for i := range 100 {
			line("neigh add proxy 10.23.2.%d dev v23", i+1)
			line("neigh add proxy 2001:db8:23::2:%x dev v23", i+1)
			line("addrlabel add prefix 2001:db8:3000:%x::/64 label %d", i, i+100)
			line("ioam namespace add %d data 1 wide 2", i+1)
		}
		line("nexthop add id 1001 group 1/2/3/4/5")
		line("nexthop add id 1002 group 1/2/3 type resilient buckets 512")
		line("ioam schema add 1 schema-one")
		for i := range 8 {
			line("mptcp endpoint add 10.50.0.%d dev v50 subflow", i+1)
		}
	}},
	{"", "ip -6 -batch -", func(line func(string, ...any)) {
		for i := range 250 {
			line("rule add from 2001:db8:2000::%x table %d", i+1, i+1000)
		}
	}},
	{"", "ip -batch -", func(line func(string, ...any)) {
		for i := range 5 {
			line("netns add every%d", i)
			line("netns set every%d %d", i, i+10)
		}
	}},
	{"", "ip sr hmac set 17 sha256", func(line func(string, ...any)) { line("secret") }},
	{"mpls_router", "sh -e", func(line func(string, ...any)) { line("echo 1000 >/proc/sys/net/mpls/platform_labels") }},
	{"mpls_router", "ip -family mpls -batch -", func(line func(string, ...any)) {
		for i := range 500 {
			line("route add %d via inet 10.3.0.77 dev v3", i+100)
		}
	}},
	{"sch_htb", "tc -batch -", func(line func(string, ...any)) {
		line("qdisc add dev v40 root handle 1: htb default 10")
		for i := range 250 {
			line("class add dev v40 parent 1: classid 1:%x htb rate 1mbit", i+1)
			line("filter add dev v40 parent 1: prio %d protocol ip u32 match ip dst 10.9.0.%d flowid 1:1", i+1, i)
		}
		line("qdisc add dev v41 clsact")
		for i := range 250 {
			line("filter add dev v41 ingress chain %d prio 1 protocol ip flower dst_ip 10.8.0.%d action gact drop", i+1, i)
		}
	}},
	{"act_gact", "tc -batch -", func(line func(string, ...any)) {
		for i := range 250 {
			line("action add action gact drop index %d", i+1001)
		}
	}},
	{"act_sample", "tc -batch -", func(line func(string, ...any)) {
		for i := range 100 {
			line("action add action sample rate 10 group %d index %d", i+1, i+1)
		}
	}},
	{"nf_tables", "nft -f -", func(line func(string, ...any)) {
		line("add table inet x")
		for _, hook := range []string{"prerouting", "input", "forward", "output", "postrouting"} {
			line("add chain inet x %s { type filter hook %s priority 0; }", hook, hook)
		}
		for i := range 200 {
			line("add table ip t%d", i)
			line("add chain inet x c%d", i)
			line("add rule inet x c%d ip saddr 10.1.2.%d tcp dport 22 drop comment \"rule %d\"", i, i, i)
		}
		for i := range 100 {
			line("add set inet x s%d { type ipv4_addr; }", i)
			line("add counter inet x k%d", i)
			line("add quota inet x q%d { over %d mbytes; }", i, i+1)
		}
		for i := range 1000 {
			line("add element inet x s1 { 10.77.%d.%d }", i/250, i%250)
		}
	}},
	{"nf_flow_table", "nft -f -", func(line func(string, ...any)) {
		for i := range 5 {
			line("add flowtable inet x f%d { hook ingress priority 0; devices = { v%d, p%d }; }", i, i+50, i+50)
		}
	}},
	{"ip_set_hash_ip", "ipset restore", func(line func(string, ...any)) {
		for i := range 100 {
			line("create s%d hash:ip", i)
		}
		for i := range 2000 {
			line("add s1 10.99.%d.%d", i/250, i%250)
		}
	}},
	{"nf_conntrack_netlink", "conntrack -R -", func(line func(string, ...any)) {
		for i := range 500 {
			line("-I -p udp -s 10.200.%d.%d -d 10.201.0.1 --sport %d --dport 53 -t 100000", i/250, i%250, i+1)
		}
	}},
	{"ah4", "ip -batch -", func(line func(string, ...any)) {
		for i := range 250 {
			line("xfrm state add src 10.0.0.1 dst 10.7.0.%d proto ah spi %d mode tunnel auth hmac(sha256) 0x%064x", i, i+1, i)
			line("xfrm policy add src 10.0.0.0/8 dst 10.7.0.%d/32 dir out tmpl src 10.0.0.1 dst 10.7.0.%d proto ah mode tunnel", i, i)
		}
	}},
	{"wireguard", "ip -batch -", func(line func(string, ...any)) {
		for i := range 3 {
			line("link add wg%d type wireguard", i)
		}
	}},
	{"wireguard", "wg setconf wg0 /dev/stdin", func(line func(string, ...any)) {
		line("[Interface]\nListenPort = 51820")
		for i := range 150 {
			line("[Peer]\nPublicKey = %042dE=", i)
			line("AllowedIPs = 10.150.0.%d/32, 2001:db8:150::%x/128\nEndpoint = 10.4.0.9:%d", i, i, i+1)
		}
	}},
	{"macsec", "ip -batch -", func(line func(string, ...any)) {
		for i := range 30 {
			line("link add link v5 ms%d type macsec port %d encrypt off", i, i+1)
			line("macsec add ms%d rx port %d address 02:09:00:00:00:01", i, i+1)
		}
	}},
	{"l2tp_eth", "ip -batch -", func(line func(string, ...any)) {
		for i := 1; i <= 60; i++ {
			line("l2tp add tunnel tunnel_id %d peer_tunnel_id %d encap udp local 10.6.0.1 remote 10.6.0.9 udp_sport %d udp_dport %d", i, i, 7000+i, 7000+i)
			line("l2tp add session name l2-%d tunnel_id %d session_id %d peer_session_id %d", i, i, i, i)
		}
	}},
	{"fou", "ip -batch -", func(line func(string, ...any)) {
		for i := range 100 {
			line("fou add port %d ipproto 47", 20000+i)
		}
	}},
	{"ila", "ip -batch -", func(line func(string, ...any)) {
		for i := range 100 {
			line("ila add loc_match 2001:db8:0:%x loc 2001:db8:1:%x", i+1, i+1)
		}
	}},
	{"ip_vs", "ipvsadm -R", func(line func(string, ...any)) {
		for i := 1; i <= 60; i++ {
			line("-A -t 10.60.0.%d:80 -s rr", i)
			for j := range 30 {
				line("-a -t 10.60.0.%d:80 -r 10.61.%d.%d:80 -m", i, j, i)
			}
		}
	}},
	{"tipc", "sh -e", func(line func(string, ...any)) {
		line("tipc node set addr 1.1.1")
		line("tipc bearer enable media eth device d1")
		line("ip link set d1 down") // it would look for other nodes
	}},
	{"vcan", "ip -batch -", func(line func(string, ...any)) {
		line("link add can0 type vcan")
		line("link add can1 type vcan")
	}},
	{"batman_adv", "ip -batch -", func(line func(string, ...any)) {
		line("link add bat0 type batadv")
		line("link set d29 master bat0")
	}},
}

// atHome is made in the first namespace, because netlabel knows no other. AppArmor
// has the label from the start.
const atHome = `netlabelctl cipsov4 add pass doi:1 tags:1
netlabelctl calipso add pass doi:1
for i in $(seq 200); do netlabelctl map add domain:every$i protocol:unlbl; done
for i in $(seq 70); do
	netlabelctl unlbl add default address:10.70.$i.0/24 label:unconfined
	netlabelctl unlbl add interface:lo address:10.70.$i.0/24 label:unconfined
done
`

// lines is what an input writes.
func lines(w io.Writer, input func(line func(string, ...any))) {
	input(func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) })
}
