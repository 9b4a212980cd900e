// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// How the tables of rtnetlink are changed. But for links and neighbours, nothing here
// needs a link other than lo.

const loopback = 1 // the index of lo, in each network namespace

func family(six bool) byte {
	if six {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// address is an address of the slot's, in networks for documentation and benchmarks.
func address(six bool, s slot) []byte {
	if !six {
		return be32(198<<24 | 18<<16 | uint32(s)<<2)
	}
	b := zeros(16)
	copy(b, []byte{0x20, 0x01, 0x0d, 0xb8})
	binary.BigEndian.PutUint32(b[8:], uint32(s))
	b[15] = 1
	return b
}

func host(six bool) byte { return byte(len(address(six, 0)) * 8) }

// linkKinds are tried in this order. All but the last are one link each.
var linkKinds = []string{"dummy", "ifb", "bridge", "veth"}

// links are dumped in order of their index, which the request may choose (before 6.9
// by a hash of it).
func links(up bool) *table {
	const first = 1000
	index := func(s slot) uint32 { return first + uint32(s) }
	name := func(t *table, s slot) []byte {
		if t.names[s] {
			return Attr(unix.IFLA_IFNAME, text(fmt.Sprint("dumpcheck-", s)))
		}
		return Attr(unix.IFLA_IFNAME, text(fmt.Sprint("dumpcheck", s)))
	}
	header := func(s slot, flags uint32) []byte { // struct ifinfomsg
		return append(append(append(zeros(4), u32(index(s))...), u32(flags)...), u32(flags)...)
	}
	var flags uint32
	if up {
		flags = unix.IFF_UP
	}
	make := func(t *table, s slot, kind string) error {
		return t.send(unix.RTM_NEWLINK, create, header(s, flags), name(t, s), Nest(unix.IFLA_LINKINFO, Attr(unix.IFLA_INFO_KIND, text(kind))))
	}
	l := &table{
		names:  map[slot]bool{},
		add:    func(t *table, s slot) error { return t.anyKind(func(kind string) error { return make(t, s, kind) }) },
		remove: func(t *table, s slot) error { return t.send(unix.RTM_DELLINK, 0, header(s, 0)) },
	}
	if !up { // a qdisc has nothing of the link's
		l.set = func(t *table, s slot) error { // a new name
			t.names[s] = !t.names[s]
			return t.send(unix.RTM_SETLINK, 0, header(s, 0), name(t, s))
		}
	}
	return l
}

// anyKind makes a link of the first kind that the kernel has.
func (t *table) anyKind(make func(kind string) error) error {
	kinds := linkKinds
	if t.kind != "" {
		kinds = []string{t.kind}
	}
	for _, kind := range kinds {
		err := make(kind)
		if err == nil {
			t.kind = kind
		}
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return fmt.Errorf("this kernel has none of the links %v: %w", linkKinds, errors.ErrUnsupported)
}

// addresses are dumped in order of their scope: the widest last for IPv4, first for
// IPv6. The newest comes last of its scope for IPv4, and first for IPv6.
func addresses(six bool) *table {
	message := func(s slot) (header []byte, attrs []byte) {
		scope := byte(0)
		a := address(six, s)
		switch {
		case !six && s == 1:
			scope = 251
		case !six:
			scope = byte(250 - uint32(s)*250/(2*MostObjects+2))
		case s < 2*MostObjects/3:
			a[0], a[1] = 0xfe, 0xc0 // of the site
			a[2], a[3] = 0, 0
		case s > 2*2*MostObjects/3:
			copy(a, []byte{0xfe, 0x80, 0, 0}) // of the link
		}
		header = append([]byte{family(six), host(six), 0, scope}, u32(loopback)...)
		attrs = append(Attr(unix.IFA_LOCAL, a), Attr(unix.IFA_ADDRESS, a)...)
		return header, append(attrs, Attr(unix.IFA_FLAGS, u32(unix.IFA_F_NODAD))...)
	}
	return &table{
		add: func(t *table, s slot) error {
			header, attrs := message(s)
			return t.send(unix.RTM_NEWADDR, create, header, attrs)
		},
		remove: func(t *table, s slot) error {
			header, attrs := message(s)
			return t.send(unix.RTM_DELADDR, 0, header, attrs)
		},
		// Another metric of its route.
		set: func(t *table, s slot) error {
			header, attrs := message(s)
			return t.send(unix.RTM_NEWADDR, replace, header, attrs, Attr(unix.IFA_RT_PRIORITY, u32(1+t.flip)))
		},
	}
}

// routes are dumped in order of their prefix, and then of their metric. A half of the
// objects have a prefix each, and the others, which are in two of the table's quarters,
// share one in its middle.
func routes(six bool) *table {
	message := func(t *table, s slot) (header []byte, attrs []byte) {
		dst, metric := address(six, s), uint32(100)
		if s>>11%2 == 1 {
			dst, metric = address(six, MostObjects), 1000+uint32(s)
		}
		header = []byte{family(six), host(six), 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_BLACKHOLE, 0, 0, 0, 0}
		attrs = append(Attr(unix.RTA_DST, dst), Attr(unix.RTA_PRIORITY, u32(metric))...)
		return header, append(attrs, Attr(unix.RTA_TABLE, u32(unix.RT_TABLE_MAIN))...)
	}
	return &table{
		add: func(t *table, s slot) error {
			header, attrs := message(t, s)
			return t.send(unix.RTM_NEWROUTE, create, header, attrs)
		},
		remove: func(t *table, s slot) error {
			header, attrs := message(t, s)
			return t.send(unix.RTM_DELROUTE, 0, header, attrs)
		},
		// Another MTU.
		set: func(t *table, s slot) error {
			header, attrs := message(t, s)
			return t.send(unix.RTM_NEWROUTE, replace, header, attrs, Nest(unix.RTA_METRICS, Attr(unix.RTAX_MTU, u32(1300+t.flip%1000))))
		},
	}
}

// rules are dumped in order of their preference. Nothing of a rule can be changed.
func rules(six bool) *table {
	send := func(t *table, typ uint16, flags int, s slot) error {
		header := []byte{family(six), 0, host(six), 0, 0, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0} // struct fib_rule_hdr
		return t.send(typ, flags, header, Attr(unix.FRA_SRC, address(six, s)), Attr(unix.FRA_PRIORITY, u32(100+uint32(s))), Attr(unix.FRA_TABLE, u32(1000)))
	}
	return &table{
		add:    func(t *table, s slot) error { return send(t, unix.RTM_NEWRULE, create, s) },
		remove: func(t *table, s slot) error { return send(t, unix.RTM_DELRULE, 0, s) },
	}
}

// neighbours are dumped in order of a hash. With IPv4, lo has one only, so there is a
// link for them.
func neighbours(six bool) *table {
	const link = 999
	header := func() []byte { // struct ndmsg
		return append(append([]byte{family(six), 0, 0, 0}, u32(link)...), unix.NUD_PERMANENT, 0, 0, 0)
	}
	prepare := func(t *table) error {
		header := append(append(zeros(4), u32(link)...), zeros(8)...) // struct ifinfomsg: down, so that it has no others
		err := t.anyKind(func(kind string) error {
			return t.send(unix.RTM_NEWLINK, create, header, Attr(unix.IFLA_IFNAME, text("dumpcheck")), Nest(unix.IFLA_LINKINFO, Attr(unix.IFLA_INFO_KIND, text(kind))))
		})
		if errors.Is(err, unix.EEXIST) {
			return nil // of another changer
		}
		return err
	}
	send := func(t *table, flags int, s slot, mac byte) error {
		return t.send(unix.RTM_NEWNEIGH, flags, header(), Attr(unix.NDA_DST, address(six, s)), Attr(unix.NDA_LLADDR, []byte{2, 0, 0, 0, 0, mac}))
	}
	return &table{
		prepare: prepare,
		add:     func(t *table, s slot) error { return send(t, create, s, 1) },
		remove: func(t *table, s slot) error {
			return t.send(unix.RTM_DELNEIGH, 0, header(), Attr(unix.NDA_DST, address(six, s)))
		},
		// Another address of its link.
		set: func(t *table, s slot) error { return send(t, replace, s, byte(2+t.flip%250)) },
	}
}

// nexthops are dumped in order of their id.
func nexthops() *table {
	send := func(t *table, typ uint16, flags int, s slot, protocol byte, attrs ...byte) error {
		header := []byte{unix.AF_INET, 0, protocol, 0, 0, 0, 0, 0} // struct nhmsg
		return t.send(typ, flags, header, Attr(unix.NHA_ID, u32(100+uint32(s))), attrs)
	}
	blackhole := Attr(unix.NHA_BLACKHOLE)
	return &table{
		add: func(t *table, s slot) error {
			return send(t, unix.RTM_NEWNEXTHOP, create, s, unix.RTPROT_STATIC, blackhole...)
		},
		remove: func(t *table, s slot) error {
			return t.send(unix.RTM_DELNEXTHOP, 0, zeros(8), Attr(unix.NHA_ID, u32(100+uint32(s))))
		},
		// Another protocol that has made it.
		set: func(t *table, s slot) error {
			return send(t, unix.RTM_NEWNEXTHOP, replace, s, byte(200+t.flip%50), blackhole...)
		},
	}
}

// labels are dumped in order of the length of their prefix, the newest first. They are
// not set: the kernel finds a label only if it is the newest of its length, and adds it
// once more otherwise (addrlabel.c:__ip6addrlbl_add).
func labels() *table {
	send := func(t *table, typ uint16, flags int, s slot, label uint32) error {
		header := []byte{unix.AF_INET6, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0}                // struct ifaddrlblmsg
		return t.send(typ, flags, header, Attr(1, address(true, s)), Attr(2, u32(label))) // IFAL_ADDRESS, _LABEL
	}
	return &table{
		add:    func(t *table, s slot) error { return send(t, unix.RTM_NEWADDRLABEL, create, s, 1000) },
		remove: func(t *table, s slot) error { return send(t, unix.RTM_DELADDRLABEL, 0, s, 0) },
	}
}
