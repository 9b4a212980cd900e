// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// RTM_GET*: the name, the size of the header, and how programs call the objects.
var routeTypes = map[uint16]struct {
	name   string
	header int
	words  []string
}{
	unix.RTM_GETLINK:      {"getlink", unix.SizeofIfInfomsg, []string{"links", "device"}},
	unix.RTM_GETADDR:      {"getaddr", unix.SizeofIfAddrmsg, []string{"addresses"}},
	unix.RTM_GETROUTE:     {"getroute", unix.SizeofRtMsg, []string{"routes"}},
	unix.RTM_GETNEIGH:     {"getneigh", unix.SizeofNdMsg, []string{"neighbours", "neighbors", "fdb"}},
	unix.RTM_GETRULE:      {"getrule", 12, []string{"rules"}},
	unix.RTM_GETQDISC:     {"getqdisc", 20, []string{"qdiscs"}},
	unix.RTM_GETTCLASS:    {"gettclass", 20, []string{"classes"}},
	unix.RTM_GETTFILTER:   {"gettfilter", 20, []string{"filters"}},
	unix.RTM_GETACTION:    {"getaction", 4, []string{"actions"}},
	unix.RTM_GETMULTICAST: {"getmulticast", unix.SizeofIfAddrmsg, []string{"maddresses"}},
	unix.RTM_GETANYCAST:   {"getanycast", unix.SizeofIfAddrmsg, nil},
	unix.RTM_GETNEIGHTBL:  {"getneightbl", 4, []string{"ntables"}},
	unix.RTM_GETADDRLABEL: {"getaddrlabel", 12, []string{"addrlabels"}},
	unix.RTM_GETDCB:       {"getdcb", 4, nil},
	unix.RTM_GETNETCONF:   {"getnetconf", 4, []string{"netconfs"}},
	unix.RTM_GETMDB:       {"getmdb", 8, nil},
	unix.RTM_GETNSID:      {"getnsid", 4, []string{"netns"}},
	unix.RTM_GETSTATS:     {"getstats", 12, nil},
	102:                   {"getchain", 20, []string{"chains"}},
	unix.RTM_GETNEXTHOP:   {"getnexthop", 8, []string{"nexthops"}},
	unix.RTM_GETLINKPROP:  {"getlinkprop", unix.SizeofIfInfomsg, nil},
	unix.RTM_GETVLAN:      {"getvlan", 8, []string{"vlans"}},
	118:                   {"getnexthopbucket", 8, []string{"nexthopbuckets", "buckets"}},
	122:                   {"gettunnel", 8, []string{"tunnels", "vnis"}},
}

// RouteNames returns the names of the dumps of rtnetlink that are known.
func RouteNames() (names []string) {
	for _, typ := range slices.Sorted(maps.Keys(routeTypes)) {
		names = append(names, routeTypes[typ].name)
	}
	return names
}

// The families that have their own dumps in rtnetlink, even without a record.
var routeFamilies = map[byte]string{
	unix.AF_UNSPEC: "", unix.AF_INET: "inet", unix.AF_BRIDGE: "bridge", unix.AF_INET6: "inet6", unix.AF_MPLS: "mpls",
	unix.AF_CAN: "can", unix.AF_PHONET: "phonet", 45: "mctp", 128: "ipmr", 129: "ip6mr",
}

const firstGet, lastGet = unix.RTM_GETLINK, 0x3fe

// routeTarget returns the dump of a message type for a family.
func routeTarget(typ uint16, family byte) *Target {
	known := routeTypes[typ]
	t := &Target{Family: "rtnetlink", Command: known.name, Protocol: unix.NETLINK_ROUTE, Header: known.header, words: known.words}
	size := known.header
	if t.Command == "" {
		t.Command, t.Header, size = fmt.Sprint("type ", typ), -1, 16
	}
	if name, ok := routeFamilies[family]; !ok {
		t.Family += fmt.Sprint(" family ", family)
	} else if name != "" {
		t.Family += " " + name
	}
	t.Request = nldump.Message{Type: typ, Data: zeros(size)}
	t.Request.Data[0] = family
	t.Moving = movingOf(t.Family, t.Command)
	return t
}

// Rtnetlink finds the dumps of rtnetlink: it tries each message type that is wanted
// with each family. If a family has no dump of its own, the kernel uses the one of
// AF_UNSPEC. Such an answer makes no target, and neither does a family without any
// record.
func Rtnetlink(asks Asks, want func(*Target) bool) (targets []*Target, err error) {
	p := newProber()
	// After the socket families come rtnetlink's own, from 128 on.
	var families []byte
	for family := range byte(64) {
		families = append(families, family)
	}
	for family := byte(128); family < 136; family++ {
		families = append(families, family)
	}
	for typ := uint16(firstGet); typ <= lastGet; typ += 4 {
		general := routeTarget(typ, unix.AF_UNSPEC)
		if want != nil && !want(general) {
			continue
		}
		first := asks.of(general, general.Request.Data)[0].Request.Data
		// The first request, with another family.
		ask := func(family byte) (answer, error) {
			t := routeTarget(typ, family)
			t.Request.Data = slices.Clone(first)
			t.Request.Data[0] = family
			return p.probe(t)
		}
		for _, family := range families {
			a, err := ask(family)
			if err != nil {
				return nil, err
			}
			if a.errno == unix.EOPNOTSUPP || a.errno == unix.EAFNOSUPPORT || family != unix.AF_UNSPEC && a.is(answer{}) {
				continue
			}
			if family != unix.AF_UNSPEC {
				// Compare twice, because the table may change in between.
				one, err := ask(unix.AF_UNSPEC)
				if err != nil {
					return nil, err
				}
				again, err := ask(family)
				if err != nil {
					return nil, err
				}
				two, err := ask(unix.AF_UNSPEC)
				if err != nil {
					return nil, err
				}
				if a.is(one) || again.is(two) {
					continue
				}
			}
			t := routeTarget(typ, family)
			targets = append(targets, asks.of(t, t.Request.Data)...)
		}
	}
	return targets, nil
}
