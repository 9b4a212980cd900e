// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var testDevices = map[string]uint32{"left": 2, "right": 3}

// checkLine parses a line and compares the result with want. If want is zero,
// the parser must return an error.
func checkLine(t *testing.T, parse func(string, map[string]uint32) (words, error), line string, want words) {
	t.Helper()
	got, err := parse(line, testDevices)
	switch {
	case want == words{} && err == nil:
		t.Errorf("%q is understood", line)
	case want != words{} && (err != nil || got != want):
		t.Errorf("%q: %x, not %x (%v)", line, got, want, err)
	}
}

func TestParseRoute(t *testing.T) {
	for line, want := range map[string]route{
		"1 1.0.1.0/24 via 192.0.2.3 dev right table 254 proto 12 scope 0 metric 100 onlink ": {
			dst: 0x01000100, length: 24, gateway: 0xc0000203, oif: 3, table: 254, protocol: 12, priority: 100, kind: unix.RTN_UNICAST,
		},
		"6 1.0.7.0 table 100000 proto 12 scope 0 metric 200 ":          {dst: 0x01000700, length: 32, table: 100000, protocol: 12, priority: 200, kind: unix.RTN_BLACKHOLE},
		"1 1.0.11.0/24 dev left table 254 proto 12 scope 253 linkdown": {dst: 0x01000b00, length: 24, oif: 2, table: 254, protocol: 12, scope: 253, kind: unix.RTN_UNICAST},
		"1 default via 192.0.2.3 dev left table 254":                   {gateway: 0xc0000203, oif: 2, table: 254, kind: unix.RTN_UNICAST},
		"2 192.0.2.1 dev left table 255 proto 2 scope 254":             {dst: 0xc0000201, length: 32, oif: 2, table: 255, protocol: 2, scope: 254, kind: unix.RTN_LOCAL},
	} {
		checkLine(t, parseRoute, line, want.words())
	}
	for _, bad := range []string{
		"",
		"1",
		"unicast 1.0.1.0/24 dev left table 254",
		"256 1.0.1.0/24 dev left table 254",
		"1 1.0.1.0/33 dev left",
		"1 1.0.1.0/ dev left",
		"1 1.0.1/24 dev left",
		"1 2001:db8::/32 dev left",
		"1 1.0.1.0/24 dev nosuch",
		"1 1.0.1.0/24 dev",
		"1 1.0.1.0/24 via",
		"1 1.0.1.0/24 via fe80::1",
		"1 1.0.1.0/24 dev left table main",
		"1 1.0.1.0/24 dev left table 4294967296",
		"1 1.0.1.0/24 dev left nexthop",
		"1 1.0.1.0/24 dev left metric -1",
	} {
		checkLine(t, parseRoute, bad, words{})
	}
}

func TestParseNeighbour(t *testing.T) {
	for line, want := range map[string]neighbour{
		"10.0.0.1 dev right lladdr 02:00:00:00:00:07 PERMANENT ":       {addr: 0x0a000001, device: 3, lladdr: 0x020000000007, state: unix.NUD_PERMANENT},
		"10.0.0.0 dev left lladdr 02:01:00:00:00:00 router PERMANENT ": {addr: 0x0a000000, device: 2, lladdr: 0x020100000000, state: unix.NUD_PERMANENT, flags: unix.NTF_ROUTER},
	} {
		checkLine(t, parseNeighbour, line, want.words())
	}
	for _, bad := range []string{
		"",
		"2001:db8::1 dev left lladdr 02:00:00:00:00:07 PERMANENT",
		"10.0.0.1 dev nosuch lladdr 02:00:00:00:00:07 PERMANENT",
		"10.0.0.1 dev left lladdr 02:00:00:00:00 PERMANENT",
		"10.0.0.1 dev left lladdr 02:00:00:00:00:00:00:01 PERMANENT",
		"10.0.0.1 dev left lladdr",
		"10.0.0.1 dev left proxy",
	} {
		checkLine(t, parseNeighbour, bad, words{})
	}
}

func TestParseLink(t *testing.T) {
	for line, want := range map[string]link{
		`1: lo: <LOOPBACK> mtu 65536 qdisc noop state DOWN mode DEFAULT group default qlen 1000\    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00`: {
			index: 1, mtu: 65536, name: [16]byte{'l', 'o'},
		},
		`7: left@right: <BROADCAST,MULTICAST,M-DOWN> mtu 1500 qdisc noop state DOWN mode DEFAULT group default qlen 1000\    link/ether 02:00:00:00:01:02 brd ff:ff:ff:ff:ff:ff`: {
			index: 7, mtu: 1500, lladdr: 0x020000000102, name: [16]byte{'l', 'e', 'f', 't'},
		},
		`2: sit0@NONE: <NOARP> mtu 1480 qdisc noop state DOWN mode DEFAULT group default qlen 1000\    link/sit 0.0.0.0 brd 0.0.0.0`: {
			index: 2, mtu: 1480, name: [16]byte{'s', 'i', 't', '0'},
		},
	} {
		checkLine(t, parseLink, line, want.words())
	}
	for _, bad := range []string{
		`lo: <LOOPBACK> mtu 65536`,
		`1: lo:`,
		`1: lo: <LOOPBACK> mtu`,
		`1: lo: <LOOPBACK> mtu x`,
		`1: lo: <LOOPBACK> mtu 65536 qdisc noop link/loopback`,
	} {
		checkLine(t, parseLink, bad, words{})
	}
}

func TestParseFlow(t *testing.T) {
	line := `udp      17 29 src=192.0.2.1 dst=192.0.2.2 sport=1 dport=2 [UNREPLIED] src=198.51.100.2 dst=198.51.100.1 sport=3 dport=4 mark=5 use=1`
	want := flow{
		orig:  tuple{src: 0xc0000201, dst: 0xc0000202, srcPort: 1, dstPort: 2, protocol: 17},
		reply: tuple{src: 0xc6336402, dst: 0xc6336401, srcPort: 3, dstPort: 4, protocol: 17}, mark: 5,
	}
	checkLine(t, parseFlow, line, want.words())
	for _, bad := range []string{
		strings.Replace(line, "17", "x", 1),
		strings.Replace(line, "192.0.2.1", "2001:db8::1", 1),
		strings.Replace(line, "dport=4", "", 1),
		strings.Replace(line, "mark=5", "mark=-1", 1),
		strings.Replace(line, "sport=1", "sport=65536", 1),
		line + " src=192.0.2.3",
	} {
		checkLine(t, parseFlow, bad, words{})
	}
}

func TestParsePolicy(t *testing.T) {
	for line, want := range map[string]policy{
		`src 10.0.0.1/32 dst 11.0.0.3/32 \	dir in action block priority 1001 ptype main \	tmpl src 192.0.2.2 dst 198.51.100.2\		proto ah reqid 2 mode tunnel\`: {
			src: 0x0a000001, dst: 0x0b000003, srcLength: 32, dstLength: 32, dir: dirIn, action: actionBlock, priority: 1001,
			from: 0xc0000202, to: 0xc6336402, reqid: 2, protocol: unix.IPPROTO_AH, mode: modeTunnel,
		},
		`src 10.0.0.0/24 dst 11.0.0.0/16 \	dir out priority 7 \	tmpl src 192.0.2.1 dst 198.51.100.1\		proto esp reqid 1 mode tunnel\`: {
			src: 0x0a000000, dst: 0x0b000000, srcLength: 24, dstLength: 16, dir: dirOut, priority: 7,
			from: 0xc0000201, to: 0xc6336401, reqid: 1, protocol: unix.IPPROTO_ESP, mode: modeTunnel,
		},
	} {
		checkLine(t, parsePolicy, line, want.words())
	}
	for _, bad := range []string{
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir up priority 1001`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in action pass priority 1001`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in priority`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in priority 1 ptype sub`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 proto udp dir in priority 1`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in priority 1 tmpl src 192.0.2.1 dst 198.51.100.1 proto comp reqid 1 mode tunnel`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in priority 1 tmpl src 192.0.2.1 dst 198.51.100.1 proto esp reqid 1 mode beet`,
		`src 10.0.0.1/32 dst 11.0.0.3/32 dir in priority 1 tmpl src 192.0.2.1 dst 198.51.100.1 proto esp reqid 1 mode tunnel tmpl`,
		`src 2001:db8::/64 dst 2001:db8:1::/64 dir in priority 1`,
	} {
		checkLine(t, parsePolicy, bad, words{})
	}
}
