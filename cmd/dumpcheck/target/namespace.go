// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// OwnNamespace moves the calling goroutine into a network namespace of its own, in which
// lo is up. The goroutine keeps its thread from then on, so that every socket that it
// opens is in that namespace, and no other goroutine's is. The namespace ends with the
// goroutine, which must not unlock the thread, and with its sockets.
func OwnNamespace() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("a network namespace of its own: %w", err)
	}
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	t := &table{open: c}
	up := append(append(zeros(4), u32(loopback)...), append(u32(unix.IFF_UP), u32(unix.IFF_UP)...)...) // struct ifinfomsg
	if err := t.send(unix.RTM_NEWLINK, 0, up); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
