// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A link has the fields that every reader decodes. Its record has some forty
// attributes.
type link struct {
	index, mtu uint32
	lladdr     uint64 // 6 bytes; 0 if it is of another size
	name       [unix.IFNAMSIZ]byte
}

func (l *link) words() words {
	return words{pack(l.index, l.mtu), l.lladdr, binary.BigEndian.Uint64(l.name[:]), binary.BigEndian.Uint64(l.name[8:])}
}

var links = &table{
	name:    "links",
	entries: 10_000,

	protocol: unix.NETLINK_ROUTE,
	request:  nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)},
	present:  presentLinks,
	create:   createLinks,
	pairs:    true,

	decode:         decodeLink,
	decodeMdlayher: decodeLinkMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listLinksVishvananda},
		{name: "jsimonetti", read: listLinksJsimonetti},
		libmnl("links"),
		rustNetlink("links"),
		{name: "ip", args: []string{"-o", "link", "show"}, parse: parseLink},
	},
}

func decodeLink(m nldump.Message) (words, error) {
	var l link
	a := m.Attrs(unix.SizeofIfInfomsg)
	for a.Next() {
		switch a.Type() {
		case unix.IFLA_IFNAME:
			copy(l.name[:], a.Text())
		case unix.IFLA_MTU:
			l.mtu = a.Uint32()
		case unix.IFLA_ADDRESS:
			l.lladdr = lladdrOf(a.Bytes())
		}
	}
	if err := a.Err(); err != nil {
		return words{}, err
	}
	l.index = binary.NativeEndian.Uint32(m.Data[4:])
	return l.words(), nil
}

func decodeLinkMdlayher(m netlink.Message) (words, error) {
	d, err := decoderAfter(m, unix.SizeofIfInfomsg)
	if err != nil {
		return words{}, err
	}
	l := link{index: binary.NativeEndian.Uint32(m.Data[4:])}
	for d.Next() {
		switch d.Type() {
		case unix.IFLA_IFNAME:
			copy(l.name[:], d.String())
		case unix.IFLA_MTU:
			l.mtu = d.Uint32()
		case unix.IFLA_ADDRESS:
			d.Do(func(b []byte) error {
				l.lladdr = lladdrOf(b)
				return nil
			})
		}
	}
	return l.words(), d.Err()
}

func listLinksVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.LinkList()
	if err != nil {
		return err
	}
	for _, v := range all {
		a := v.Attrs()
		l := link{index: uint32(a.Index), mtu: uint32(a.MTU), lladdr: lladdrOf(a.HardwareAddr)}
		copy(l.name[:], a.Name)
		sum.add(l.words())
	}
	return nil
}

func listLinksJsimonetti(_ context.Context, sum *tally) error {
	c, err := rtnetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Link.List()
	if err != nil {
		return err
	}
	for i := range all {
		l := link{index: all[i].Index}
		if a := all[i].Attributes; a != nil {
			l.mtu, l.lladdr = a.MTU, lladdrOf(a.Address)
			copy(l.name[:], a.Name)
		}
		sum.add(l.words())
	}
	return nil
}

// parseLink parses a line of "ip -o link show": index, name and flags, then words,
// most of which are followed by a value.
func parseLink(line string, _ map[string]uint32) (words, error) {
	var l link
	p := parser{fields: strings.Fields(strings.ReplaceAll(line, `\`, ""))}
	if _, err := fmt.Sscanf(p.next(), "%d:", &l.index); err != nil {
		p.fail("no index: %v", err)
	}
	name, _, _ := strings.Cut(strings.TrimSuffix(p.next(), ":"), "@")
	copy(l.name[:], name)
	p.next()
	for p.more() {
		switch word := p.next(); {
		case word == "mtu":
			l.mtu = uint32(p.number(32))
		case strings.HasPrefix(word, "link/"):
			if mac, err := net.ParseMAC(p.next()); err == nil {
				l.lladdr = lladdrOf(mac)
			}
		}
	}
	return l.words(), p.err
}

// presentLinks returns the links that the namespace has.
func presentLinks() (sum tally, err error) {
	all, err := net.Interfaces()
	for _, i := range all {
		l := link{index: uint32(i.Index), mtu: uint32(i.MTU), lladdr: lladdrOf(i.HardwareAddr)}
		copy(l.name[:], i.Name)
		sum.add(l.words())
	}
	return sum, err
}

// createLinks creates pairs of veth devices, until there are at least n links with
// those that are there.
func createLinks(n int) (sum tally, err error) {
	if sum, err = presentLinks(); err != nil {
		return sum, err
	}
	b, err := newBatch(unix.NETLINK_ROUTE)
	if err != nil {
		return sum, err
	}
	defer b.close()
	for i := uint32(1000); sum.Records < uint64(n); i += 2 { // no link that is there has such an index
		ends := [2]link{linkNumber(i), linkNumber(i + 1)}
		for _, l := range ends {
			sum.add(l.words())
		}
		peer := attribute(nil, vethInfoPeer, ends[1].encode())
		info := attribute(nil, unix.IFLA_INFO_KIND, []byte("veth"))
		info = attribute(info, unix.IFLA_INFO_DATA, peer)
		data := attribute(ends[0].encode(), unix.IFLA_LINKINFO, info)
		if err := b.add(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, data); err != nil {
			return sum, fmt.Errorf("link %d: %w", i, err)
		}
	}
	return sum, b.flush()
}

const vethInfoPeer = 1 // VETH_INFO_PEER

func linkNumber(i uint32) link {
	l := link{index: i, mtu: 1400 + i%100, lladdr: 0x02<<40 | uint64(i)*7}
	copy(l.name[:], fmt.Sprint("port", i))
	return l
}

func (l *link) encode() []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], l.index)
	b = attribute(b, unix.IFLA_IFNAME, l.name[:])
	b = attribute(b, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, l.mtu))
	return attribute(b, unix.IFLA_ADDRESS, binary.BigEndian.AppendUint64(nil, l.lladdr)[2:])
}
