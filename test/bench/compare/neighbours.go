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

// A neighbour has the fields that every reader decodes.
type neighbour struct {
	addr, device uint32
	lladdr       uint64 // 6 bytes
	state        uint16
	flags        uint8
}

func (n *neighbour) words() words {
	return words{pack(n.addr, n.device), n.lladdr<<16 | uint64(n.state), uint64(n.flags)}
}

var neighbours = &table{
	name:    "neighbours",
	entries: 100_000,

	protocol: unix.NETLINK_ROUTE,
	request:  nldump.Message{Type: unix.RTM_GETNEIGH, Data: ofFamily(unix.SizeofNdMsg)},
	create:   createNeighbours,

	decode:         decodeNeighbour,
	decodeMdlayher: decodeNeighbourMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listNeighboursVishvananda},
		{name: "jsimonetti", read: listNeighboursJsimonetti},
		libmnl("neighbours"),
		rustNetlink("neighbours"),
		{name: "ip", args: []string{"-4", "neigh", "show", "nud", "all"}, parse: parseNeighbour},
	},
}

// header decodes a struct ndmsg.
func (n *neighbour) header(b []byte) {
	n.device, n.state, n.flags = binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint16(b[8:]), b[10]
}

func decodeNeighbour(m nldump.Message) (words, error) {
	var n neighbour
	a := m.Attrs(unix.SizeofNdMsg)
	for a.Next() {
		switch a.Type() {
		case unix.NDA_DST:
			n.addr = a.Uint32BE()
		case unix.NDA_LLADDR:
			n.lladdr = lladdrOf(a.Bytes())
		}
	}
	if err := a.Err(); err != nil {
		return words{}, err
	}
	n.header(m.Data)
	return n.words(), nil
}

func decodeNeighbourMdlayher(m netlink.Message) (words, error) {
	d, err := decoderAfter(m, unix.SizeofNdMsg)
	if err != nil {
		return words{}, err
	}
	var n neighbour
	for d.Next() {
		switch d.Type() {
		case unix.NDA_DST:
			n.addr = decoderUint32BE(d)
		case unix.NDA_LLADDR:
			d.Do(func(b []byte) error {
				n.lladdr = lladdrOf(b)
				return nil
			})
		}
	}
	if err := d.Err(); err != nil {
		return words{}, err
	}
	n.header(m.Data)
	return n.words(), nil
}

func listNeighboursVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.NeighList(0, unix.AF_INET)
	if err != nil {
		return err
	}
	for i := range all {
		v := &all[i]
		n := neighbour{
			addr: uint32Of(v.IP), device: uint32(v.LinkIndex), lladdr: lladdrOf(v.HardwareAddr),
			state: uint16(v.State), flags: uint8(v.Flags),
		}
		sum.add(n.words())
	}
	return nil
}

func listNeighboursJsimonetti(_ context.Context, sum *tally) error {
	c, err := rtnetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Neigh.List()
	if err != nil {
		return err
	}
	for i := range all {
		m := &all[i]
		if m.Family != unix.AF_INET {
			continue // it cannot request one family only
		}
		n := neighbour{
			addr: uint32Of(m.Attributes.Address), device: m.Index, lladdr: lladdrOf(m.Attributes.LLAddress),
			state: m.State, flags: m.Flags,
		}
		sum.add(n.words())
	}
	return nil
}

// parseNeighbour parses a line of "ip neigh show": the address, then words
// followed by a value, then flags, and the state in capitals.
func parseNeighbour(line string, devices map[string]uint32) (words, error) {
	var n neighbour
	p := parser{fields: strings.Fields(line)}
	n.addr = p.addr()
	for p.more() {
		switch word := p.next(); word {
		case "dev":
			n.device = p.device(devices)
		case "lladdr":
			text := p.next()
			mac, err := net.ParseMAC(text)
			if err != nil || len(mac) != 6 {
				p.fail("%q is no link layer address", text)
			}
			n.lladdr = lladdrOf(mac)
		case "router":
			n.flags |= unix.NTF_ROUTER
		case "PERMANENT":
			n.state |= unix.NUD_PERMANENT
		default:
			p.fail("%q is not known", word)
		}
	}
	return n.words(), p.err
}

// createNeighbours creates permanent neighbours. They do not expire, and do not
// count against the kernel's limit (net.ipv4.neigh.default.gc_thresh3). The
// kernel's hash table grows with their number.
func createNeighbours(n int) (sum tally, err error) {
	devices, err := deviceIndices()
	if err != nil {
		return sum, err
	}
	b, err := newBatch(unix.NETLINK_ROUTE)
	if err != nil {
		return sum, err
	}
	defer b.close()
	for i := range uint32(n) {
		e := neighbour{
			addr: 10<<24 + i, device: devices[i%2], lladdr: 0x02<<40 | uint64(i)*7, state: unix.NUD_PERMANENT,
		}
		if i%3 == 0 {
			e.flags = unix.NTF_ROUTER
		}
		sum.add(e.words())
		if err := b.add(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_EXCL, e.encode()); err != nil {
			return sum, fmt.Errorf("neighbour %d: %w", i, err)
		}
	}
	return sum, b.flush()
}

func (n *neighbour) encode() []byte {
	b := ofFamily(unix.SizeofNdMsg)
	binary.NativeEndian.PutUint32(b[4:], n.device)
	binary.NativeEndian.PutUint16(b[8:], n.state)
	b[10] = n.flags
	b = attribute(b, unix.NDA_DST, binary.BigEndian.AppendUint32(nil, n.addr))
	return attribute(b, unix.NDA_LLADDR, binary.BigEndian.AppendUint64(nil, n.lladdr)[2:])
}

// lladdrOf returns a link layer address of 6 bytes as a number. Other lengths
// are 0.
func lladdrOf(b []byte) uint64 {
	if len(b) != 6 {
		return 0
	}
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}
