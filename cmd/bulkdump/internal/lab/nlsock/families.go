// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// readFamilies returns the multicast groups of the generic netlink families in the
// stream's namespace, by number, as "family:group".
func readFamilies(ctx context.Context, s *nldump.Stream) (map[uint32]string, error) {
	req := nldump.Message{
		Type: unix.GENL_ID_CTRL,
		Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, // struct genlmsghdr
	}
	groups := make(map[uint32]string)
	for m, err := range s.Records(ctx, req) {
		if errors.Is(err, nldump.ErrInterrupted) { // the names that came are right all the same
			break
		}
		if err == nil {
			err = parseFamily(m.Data, groups)
		}
		if err != nil {
			return nil, fmt.Errorf("families of generic netlink: %w", err)
		}
	}
	return groups, nil
}

func parseFamily(b []byte, groups map[uint32]string) error {
	const genlHeader = 4
	if len(b) < genlHeader {
		return fmt.Errorf("%w: a family in %d bytes", nldump.ErrMalformed, len(b))
	}
	var family string
	var nest nldump.Attrs
	a := nldump.Parse(b[genlHeader:])
	for a.Next() {
		switch a.Type() {
		case unix.CTRL_ATTR_FAMILY_NAME:
			family = string(a.Text())
		case unix.CTRL_ATTR_MCAST_GROUPS:
			nest = a.Nested()
		}
	}
	for nest.Next() {
		var id uint32
		var name string
		group := nest.Nested()
		for group.Next() {
			switch group.Type() {
			case unix.CTRL_ATTR_MCAST_GRP_ID:
				id = group.Uint32()
			case unix.CTRL_ATTR_MCAST_GRP_NAME:
				name = string(group.Text())
			}
		}
		if err := group.Err(); err != nil {
			return err
		}
		groups[id] = family + ":" + name
	}
	return errors.Join(a.Err(), nest.Err())
}
