// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// The number of a generic family, and those of its multicast groups.
func ExampleStream_Family() {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	f, err := s.Family(context.Background(), "nlctrl")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.ID == unix.GENL_ID_CTRL, f.Name, f.Groups["notify"])
	_, err = s.Family(context.Background(), "no such")
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// true nlctrl 16
	// true
}

// A request that is not a dump may have any number of answers. Here it is one,
// from the controller; the options of a team device take several.
func ExampleStream_Do() {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{
		Type: unix.GENL_ID_CTRL,
		Data: append([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, encode(func(e *netlink.AttributeEncoder) {
			e.Uint16(unix.CTRL_ATTR_FAMILY_ID, unix.GENL_ID_CTRL)
		})...),
	}
	for m, err := range s.Do(context.Background(), req) {
		if err != nil {
			log.Fatal(err)
		}
		a := m.Attrs(unix.GENL_HDRLEN)
		if a.Find(unix.CTRL_ATTR_FAMILY_NAME) {
			fmt.Println(string(a.Text()))
		}
		if a.Err() != nil {
			log.Fatal(a.Err())
		}
	}
	// Output: nlctrl
}

// sizeofNfgenmsg is sizeof(struct nfgenmsg).
const sizeofNfgenmsg = 4

// generationOfNft returns the generation in struct nfgenmsg: the low 16 bits,
// big endian.
func generationOfNft(m nldump.Message) (uint64, error) {
	if len(m.Data) < sizeofNfgenmsg {
		return 0, nldump.ErrMalformed
	}
	return uint64(binary.BigEndian.Uint16(m.Data[2:])), nil
}

// The elements of a set of nf_tables. The kernel does not mark a dump that a
// change interrupted, but each message has the generation. Retry repeats such a
// dump. Here a script replaces the kernel.
func ExampleDump_generation() {
	const getElements, newElements = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWSETELEM
	d := nldump.Dump{
		Request: nldump.Message{
			Type: getElements,
			Data: append([]byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, encode(func(e *netlink.AttributeEncoder) {
				e.String(unix.NFTA_SET_ELEM_LIST_TABLE, "filter")
				e.String(unix.NFTA_SET_ELEM_LIST_SET, "blocked")
			})...),
		},
		Generation: generationOfNft,
	}
	message := func(generation byte) []byte {
		return script.Message(newElements, unix.NLM_F_MULTI, []byte{unix.NFPROTO_IPV4, 0, 0, generation})
	}
	s, _ := script.Stream(nldump.Config{},
		script.Page(message(7)), script.Page(message(8)), script.Page(script.Done(0, 0)), // the first pass
		script.Page(message(8)), script.Page(message(8), script.Done(0, 0)))
	messages := 0
	begin := func(attempt int) {
		fmt.Println("attempt", attempt)
		messages = 0
	}
	err := s.Retry(context.Background(), d, 5, begin, func(nldump.Message) error {
		messages++
		return nil
	})
	fmt.Println(messages, "messages", err)
	// Output:
	// attempt 1
	// attempt 2
	// 2 messages <nil>
}

// Events on a dump's socket, and options for unusual families.
func ExampleDump_foreign() {
	event := script.Step{Page: script.Message(unix.RTM_NEWLINK, 0), Group: unix.RTNLGRP_LINK}
	unaddressed := script.Poke(script.Poke(script.Record(0, []byte{1, 0, 0, 0}), 8, 0), 12, 0)
	s, _ := script.Stream(nldump.Config{}, event, script.Page(unaddressed, script.Done(0, 0)))
	d := nldump.Dump{
		Unaddressed: true, // thermal's answers need it
		NoAck:       true, // audit needs it
		Do:          false,
		Foreign: func(d nldump.Datagram, b []byte) {
			m, _, err := nldump.NextMessage(b)
			fmt.Println("event", m.Type == unix.RTM_NEWLINK, err)
		},
	}
	for m, err := range s.Dump(context.Background(), d) {
		fmt.Println("record", m.Data[0], err)
	}
	// Output:
	// event true <nil>
	// record 1 <nil>
}

// The nexthops of a route, and addresses of other shapes.
func ExampleAttrs_Nexthops() {
	hop := func(link byte, attrs func(*netlink.AttributeEncoder)) []byte {
		a := encode(attrs)
		return append([]byte{byte(unix.SizeofRtNexthop + len(a)), 0, 0, 0, link, 0, 0, 0}, a...)
	}
	b := encode(func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.RTA_MULTIPATH, append(
			hop(3, func(e *netlink.AttributeEncoder) { e.Bytes(unix.RTA_GATEWAY, []byte{192, 0, 2, 1}) }),
			hop(4, func(e *netlink.AttributeEncoder) { e.Bytes(unix.RTA_VIA, []byte{unix.AF_INET, 0, 192, 0, 2, 2}) })...))
	})
	a := nldump.Parse(b)
	for a.Next() {
		for h := range a.Nexthops() {
			switch {
			case h.Attrs.Find(unix.RTA_GATEWAY):
				fmt.Println("gateway", h.Attrs.Addr(), "link", h.Link)
			case h.Attrs.Find(unix.RTA_VIA):
				fmt.Println("via", h.Attrs.Via(), "link", h.Link)
			}
		}
	}
	fmt.Println(a.Err())
	// In a structure such as xfrm_address_t, the family is elsewhere.
	fmt.Println(nldump.AddrOf(unix.AF_INET, []byte{192, 0, 2, 3, 15: 0}))
	// Output:
	// gateway 192.0.2.1 link 3
	// via 192.0.2.2 link 4
	// <nil>
	// 192.0.2.3
}
