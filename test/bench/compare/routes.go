// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A route has the fields that every reader decodes.
type route struct {
	dst, gateway, oif       uint32
	table, priority         uint32
	length, protocol, scope uint8
	kind                    uint8 // RTN_UNICAST, …
}

func (r *route) words() words {
	return words{pack(r.dst, r.gateway), pack(r.table, r.priority), pack(r.oif, pack8(r.length, r.protocol, r.scope, r.kind))}
}

var routes = &table{
	name:    "routes",
	entries: 1_000_000,

	protocol:  unix.NETLINK_ROUTE,
	request:   nldump.Message{Type: unix.RTM_GETROUTE, Data: ofFamily(unix.SizeofRtMsg)},
	create:    createRoutes,
	devicesUp: true,

	decode:         decodeRoute,
	decodeMdlayher: decodeRouteMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listRoutesVishvananda},
		{name: "vishvananda iter", read: iterRoutesVishvananda},
		{name: "jsimonetti", read: listRoutesJsimonetti},
		libmnl("routes"),
		rustNetlink("routes"),
		{name: "ip", args: []string{"-4", "-N", "-d", "route", "show", "table", "all"}, parse: parseRoute},
	},
}

func decodeRoute(m nldump.Message) (words, error) {
	var r route
	a := m.Attrs(unix.SizeofRtMsg)
	for a.Next() {
		switch a.Type() {
		case unix.RTA_DST:
			r.dst = a.Uint32BE()
		case unix.RTA_GATEWAY:
			r.gateway = a.Uint32BE()
		case unix.RTA_OIF:
			r.oif = a.Uint32()
		case unix.RTA_TABLE:
			r.table = a.Uint32()
		case unix.RTA_PRIORITY:
			r.priority = a.Uint32()
		}
	}
	if err := a.Err(); err != nil {
		return words{}, err
	}
	r.length, r.protocol, r.scope, r.kind = m.Data[1], m.Data[5], m.Data[6], m.Data[7]
	return r.words(), nil
}

func decodeRouteMdlayher(m netlink.Message) (words, error) {
	d, err := decoderAfter(m, unix.SizeofRtMsg)
	if err != nil {
		return words{}, err
	}
	var r route
	for d.Next() {
		switch d.Type() {
		case unix.RTA_DST:
			r.dst = decoderUint32BE(d)
		case unix.RTA_GATEWAY:
			r.gateway = decoderUint32BE(d)
		case unix.RTA_OIF:
			r.oif = d.Uint32()
		case unix.RTA_TABLE:
			r.table = d.Uint32()
		case unix.RTA_PRIORITY:
			r.priority = d.Uint32()
		}
	}
	if err := d.Err(); err != nil {
		return words{}, err
	}
	r.length, r.protocol, r.scope, r.kind = m.Data[1], m.Data[5], m.Data[6], m.Data[7]
	return r.words(), nil
}

// allTables makes the library list all tables. Its default is the main table.
var allTables = &vishvananda.Route{Table: unix.RT_TABLE_UNSPEC}

func listRoutesVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.RouteListFiltered(unix.AF_INET, allTables, vishvananda.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	for i := range all {
		sum.add(wordsOfVishvananda(&all[i]))
	}
	return nil
}

func iterRoutesVishvananda(_ context.Context, sum *tally) error {
	return vishvananda.RouteListFilteredIter(unix.AF_INET, allTables, vishvananda.RT_FILTER_TABLE, func(r vishvananda.Route) bool {
		sum.add(wordsOfVishvananda(&r))
		return true
	})
}

func wordsOfVishvananda(v *vishvananda.Route) words {
	length, _ := v.Dst.Mask.Size()
	r := route{
		dst: uint32Of(v.Dst.IP), gateway: uint32Of(v.Gw), oif: uint32(v.LinkIndex),
		table: uint32(v.Table), priority: uint32(v.Priority),
		length: uint8(length), protocol: uint8(v.Protocol), scope: uint8(v.Scope), kind: uint8(v.Type),
	}
	return r.words()
}

func listRoutesJsimonetti(_ context.Context, sum *tally) error {
	c, err := rtnetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Route.ListMatch(&rtnetlink.RouteMessage{Family: unix.AF_INET})
	if err != nil {
		return err
	}
	for i := range all {
		m := &all[i]
		r := route{
			dst: uint32Of(m.Attributes.Dst), gateway: uint32Of(m.Attributes.Gateway), oif: m.Attributes.OutIface,
			table: m.Attributes.Table, priority: m.Attributes.Priority,
			length: m.DstLength, protocol: m.Protocol, scope: m.Scope, kind: m.Type,
		}
		sum.add(r.words())
	}
	return nil
}

// parseRoute parses a line of "ip -N -d route show table all": the type, the
// destination, then words, most of which are followed by a value.
func parseRoute(line string, devices map[string]uint32) (words, error) {
	var r route
	p := parser{fields: strings.Fields(line)}
	r.kind = uint8(p.number(8))
	r.dst, r.length = p.prefix()
	for p.more() {
		switch word := p.next(); word {
		case "via":
			r.gateway = p.addr()
		case "dev":
			r.oif = p.device(devices)
		case "table":
			r.table = uint32(p.number(32))
		case "proto":
			r.protocol = uint8(p.number(8))
		case "scope":
			r.scope = uint8(p.number(8))
		case "metric":
			r.priority = uint32(p.number(32))
		case "onlink", "linkdown":
		default:
			p.fail("%q is not known", word)
		}
	}
	return r.words(), p.err
}

// routeProtocol is the number of bird, a routing daemon.
const routeProtocol = 12

// createRoutes creates routes like those of a router, in two tables: most have
// a gateway, some a device only, and some are black holes.
func createRoutes(n int) (sum tally, err error) {
	devices, err := deviceIndices()
	if err != nil {
		return sum, err
	}
	b, err := newBatch(unix.NETLINK_ROUTE)
	if err != nil {
		return sum, err
	}
	defer b.close()
	// The kernel refuses gateways until its table of local addresses exists.
	local := route{
		dst: 0xc0000201, length: 32, oif: devices[0], table: unix.RT_TABLE_LOCAL,
		protocol: unix.RTPROT_KERNEL, scope: unix.RT_SCOPE_HOST, kind: unix.RTN_LOCAL,
	}
	for i := range n {
		r := local
		if i > 0 {
			r = routeNumber(uint32(i), devices)
		}
		sum.add(r.words())
		if err := b.add(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r.encode()); err != nil {
			return sum, fmt.Errorf("route %d: %w", i, err)
		}
	}
	return sum, b.flush()
}

// routeNumber returns route i, from 1 on. Each has a /24 of its own; its
// destination is all of it or the first part of it.
func routeNumber(i uint32, devices [2]uint32) route {
	r := route{
		dst: 1<<24 + i<<8, length: []uint8{24, 24, 24, 24, 24, 25, 28, 32}[i%8],
		gateway: 0xc0000202 + i%61, oif: devices[i%2],
		table: unix.RT_TABLE_MAIN, priority: i % 5 * 100,
		protocol: routeProtocol, scope: unix.RT_SCOPE_UNIVERSE, kind: unix.RTN_UNICAST,
	}
	switch {
	case i%16 == 7:
		r.gateway, r.oif, r.kind = 0, 0, unix.RTN_BLACKHOLE
	case i%16 == 11:
		r.gateway, r.scope = 0, unix.RT_SCOPE_LINK
	}
	if i%10 == 3 {
		r.table = 100_000
	}
	return r
}

func (r *route) encode() []byte {
	b := ofFamily(unix.SizeofRtMsg)
	b[1], b[5], b[6], b[7] = r.length, r.protocol, r.scope, r.kind
	if r.gateway != 0 {
		binary.NativeEndian.PutUint32(b[8:], unix.RTNH_F_ONLINK) // the gateway is in no network of the device
		b = attribute(b, unix.RTA_GATEWAY, binary.BigEndian.AppendUint32(nil, r.gateway))
	}
	b = attribute(b, unix.RTA_DST, binary.BigEndian.AppendUint32(nil, r.dst))
	if r.oif != 0 {
		b = attribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, r.oif))
	}
	b = attribute(b, unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, r.table))
	return attribute(b, unix.RTA_PRIORITY, binary.NativeEndian.AppendUint32(nil, r.priority))
}
