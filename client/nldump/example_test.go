// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// List the families of generic netlink. The controller is always one of them.
func Example() {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{
		Type: unix.GENL_ID_CTRL,
		Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, // struct genlmsghdr
	}
	for m, err := range s.Records(context.Background(), req) {
		if err != nil {
			log.Fatal(err)
		}
		a := m.Attrs(unix.GENL_HDRLEN)
		if a.Find(unix.CTRL_ATTR_FAMILY_NAME) && string(a.Text()) == "nlctrl" {
			fmt.Println("found nlctrl")
		}
		if err := a.Err(); err != nil {
			log.Fatal(err)
		}
	}
	// Output: found nlctrl
}

// getLinks is the request for all links. With a mask, the kernel makes pages as
// large as the largest link. Without one, a link that does not fit into a page
// ends the dump as if it were complete.
var getLinks = nldump.Message{
	Type: unix.RTM_GETLINK,
	Data: append(make([]byte, unix.SizeofIfInfomsg), encode(func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.IFLA_EXT_MASK, skipStats)
	})...),
}

// skipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h), which package unix
// lacks.
const skipStats = 8

func ExampleDial() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{
		NetNSPath: "/run/netns/no-such",
	})
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println("no such network namespace")
		return
	}
	if err != nil {
		log.Fatal(err) // os.ErrPermission: it needs CAP_SYS_ADMIN
	}
	defer s.Close()
	// Output: no such network namespace
}

// Settings for a program that runs for months.
func ExampleConfig() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{
		BufferSize:    nldump.MinBufferSize,     // small pages, for a small machine
		MaxBufferSize: nldump.DefaultBufferSize, // but no larger than this
		ReceiveBuffer: 32 << 10,
		StallTimeout:  10 * time.Second,
		RepeatLimit:   2,
		Abandon:       nldump.AbandonClose, // a loop may be left at any time
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	fmt.Println(s.Config().BufferSize, s.Config().MaxBufferSize)
	d, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	fmt.Println(d.Config().BufferSize == nldump.DefaultBufferSize, d.Config().MaxBufferSize == nldump.DefaultMaxBufferSize,
		d.Config().RepeatLimit == nldump.DefaultRepeatLimit, d.Config().Abandon == nldump.AbandonPark)
	// Output:
	// 4096 65536
	// true true true true
}

// A socket opened elsewhere, by a program with the necessary rights.
func ExampleNew() {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		log.Fatal(err)
	}
	cfg := nldump.Config{StallTimeout: time.Minute}
	sock, err := nldump.Open(c, cfg)
	if err != nil {
		log.Fatal(err)
	}
	s, err := nldump.New(sock, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for _, err := range s.Records(context.Background(), getLinks) {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("links:", s.Stats().Records > 0)
	// Output: links: true
}

// lossy is a Socket that loses datagrams, for a test.
type lossy struct{ nldump.Socket }

func (l lossy) Recv(buf []byte) (nldump.Datagram, error) {
	if d, err := l.Socket.Recv(buf); err != nil {
		return d, err
	}
	return nldump.Datagram{}, os.NewSyscallError("recvmsg", unix.ENOBUFS)
}

// A Socket around another one.
func ExampleSocket() {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		log.Fatal(err)
	}
	sock, err := nldump.Open(c, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	s, err := nldump.New(lossy{sock}, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for _, err := range s.Records(context.Background(), getLinks) {
		fmt.Println(errors.Is(err, nldump.ErrOverrun), "idle:", s.Idle())
	}
	// Output: true idle: false
}

// Leave a loop early, and use the stream again.
func ExampleStream_Drain() {
	ctx := context.Background()
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{BufferSize: nldump.MinBufferSize})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for range s.Records(ctx, getLinks) {
		break
	}
	// The next dump would yield ErrBusy if there were more pages of this one.
	if !s.Idle() {
		if err := s.Drain(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("idle:", s.Idle())
	// Output: idle: true
}

// The same by configuration: AbandonClose for large tables, AbandonDrain where
// usually little is left.
func ExampleAbandon() {
	for _, how := range []nldump.Abandon{nldump.AbandonClose, nldump.AbandonDrain} {
		s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{Abandon: how})
		if err != nil {
			log.Fatal(err)
		}
		defer s.Close()
		for range 2 {
			for _, err := range s.Records(context.Background(), getLinks) {
				if err != nil {
					log.Fatal(err)
				}
				break
			}
		}
		fmt.Println("idle:", s.Idle())
	}
	// Output:
	// idle: true
	// idle: true
}

// Check the order of a family that promises one.
func ExampleStream_Dump() {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	d := nldump.Dump{
		Request: nldump.Message{
			Type: unix.GENL_ID_CTRL,
			Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0},
		},
		// The controller dumps families in order of their numbers.
		Key: func(dst []byte, m nldump.Message) ([]byte, error) {
			a := m.Attrs(unix.GENL_HDRLEN)
			a.Find(unix.CTRL_ATTR_FAMILY_ID)
			return binary.BigEndian.AppendUint16(dst, a.Uint16()), a.Err()
		},
	}
	for _, err := range s.Dump(context.Background(), d) {
		switch {
		case errors.Is(err, nldump.ErrNoProgress):
			log.Fatal("the kernel's cursor goes round in circles: ", err)
		case err != nil:
			log.Fatal(err)
		}
	}
	fmt.Println("more than one family:", s.Stats().Records > 1)
	// Output: more than one family: true
}

// Go on after a page that did not fit into the buffer, if the family can start
// at a key. Here that is bulkdump's filter for ids, and a socket that sends a
// record of 5,000 bytes to a buffer of 4,096.
func ExampleDump() {
	const (
		family   = script.Type // as the controller says
		entryGet = 1
		attrID   = 1
		filter   = 8
		idFrom   = 1
	)
	from := func(id uint32) (nldump.Message, error) {
		e := netlink.NewAttributeEncoder()
		e.Nested(filter, func(e *netlink.AttributeEncoder) error {
			e.Uint32(idFrom, id)
			return nil
		})
		attrs, err := e.Encode()
		return nldump.Message{
			Type: family,
			Data: append([]byte{entryGet, 1, 0, 0}, attrs...),
		}, err
	}
	all, err := from(0)
	if err != nil {
		log.Fatal(err)
	}
	id := func(m nldump.Message) (uint32, error) {
		a := m.Attrs(unix.GENL_HDRLEN)
		a.Find(attrID)
		return a.Uint32(), a.Err()
	}
	d := nldump.Dump{
		Request: all,
		Key: func(dst []byte, m nldump.Message) ([]byte, error) {
			n, err := id(m)
			return binary.BigEndian.AppendUint32(dst, n), err
		},
		Resume: func(after []byte) (nldump.Message, error) {
			fmt.Println("go on after", binary.BigEndian.Uint32(after))
			return from(binary.BigEndian.Uint32(after) + 1)
		},
	}
	entry := func(id uint32, payload int) []byte {
		return script.Record(0, []byte{entryGet, 1, 0, 0}, script.U32(attrID, id), script.Attr(5, make([]byte, payload)))
	}
	s, _ := script.Stream(nldump.Config{BufferSize: nldump.MinBufferSize},
		script.Page(entry(40, 10), entry(41, 10)), script.Page(entry(42, 5000)), script.Page(script.Done(0, 0)), // the first dump
		script.Page(entry(42, 5000), entry(43, 10), script.Done(0, 0))) // the second
	for m, err := range s.Dump(context.Background(), d) {
		if errors.Is(err, nldump.ErrInterrupted) {
			fmt.Println("complete, but maybe of two states of the table")
		} else if err != nil {
			log.Fatal(err)
		} else {
			n, _ := id(m)
			fmt.Println(n)
		}
	}
	// Output:
	// 40
	// 41
	// go on after 41
	// 42
	// 43
	// complete, but maybe of two states of the table
}

// A snapshot of a table without a log of changes: the links at one moment.
func ExampleStream_Retry() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	var names []string
	begin := func(int) { names = names[:0] } // discards the results of an earlier pass
	record := func(m nldump.Message) error {
		a := m.Attrs(unix.SizeofIfInfomsg)
		if a.Find(unix.IFLA_IFNAME) {
			names = append(names, string(a.Text()))
		}
		return a.Err()
	}
	err = s.Retry(context.Background(), nldump.Dump{Request: getLinks}, 10, begin, record)
	if errors.Is(err, nldump.ErrInterrupted) {
		log.Fatal("links come and go all the time: ", err)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("some link:", len(names) > 0)
	// Output: some link: true
}
