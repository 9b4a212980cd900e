// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/target"
)

// makeByMessages makes objects for which Debian has no program, or only a large
// one.
func makeByMessages(t *testing.T, w *world) {
	t.Helper()
	nf := func(message uint16, n int, attrs func(i int) []byte) {
		send(t, unix.NETLINK_NETFILTER, message, n, func(i int) []byte { return append(make([]byte, 4), attrs(i)...) })
	}
	if hasModule("nfnetlink_acct") {
		nf(7<<8, 100, func(i int) []byte { return target.Attr(1, name("acct", i)) }) // NFACCT_NAME
	}
	if hasModule("nfnetlink_cttimeout") { // CTA_TIMEOUT_NAME, _L3PROTO, _L4PROTO, _DATA
		nf(8<<8, 100, func(i int) []byte {
			return slices.Concat(target.Attr(1, name("timeout", i)), target.Attr(2, []byte{0, unix.AF_INET}),
				target.Attr(3, u8(unix.IPPROTO_UDP)), target.Nest(4, target.Attr(1, []byte{0, 0, 0, 9})))
		})
	}
	if hasModule("nfnetlink_cthelper") {
		nf(9<<8, 50, func(i int) []byte { // NFCTH_NAME, _TUPLE, _QUEUE_NUM, _POLICY, _PRIV_DATA_LEN
			be32 := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
			return slices.Concat(target.Attr(1, name("helper", i)),
				target.Nest(2, target.Attr(1, []byte{0, unix.AF_INET}), target.Attr(2, u8(unix.IPPROTO_UDP))),
				target.Attr(3, be32(i)),
				target.Nest(4, target.Attr(1, be32(1)), target.Nest(2, target.Attr(1, name("policy", i)), target.Attr(2, be32(4)), target.Attr(3, be32(256)))),
				target.Attr(5, be32(8)))
		})
	}
	gen := func(family string, command byte, n int, header []byte, attrs func(i int) []byte) {
		if g := w.families[family]; g != nil {
			send(t, unix.NETLINK_GENERIC, g.ID, n, func(i int) []byte {
				return append(append([]byte{command, byte(g.Version), 0, 0}, header...), attrs(i)...)
			})
		}
	}
	gen("ovs_datapath", 1, 1, make([]byte, 4), func(int) []byte { return append(target.Attr(1, text("ovs9")), target.Attr(2, u32(0))...) })
	if w.families["ovs_datapath"] != nil {
		w.index["ovs9"] = indexOf(t, "ovs9")
		dp := u32(w.index["ovs9"])
		gen("ovs_vport", 1, 30, dp, func(i int) []byte { // OVS_VPORT_ATTR_TYPE, _NAME, _UPCALL_PID
			return append(append(target.Attr(2, u32(2)), target.Attr(3, name("port", i))...), target.Attr(5, u32(0))...)
		})
		gen("ovs_flow", 1, 100, dp, func(i int) []byte { // OVS_FLOW_ATTR_KEY, _ACTIONS
			key := target.Nest(1, target.Attr(3, u32(0)), target.Attr(4, []byte{2, 1, 0, 0, 0, byte(i), 2, 2, 0, 0, 0, 1}), target.Attr(6, []byte{0x88, 0xcc}))
			return append(key, target.Nest(2)...)
		})
	}
	if w.families["MAC80211_HWSIM"] != nil {
		// The module made two, in the first namespace.
		thread := fmt.Sprint(unix.Gettid())
		elsewhere(func() {
			run(t, strings.NewReader("for p in $(iw phy | sed -n 's/^Wiphy //p'); do iw phy $p set netns "+thread+"; done"), "sh", "-e")
		})
		run(t, nil, "ip", "link", "set", "wlan0", "up")
		w.index["wlan0"] = indexOf(t, "wlan0")
	}
	if w.families["bulkdump"] != nil {
		run(t, nil, "bulkdump", "fill", "5000")
	}
}

func name(s string, i int) []byte {
	return text(s + "-" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
}

// send sends n requests of one kind, all of which must succeed.
func send(t *testing.T, protocol int, typ uint16, n int, data func(i int) []byte) {
	t.Helper()
	c, err := netlink.Dial(protocol, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range n {
		m := netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | netlink.Acknowledge | netlink.Create}, Data: data(i)}
		if _, err := c.Execute(m); err != nil {
			t.Errorf("message %#x, the %d-th: %v", typ, i+1, err)
			return
		}
	}
}
