// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
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

	// Commands of generic families, each from its own header file.
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

// header returns a header of that size, which starts with the given bytes.
func header(size int, first ...byte) []byte { return append(first, make([]byte, size-len(first))...) }

func headerWith(size int, first byte, offset int, number uint32) []byte {
	h := header(size, first)
	binary.NativeEndian.PutUint32(h[offset:], number)
	return h
}

// nested returns an attribute that contains attributes.
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
