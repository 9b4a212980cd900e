// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// eventGroup is the name of the family's multicast group.
const eventGroup = "entries"

// subscribe returns a socket that gets the family's events, and the family's
// number. It joins the controller's group too, which tells when the family goes:
// the kernel takes the members of a group away with it, and tells nobody.
func (c *Client) subscribe(ctx context.Context, size int) (nldump.PollSocket, uint16, error) {
	for {
		f, err := c.getFamily(ctx)
		if err != nil {
			return nil, 0, err
		}
		var group uint32
		for _, g := range f.Groups {
			if g.Name == eventGroup {
				group = g.ID
			}
		}
		if group == 0 {
			return nil, 0, fmt.Errorf("%w: the family has no group %q", ErrBadReply, eventGroup)
		}
		sock, joinErr := c.sockets.Events(size, controllerGroup, group)
		// A family that went and came while this was joining said so to nobody
		// here, and its group was another.
		err = c.resolve(ctx)
		if err == nil && c.family.Load() == uint32(f.ID) {
			return sock, f.ID, joinErr
		}
		if joinErr == nil {
			_ = sock.Close()
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// joinGroups opens a socket that is in the multicast groups.
func joinGroups(netns, size int, groups []uint32) (nldump.PollSocket, error) {
	conn, err := netlink.Dial(unix.NETLINK_GENERIC, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	sock, err := nldump.Open(conn, nldump.Config{ReceiveBuffer: size})
	for _, g := range groups {
		if err == nil {
			err = conn.JoinGroup(g)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("events: %w", err)
	}
	return sock, nil
}
