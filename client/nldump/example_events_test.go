// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Read unsolicited datagrams, such as events, page by page until the queue is
// empty. Here it is the acknowledgement of a request.
func ExamplePollSocket() {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		log.Fatal(err)
	}
	var sock nldump.PollSocket
	if sock, err = nldump.Open(c, nldump.Config{}); err != nil {
		log.Fatal(err)
	}
	defer sock.Close()
	buf := make([]byte, nldump.DefaultBufferSize)
	_, err = sock.Poll(buf)
	fmt.Println("nothing there:", errors.Is(err, unix.EAGAIN))

	noop := nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}
	if _, err := sock.Send(noop); err != nil {
		log.Fatal(err)
	}
	for {
		d, err := sock.Poll(buf)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		for b := buf[:d.Len]; len(b) > 0; {
			var m nldump.Message
			if m, b, err = nldump.NextMessage(b); err != nil {
				log.Fatal(err)
			}
			fmt.Println("acknowledged:", m.Type == unix.NLMSG_ERROR)
		}
	}
	_, _, err = nldump.NextMessage(buf[:7])
	fmt.Println("cut:", errors.Is(err, nldump.ErrMalformed))
	// Output:
	// nothing there: true
	// acknowledged: true
	// cut: true
}
