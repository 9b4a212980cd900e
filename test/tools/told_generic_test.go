// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

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
	// numbers and ports are free when no dump shows them any more.
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
	// All network namespaces share the names of radios.
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

// genericDo sends a request that is not a dump.
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

// hwsim creates a radio, whose number is the answer, or removes it.
func hwsim(t *testing.T, command uint8, name string) {
	t.Helper()
	const radioName = 17
	err := genericDo(t, "MAC80211_HWSIM", command, attrText(radioName, name))
	// The library takes the number for an error and negates it.
	if errno := unix.Errno(0); err != nil && !(errors.As(err, &errno) && int(errno) < 0) {
		t.Fatal(err)
	}
}

// setRTS changes the threshold of a radio. The radios have wlan0, wlan1 … in
// order.
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
