// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Package nldump and iproute2 must decode rtnetlink's dumps to the same.

func nativeU32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

var routeCount = flag.Int("routes", 100_000, "how many routes are dumped")

// aHundredThousand returns the number of routes. It is a tenth of that if the
// kernel watches each allocation or each access.
func aHundredThousand(t *testing.T) int {
	for _, watcher := range []string{"kmemleak", "kcsan"} {
		if _, err := os.Stat("/sys/kernel/debug/" + watcher); err == nil {
			t.Logf("a tenth of %d routes: the kernel has %s", *routeCount, watcher)
			return *routeCount / 10
		}
	}
	return *routeCount
}

// address returns the i-th address after the first.
func address(first string, i int) net.IP {
	b := netip.MustParseAddr(first).As4()
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])+uint32(i))
}

// addRoutes creates routes of three kinds, with three metrics.
func addRoutes(t *testing.T, count int, link uint32) {
	t.Helper()
	change(t, unix.RTM_NEWROUTE, count, func(i int, e *netlink.AttributeEncoder) []byte {
		e.Bytes(unix.RTA_DST, address("10.0.0.0", i))
		e.Uint32(unix.RTA_PRIORITY, uint32(i%3))
		typ := []byte{unix.RTN_UNICAST, unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE}[i/7%3]
		if typ == unix.RTN_UNICAST {
			e.Uint32(unix.RTA_OIF, link)
		}
		return []byte{unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_LINK, typ, 0, 0, 0, 0}
	})
}

// routeLine formats a route for both sides.
func routeLine(dst, dev, table, protocol, scope, typ string, metric uint32) string {
	return fmt.Sprintf("%s dev %s table %s protocol %s scope %s type %s metric %d", dst, dev, table, protocol, scope, typ, metric)
}

// dumpedRoute formats a record.
func dumpedRoute(names map[uint32]string) func(nldump.Message) (string, error) {
	return func(m nldump.Message) (string, error) {
		a := m.Attrs(unix.SizeofRtMsg)
		var dst netip.Addr
		var dev string
		var metric, table uint32
		for a.Next() {
			switch a.Type() {
			case unix.RTA_DST:
				dst = a.Addr()
			case unix.RTA_OIF:
				dev = names[a.Uint32()]
			case unix.RTA_PRIORITY:
				metric = a.Uint32()
			case unix.RTA_TABLE:
				table = a.Uint32()
			}
		}
		if a.Err() != nil {
			return "", a.Err()
		}
		number := func(i int) string { return strconv.Itoa(int(m.Data[i])) }
		to := dst.String()
		if m.Data[1] != 32 {
			to += "/" + number(1)
		}
		return routeLine(to, dev, strconv.Itoa(int(table)), number(5), number(6), number(7), metric), nil
	}
}

// printedRoute is a route in the output of ip -json -Numeric -details route.
type printedRoute struct {
	Dst, Dev, Table, Protocol, Scope, Type string
	Metric                                 uint32
}

func (r printedRoute) line() string {
	if r.Table == "" {
		r.Table = strconv.Itoa(unix.RT_TABLE_MAIN)
	}
	return routeLine(r.Dst, r.Dev, r.Table, r.Protocol, r.Scope, r.Type, r.Metric)
}

// allocations counts the allocations of a dump that reads each route's
// destination.
func allocations(t *testing.T, req nldump.Message) uint64 {
	t.Helper()
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		a := m.Attrs(unix.SizeofRtMsg)
		if !a.Find(unix.RTA_DST) || !a.Addr().IsValid() {
			t.Fatalf("a route to nowhere: %v", a.Err())
		}
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// All routes of all tables, and those that the kernel selects.
func TestRoutesAreThoseThatIPPrints(t *testing.T) {
	ownNetNS(t)
	addVeths(t, 1)
	count := aHundredThousand(t)
	names := linkNames(t)
	for index, name := range names {
		if name == "a0" {
			addRoutes(t, count, index)
		}
	}
	all := request(unix.RTM_GETROUTE, unix.AF_INET, unix.SizeofRtMsg)
	got, stats := dumpLines(t, unix.NETLINK_ROUTE, all, dumpedRoute(names))
	wantSame(t, "routes", got, ip(t, printedRoute.line, "-details", "-4", "route", "show", "table", "all"))
	if len(got) < count || stats.LargestPage < 30_000 || stats.Reads > uint64(count/100) {
		t.Errorf("%d routes, want more than %d; %+v", len(got), count, stats)
	}

	if allocs := allocations(t, all); allocs > uint64(count/100) {
		t.Errorf("%d allocations for %d routes", allocs, len(got))
	} else {
		t.Logf("%d allocations for %d routes", allocs, len(got))
	}

	blackholes := request(unix.RTM_GETROUTE, unix.AF_INET, unix.SizeofRtMsg)
	blackholes.Data[7] = unix.RTN_BLACKHOLE
	got, filtered := dumpLines(t, unix.NETLINK_ROUTE, blackholes, dumpedRoute(names))
	wantSame(t, "blackholes", got, ip(t, printedRoute.line, "-details", "-4", "route", "show", "table", "all", "type", "blackhole"))
	if len(got) < count/4 || !filtered.Filtered || filtered.Records != uint64(len(got)) {
		t.Errorf("%d of %d are blackholes; %+v", len(got), count, filtered)
	}
}

// Links, more than fit in one page.
func TestLinksAreThoseThatIPPrints(t *testing.T) {
	ownNetNS(t)
	const pairs = 20
	addVeths(t, pairs)
	line := func(index, mtu uint32, name, address string) string {
		return fmt.Sprintf("%d %s mtu %d address %s", index, name, mtu, address)
	}
	got, stats := dumpLines(t, unix.NETLINK_ROUTE, request(unix.RTM_GETLINK, unix.AF_UNSPEC, unix.SizeofIfInfomsg), func(m nldump.Message) (string, error) {
		a := m.Attrs(unix.SizeofIfInfomsg)
		var name, address string
		var mtu uint32
		for a.Next() {
			switch a.Type() {
			case unix.IFLA_IFNAME:
				name = string(a.Text())
			case unix.IFLA_MTU:
				mtu = a.Uint32()
			case unix.IFLA_ADDRESS:
				address = net.HardwareAddr(a.Bytes()).String()
			}
		}
		if a.Err() != nil {
			return "", a.Err()
		}
		return line(nativeU32(m.Data[4:]), mtu, name, address), nil
	})
	type printed struct {
		Ifindex, MTU    uint32
		Ifname, Address string
	}
	want := ip(t, func(l printed) string { return line(l.Ifindex, l.MTU, l.Ifname, l.Address) }, "link")
	wantSame(t, "links", got, want)
	if len(got) < 1+2*pairs || stats.Pages < 2 {
		t.Errorf("%d links; %+v", len(got), stats)
	}
}

// Neighbours, in several pages.
func TestNeighboursAreThoseThatIPPrints(t *testing.T) {
	ownNetNS(t)
	addVeths(t, 2)
	names := linkNames(t)
	const count = 500
	for index, name := range names {
		if name != "a0" && name != "a1" {
			continue
		}
		change(t, unix.RTM_NEWNEIGH, count, func(i int, e *netlink.AttributeEncoder) []byte {
			e.Bytes(unix.NDA_DST, address("10.1.0.0", i))
			e.Bytes(unix.NDA_LLADDR, append([]byte{2, name[1]}, address("10.1.0.0", i)...))
			header := make([]byte, unix.SizeofNdMsg)
			header[0] = unix.AF_INET
			binary.NativeEndian.PutUint32(header[4:], index)
			binary.NativeEndian.PutUint16(header[8:], unix.NUD_PERMANENT)
			return header
		})
	}
	line := func(dst, dev, lladdr string) string { return dst + " dev " + dev + " lladdr " + lladdr }
	got, stats := dumpLines(t, unix.NETLINK_ROUTE, request(unix.RTM_GETNEIGH, unix.AF_INET, unix.SizeofNdMsg), func(m nldump.Message) (string, error) {
		a := m.Attrs(unix.SizeofNdMsg)
		var dst netip.Addr
		var lladdr net.HardwareAddr
		for a.Next() {
			switch a.Type() {
			case unix.NDA_DST:
				dst = a.Addr()
			case unix.NDA_LLADDR:
				lladdr = net.HardwareAddr(a.Bytes())
			}
		}
		if a.Err() != nil || binary.NativeEndian.Uint16(m.Data[8:]) != unix.NUD_PERMANENT {
			return "", a.Err()
		}
		return line(dst.String(), names[nativeU32(m.Data[4:])], lladdr.String()), nil
	})
	type printed struct{ Dst, Dev, Lladdr string }
	wantSame(t, "neighbours", got, ip(t, func(n printed) string { return line(n.Dst, n.Dev, n.Lladdr) }, "-4", "neighbour", "show", "nud", "permanent"))
	if len(got) != 2*count || stats.Pages < 3 {
		t.Errorf("%d neighbours, want %d; %+v", len(got), 2*count, stats)
	}
}
