// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// withRight sets whether this thread has CAP_NET_ADMIN in effect.
func withRight(t testing.TB, has bool) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if has {
		sets[0].Effective |= 1 << unix.CAP_NET_ADMIN
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
}

// A change needs the right of the task that sends the request. It also needs that
// of the task that opened the socket, if the request has no address: then it may
// be what a program with more rights writes to its standard output
// (net/netlink/af_netlink.c:__netlink_ns_capable).
func TestRightAtOpenAndAtSend(t *testing.T) {
	for _, params := range []string{"", "userns_admin=1"} {
		t.Run(params, func(t *testing.T) { rightAtOpenAndAtSend(t, reload(t, params)) })
	}
}

func rightAtOpenAndAtSend(t *testing.T, c *client.Client) {
	runtime.LockOSThread() // the thread ends with the goroutine
	defer withRight(t, true)
	const add, all = unix.NLM_F_REQUEST | unix.NLM_F_ACK, flagDump
	for name, tt := range map[string]struct {
		flags uint16
		body  []byte
	}{
		"new":    {add, request(cmdEntryNew, attrU32(attrID, 1), attrText(attrName, "n"))},
		"fill":   {add, request(cmdTableFill, attrU32(attrCount, 1))},
		"flush":  {add, request(cmdTableFlush)},
		"walker": {all, request(cmdEntryGet, attrU32(attrCursor, uint32(client.CursorWalker)))},
	} {
		for _, atOpen := range []bool{false, true} {
			for _, atSend := range []bool{false, true} {
				for _, addressed := range []bool{false, true} {
					withRight(t, true)
					flush(t, c)
					withRight(t, atOpen)
					s := openRaw(t, client.FamilyName, 32<<10)
					withRight(t, atSend)
					var err error
					if message := s.message(tt.flags, tt.body); addressed {
						err = unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
					} else {
						_, err = unix.Write(s.fd, message)
					}
					if err != nil {
						t.Fatal(err)
					}
					want := unix.EPERM
					if atSend && (atOpen || addressed) {
						want = 0
					}
					if v := s.answerTo(s.seq); v.errno != want {
						t.Errorf("%s, right at open %t, at send %t, addressed %t: %v %q, want %v", name, atOpen, atSend, addressed, v.errno, v.text, want)
					}
					s.close()
				}
			}
		}
	}
}
