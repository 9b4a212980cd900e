// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"bytes"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A world is the namespace with the objects in it.
type world struct {
	index    map[string]uint32 // of its links
	families map[string]*generic
	asked    map[string][]ask
}

// makeWorld makes the objects. It is an error if the kernel refuses one,
// because an empty dump proves nothing.
func makeWorld(t *testing.T) *world {
	t.Helper()
	for _, o := range objects {
		if begin := time.Now(); hasModule(o.module) {
			var in bytes.Buffer
			lines(&in, o.input)
			run(t, &in, strings.Fields(o.program)...)
			t.Logf("%s, %s: %.1f s", o.program, o.module, time.Since(begin).Seconds())
		}
	}
	elsewhere(func() { run(t, strings.NewReader(atHome), "sh", "-e") })
	makeSockets(t)
	w := &world{index: map[string]uint32{}}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		w.index[l.Name] = uint32(l.Index)
	}
	w.families = families(t)
	makeByMessages(t, w)
	w.asked = w.requests()
	return w
}

// hasModule reports whether a module is loaded or not needed.
func hasModule(name string) bool {
	if name == "" {
		return true
	}
	_, err := os.Stat("/sys/module/" + name)
	return err == nil
}

// An ask is what a dump needs in its request: attributes, and the header before
// them unless it is all zero. Several asks make several rows.
type ask struct {
	note          string
	header, attrs []byte
}

// asks returns the requests of a row: the plain one, unless requests has
// others.
func (w *world) asks(family, command string) []ask {
	if asked := w.asked[family+" "+command]; asked != nil {
		return asked
	}
	if family == "ethtool" {
		return []ask{{attrs: nest(1)}} // an empty header, required by older kernels
	}
	return []ask{{}}
}

// requests returns the cases for which a plain request is not enough, because
// the kernel would refuse it or answer with nothing.
func (w *world) requests() map[string][]ask {
	link := func(name string) []byte { return u32(w.index[name]) }
	tc := func(device string, parent uint32) []byte { // struct tcmsg
		return append(append(make([]byte, 4), link(device)...), append(make([]byte, 4), append(u32(parent), 0, 0, 0, 0)...)...)
	}
	action := func(kind string) ask {
		return ask{note: kind, attrs: nest(1, nest(1, attr(1, text(kind))))} // TCA_ACT_TAB, TCA_ACT_KIND
	}
	set := ask{note: "set s1", header: []byte{nfprotoInet, 0, 0, 0}, attrs: append(attr(1, text("x")), attr(2, text("s1"))...)}
	ipset := []ask{{header: []byte{unix.AF_INET, 0, 0, 0}, attrs: attr(1, u8(6))}} // IPSET_ATTR_PROTOCOL
	wlan := func(attrs ...[]byte) []ask {
		return []ask{{note: "wlan0", attrs: append(attr(3, link("wlan0")), slices.Concat(attrs...)...)}}
	}
	bat := []ask{{note: "bat0", attrs: attr(3, link("bat0"))}}
	m := map[string][]ask{
		"rtnetlink getlink": {{}, {note: "with IFLA_EXT_MASK", attrs: attr(29, u32(1|4|8))}},
		"rtnetlink bridge getlink": {{}, {note: "with VLANs", header: append([]byte{unix.AF_BRIDGE}, make([]byte, 15)...),
			attrs: attr(29, u32(2))}},
		"rtnetlink getneigh":                  {{}, {note: "proxy", header: append(make([]byte, 10), 8, 0)}},
		"rtnetlink gettclass":                 {{note: "v40", header: tc("v40", 0)}},
		"rtnetlink gettfilter":                {{note: "v40", header: tc("v40", 1<<16)}, {note: "v41 ingress", header: tc("v41", 0xfffffff2)}},
		"rtnetlink getchain":                  {{note: "v41 ingress", header: tc("v41", 0xfffffff2)}},
		"rtnetlink getaction":                 {action("gact"), action("sample")},
		"rtnetlink getstats":                  {{note: "all", header: append(make([]byte, 8), u32(0x1f)...)}},
		"rtnetlink bridge getvlan":            {{}, {note: "with statistics", header: append([]byte{unix.AF_BRIDGE}, make([]byte, 7)...), attrs: attr(1, u32(1))}},
		"nfnetlink nftables getsetelem":       {set},
		"nfnetlink nftables getsetelem-reset": {set},
		"nfnetlink hook get":                  {{note: "ipv4 input", header: []byte{2, 0, 0, 0}, attrs: attr(1, []byte{0, 0, 0, 1})}},
		"nfnetlink ipset list":                ipset,
		"nfnetlink ipset save":                ipset,
		"wireguard get-device":                {{note: "wg0", attrs: attr(2, text("wg0"))}},
		"ethtool stats-get":                   {{note: "all groups", attrs: append(nest(2), nest(3, attr(2, u32(4)), attr(4, u32(15)), attr(5, u32(15)))...)}},
		"ethtool module-eeprom-get":           {{attrs: slices.Concat(nest(1), attr(2, u32(0)), attr(3, u32(1)), attr(4, u8(0)), attr(6, u8(0x50)))}},
		"ethtool strset-get":                  {{attrs: nest(1)}},
		"net-shaper get":                      {{note: "v0", attrs: attr(8, link("v0"))}},
		"net-shaper cap-get":                  {{note: "v0", attrs: attr(1, link("v0"))}},
		"ovpn peer-get":                       {{note: "ovpn9", attrs: attr(1, link("ovpn9"))}},
		"ovs_flow get":                        {{note: "ovs9", header: link("ovs9")}},
		"ovs_vport get":                       {{note: "ovs9", header: link("ovs9")}},
		"IPVS get-dest": {{note: "10.60.0.1", attrs: nest(1, attr(1, u16(unix.AF_INET)), attr(2, u16(unix.IPPROTO_TCP)),
			attr(3, append([]byte{10, 60, 0, 1}, make([]byte, 12)...)), attr(4, []byte{0, 80}))}},
		"nl80211 get-station": wlan(),
		"nl80211 get-mpath":   wlan(),
		"nl80211 get-mpp":     wlan(),
		"nl80211 get-scan":    wlan(),
		"nl80211 get-survey":  wlan(),
	}
	for _, command := range []string{"get-hardif", "get-transtable-local", "get-transtable-global", "get-originators", "get-neighbors",
		"get-gateways", "get-bla-claim", "get-bla-backbone", "get-dat-cache", "get-mcast-flags"} {
		m["batadv "+command] = bat
	}
	for _, family := range []string{"ethtool", "devlink", "nl80211"} {
		if w.families[family] != nil {
			m["nlctrl getpolicy"] = append(m["nlctrl getpolicy"], ask{note: family, attrs: attr(unix.CTRL_ATTR_FAMILY_NAME, text(family))})
		}
	}
	return m
}

const nfprotoInet = 1

func indexOf(t *testing.T, name string) uint32 {
	t.Helper()
	l, err := net.InterfaceByName(name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	return uint32(l.Index)
}
