// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"context"
	"net"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// mostLinks bounds how many links are tried for a dump that needs one.
const mostLinks = 256

// complete gives the dumps that need an object in their request the first one that has
// records. If there is none, the request stays as it is, and the kernel refuses it.
func complete(targets []*Target) []*Target {
	p := newProber()
	var links []net.Interface
	read := false
	for i, t := range targets {
		ask := needsLink(t.Family, t.Command)
		var asks []Ask
		switch {
		case t.Note != "":
			continue
		case ask != nil:
			if !read {
				links, _ = net.Interfaces()
				read = true
			}
			for _, l := range links[:min(mostLinks, len(links))] {
				a := ask(u32(uint32(l.Index)))
				a.Note = l.Name
				asks = append(asks, a)
			}
		default:
			asks = needs(t)
		}
		for _, a := range asks {
			head := t.Request.Data
			if t.Generic != nil {
				head = head[:t.Header]
			}
			other := Asks(func(string, string) []Ask { return []Ask{a} }).of(t, head)[0]
			if answer, err := p.probe(other); err == nil && answer.errno == 0 && len(answer.records) > 0 {
				targets[i] = other
				break
			}
		}
	}
	return targets
}

// needsLink returns the request of a dump that needs a link's index; nil if it needs
// none.
func needsLink(family, command string) func(index []byte) Ask {
	attr := func(typ uint16) func([]byte) Ask {
		return func(index []byte) Ask { return Ask{Attrs: Attr(typ, index)} }
	}
	switch family {
	case "rtnetlink":
		switch command {
		case "gettclass", "gettfilter", "getchain":
			return func(index []byte) Ask { return Ask{Header: append(append(zeros(4), index...), zeros(12)...)} } // struct tcmsg
		}
	case "wireguard":
		return attr(1)
	case "ovpn":
		return attr(1)
	case "net-shaper":
		if command == "cap-get" {
			return attr(1)
		}
		return attr(8)
	case "ovs_flow", "ovs_vport":
		return func(index []byte) Ask { return Ask{Header: index} }
	case "nl80211":
		switch command {
		case "get-station", "get-mpath", "get-mpp", "get-scan", "get-survey":
			return attr(3)
		}
	case "batadv":
		if command != "get-routing-algos" {
			return attr(3)
		}
	}
	return nil
}

// needs returns the requests to try for a dump that needs another object.
func needs(t *Target) (asks []Ask) {
	switch {
	case t.Family == "nlctrl" && t.Command == "getpolicy":
		for _, family := range []string{"ethtool", "devlink", "nl80211", "nlctrl"} {
			asks = append(asks, Ask{Note: family, Attrs: Attr(unix.CTRL_ATTR_FAMILY_NAME, text(family))})
		}
	case t.Family == "rtnetlink" && t.Command == "getaction":
		for _, kind := range []string{"gact", "mirred", "police", "sample", "ct", "skbedit"} {
			asks = append(asks, Ask{Note: kind, Attrs: Nest(1, Nest(1, Attr(1, text(kind))))}) // TCA_ACT_TAB, TCA_ACT_KIND
		}
	case t.Family == "nfnetlink nftables" && strings.HasPrefix(t.Command, "getsetelem"):
		return sets()
	}
	return asks
}

// sets returns requests for the elements of the first sets of nftables.
func sets() (asks []Ask) {
	s, err := nldump.Dial(unix.NETLINK_NETFILTER, nldump.Config{})
	if err != nil {
		return nil
	}
	defer s.Close()
	const getSet, most = 10<<8 | 10, 16
	for m, err := range s.Records(context.Background(), nldump.Message{Type: getSet, Data: zeros(nfgenmsg)}) {
		if err != nil || len(asks) == most {
			break
		}
		a := m.Attrs(nfgenmsg)
		var table, name []byte
		for a.Next() {
			switch a.Type() {
			case 1: // NFTA_SET_TABLE
				table = append(table, a.Bytes()...)
			case 2: // NFTA_SET_NAME
				name = append(name, a.Bytes()...)
			}
		}
		asks = append(asks, Ask{
			Note: "set " + strconv.Quote(strings.TrimRight(string(name), "\x00")), Header: []byte{m.Data[0], 0, 0, 0},
			Attrs: append(Attr(1, table), Attr(2, name)...),
		})
	}
	return asks
}
