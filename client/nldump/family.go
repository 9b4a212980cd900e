// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Family is a family of generic netlink, as the controller describes it.
type Family struct {
	ID      uint16 // the type of its messages, until it is registered again
	Name    string
	Version uint32
	Header  uint32            // bytes of its own header behind struct genlmsghdr
	Groups  map[string]uint32 // its multicast groups: the number by the name
}

// Family asks the controller for the family of that name. The kernel loads the
// family's module, if it has one. The stream must be one of unix.NETLINK_GENERIC. If
// there is no such family, the error is an os.ErrNotExist.
func (s *Stream) Family(ctx context.Context, name string) (f Family, err error) {
	if name == "" || len(name) >= unix.GENL_NAMSIZ || strings.Contains(name, "\x00") {
		return f, fmt.Errorf("nldump: family %q: a name has 1 to %d bytes, none of them 0: %w", name, unix.GENL_NAMSIZ-1, os.ErrNotExist)
	}
	if err := s.connect(); err != nil {
		return f, err
	}
	// The controller's number is RTM_NEWLINK elsewhere.
	if c, ok := s.sock.(*conn); ok && c.protocol != unix.NETLINK_GENERIC {
		return f, fmt.Errorf("nldump: family %q: a stream of netlink protocol %d, not of NETLINK_GENERIC", name, c.protocol)
	}
	req := Message{Type: unix.GENL_ID_CTRL, Data: familyRequest(name)}
	for m, err := range s.Do(ctx, req) {
		if err == nil && m.Type == unix.GENL_ID_CTRL {
			err = f.decode(m)
		}
		if err != nil {
			return f, fmt.Errorf("nldump: family %q: %w", name, err)
		}
	}
	if f.ID == 0 {
		return f, fmt.Errorf("nldump: family %q: %w: answer without a number", name, ErrProtocol)
	}
	return f, nil
}

// familyRequest is a struct genlmsghdr and CTRL_ATTR_FAMILY_NAME.
func familyRequest(name string) []byte {
	b := []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}
	b = binary.NativeEndian.AppendUint16(b, uint16(attrHeader+len(name)+1))
	b = binary.NativeEndian.AppendUint16(b, unix.CTRL_ATTR_FAMILY_NAME)
	b = append(b, name...)
	return append(b, make([]byte, align(len(b)+1)-len(b))...)
}

func (f *Family) decode(m Message) error {
	f.Groups = make(map[string]uint32)
	a := m.Attrs(unix.GENL_HDRLEN)
	for a.Next() {
		switch a.Type() {
		case unix.CTRL_ATTR_FAMILY_ID:
			f.ID = a.Uint16()
		case unix.CTRL_ATTR_FAMILY_NAME:
			f.Name = string(a.Text())
		case unix.CTRL_ATTR_VERSION:
			f.Version = a.Uint32()
		case unix.CTRL_ATTR_HDRSIZE:
			f.Header = a.Uint32()
		case unix.CTRL_ATTR_MCAST_GROUPS:
			for _, group := range a.Nest() {
				var id uint32
				var name string
				for typ, g := range group.Nest() {
					switch typ {
					case unix.CTRL_ATTR_MCAST_GRP_ID:
						id = g.Uint32()
					case unix.CTRL_ATTR_MCAST_GRP_NAME:
						name = string(g.Text())
					}
				}
				f.Groups[name] = id
			}
		}
	}
	return a.Err()
}
