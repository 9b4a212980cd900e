// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Links, with a time limit for the whole dump.
func Example_links() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for m, err := range s.Records(ctx, getLinks) {
		if err != nil {
			log.Fatal(err)
		}
		var name string
		var mtu uint32
		a := m.Attrs(unix.SizeofIfInfomsg)
		for a.Next() {
			switch a.Type() {
			case unix.IFLA_IFNAME:
				name = string(a.Text())
			case unix.IFLA_MTU:
				mtu = a.Uint32()
			}
		}
		if a.Err() != nil {
			log.Fatal(a.Err())
		}
		index := binary.NativeEndian.Uint32(m.Data[4:]) // ifi_index; Attrs has checked the length
		if name == "lo" {
			fmt.Println(index, name, mtu > 0)
		}
	}
	// Output: 1 lo true
}

// IPv4 routes of one type, as prefixes. With strict checking, which is the
// default, the kernel applies the filter and confirms it.
func Example_routes() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)}
	req.Data[0] = unix.AF_INET
	req.Data[7] = unix.RTN_LOCAL // rtm_type
	var local []netip.Prefix
	for m, err := range s.Records(context.Background(), req) {
		if err != nil {
			log.Fatal(err)
		}
		dst := netip.IPv4Unspecified() // the default route has no such attribute
		a := m.Attrs(unix.SizeofRtMsg)
		if a.Find(unix.RTA_DST) {
			dst = a.Addr()
		}
		if a.Err() != nil {
			log.Fatal(a.Err())
		}
		local = append(local, netip.PrefixFrom(dst, int(m.Data[1]))) // rtm_dst_len
	}
	fmt.Println(slices.Contains(local, netip.MustParsePrefix("127.0.0.1/32")), s.Stats().Filtered)
	// Output: true true
}
