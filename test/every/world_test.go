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

	"bulkdump/cmd/dumpcheck/target"
)

// A world is the namespace with the objects in it.
type world struct {
	index     map[string]uint32 // of its links
	families  map[string]*target.Generic
	asked     map[string][]target.Ask
	protocols map[int]bool
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

// asks returns the requests of a row, if they name an object; nil means the plain one.
func (w *world) asks(family, command string) []target.Ask { return w.asked[family+" "+command] }

// requests returns the cases that need an object in the request, because the kernel
// would refuse it without or answer with nothing.
func (w *world) requests() map[string][]target.Ask {
	link := func(name string) []byte { return u32(w.index[name]) }
	tc := func(device string, parent uint32) []byte { // struct tcmsg
		return append(append(make([]byte, 4), link(device)...), append(make([]byte, 4), append(u32(parent), 0, 0, 0, 0)...)...)
	}
	action := func(kind string) target.Ask {
		return target.Ask{Note: kind, Attrs: target.Nest(1, target.Nest(1, target.Attr(1, text(kind))))} // TCA_ACT_TAB, TCA_ACT_KIND
	}
	set := target.Ask{Note: "set s1", Header: []byte{nfprotoInet, 0, 0, 0}, Attrs: append(target.Attr(1, text("x")), target.Attr(2, text("s1"))...)}
	wlan := func(attrs ...[]byte) []target.Ask {
		return []target.Ask{{Note: "wlan0", Attrs: append(target.Attr(3, link("wlan0")), slices.Concat(attrs...)...)}}
	}
	bat := []target.Ask{{Note: "bat0", Attrs: target.Attr(3, link("bat0"))}}
	m := map[string][]target.Ask{
		"rtnetlink gettclass":                 {{Note: "v40", Header: tc("v40", 0)}},
		"rtnetlink gettfilter":                {{Note: "v40", Header: tc("v40", 1<<16)}, {Note: "v41 ingress", Header: tc("v41", 0xfffffff2)}},
		"rtnetlink getchain":                  {{Note: "v41 ingress", Header: tc("v41", 0xfffffff2)}},
		"rtnetlink getaction":                 {action("gact"), action("sample")},
		"nfnetlink nftables getsetelem":       {set},
		"nfnetlink nftables getsetelem-reset": {set},
		"wireguard get-device":                {{Note: "wg0", Attrs: target.Attr(2, text("wg0"))}},
		"net-shaper get":                      {{Note: "v0", Attrs: target.Attr(8, link("v0"))}},
		"net-shaper cap-get":                  {{Note: "v0", Attrs: target.Attr(1, link("v0"))}},
		"ovpn peer-get":                       {{Note: "ovpn9", Attrs: target.Attr(1, link("ovpn9"))}},
		"ovs_flow get":                        {{Note: "ovs9", Header: link("ovs9")}},
		"ovs_vport get":                       {{Note: "ovs9", Header: link("ovs9")}},
		"IPVS get-dest": {{Note: "10.60.0.1", Attrs: target.Nest(1, target.Attr(1, u16(unix.AF_INET)), target.Attr(2, u16(unix.IPPROTO_TCP)),
			target.Attr(3, append([]byte{10, 60, 0, 1}, make([]byte, 12)...)), target.Attr(4, []byte{0, 80}))}},
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
			m["nlctrl getpolicy"] = append(m["nlctrl getpolicy"], target.Ask{Note: family, Attrs: target.Attr(unix.CTRL_ATTR_FAMILY_NAME, text(family))})
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
