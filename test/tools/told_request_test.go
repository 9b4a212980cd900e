// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"bulkdump/client/nldump"
)

// structure returns a request with a header, and attributes if there are any.
func structure(typ uint16, header []byte, attrs ...netlink.Attribute) func(*testing.T) nldump.Message {
	return func(t *testing.T) nldump.Message {
		return nldump.Message{Type: typ, Data: append(slices.Clone(header), encode(t, attrs)...)}
	}
}

// generic returns a request of a generic family.
func generic(family string, command byte, attrs ...netlink.Attribute) func(*testing.T) nldump.Message {
	return func(t *testing.T) nldump.Message {
		t.Helper()
		return nldump.Message{
			Type: genericFamily(t, family).ID,
			Data: append([]byte{command, 1, 0, 0}, encode(t, attrs)...),
		}
	}
}

func genericFamily(t *testing.T, name string) genetlink.Family {
	t.Helper()
	conn, err := genetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.GetFamily(name)
	if err != nil {
		t.Fatalf("family %s: %v", name, err)
	}
	return f
}

func encode(t *testing.T, attrs []netlink.Attribute) []byte {
	t.Helper()
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func attr(typ uint16, data []byte) netlink.Attribute  { return netlink.Attribute{Type: typ, Data: data} }
func attrText(typ uint16, s string) netlink.Attribute { return attr(typ, append([]byte(s), 0)) }
func u32(n uint32) []byte                             { return binary.NativeEndian.AppendUint32(nil, n) }
