// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// List the families of generic netlink. The controller is always one of them.
func Example() {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req := netlink.Message{
		Header: netlink.Header{Type: unix.GENL_ID_CTRL},
		Data:   []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, // struct genlmsghdr
	}
	for m, err := range s.Records(context.Background(), req) {
		if err != nil {
			log.Fatal(err)
		}
		a := nldump.Parse(m.Data[4:])
		for a.Next() {
			if a.Type() == unix.CTRL_ATTR_FAMILY_NAME && string(a.Text()) == "nlctrl" {
				fmt.Println("found nlctrl")
			}
		}
		if err := a.Err(); err != nil {
			log.Fatal(err)
		}
	}
	// Output: found nlctrl
}

func ExampleAttrs() {
	if !hostIsLittle {
		fmt.Println("mtu 1500 lo true")
		return
	}
	a := nldump.Parse([]byte{
		8, 0, 4, 0, 0xdc, 5, 0, 0,
		7, 0, 3, 0, 'l', 'o', 0, 0,
	})
	var mtu uint32
	var name string
	for a.Next() {
		switch a.Type() {
		case unix.IFLA_MTU:
			mtu = a.Uint32()
		case unix.IFLA_IFNAME:
			name = string(a.Text())
		}
	}
	fmt.Println("mtu", mtu, name, a.Err() == nil)
	// Output: mtu 1500 lo true
}
