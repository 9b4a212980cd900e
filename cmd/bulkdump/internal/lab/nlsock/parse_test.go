// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// encode puts attributes behind a header.
func encode(t testing.TB, header []byte, fn func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	fn(e)
	attrs, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append(header, attrs...)
}

// diagHeader is struct netlink_diag_msg.
func diagHeader(protocol byte, port, inode uint32) []byte {
	return append([]byte{unix.AF_NETLINK, unix.SOCK_RAW, protocol, 7}, u32(port, 0, 0, inode, 1, 2)...)
}

func aSocket(t testing.TB) []byte {
	return encode(t, diagHeader(unix.NETLINK_GENERIC, 4711, 99), func(e *netlink.AttributeEncoder) {
		e.Bytes(attrMemInfo, u32(4864, 212992, 0, 0, 0, 0, 0, 0, 3))
		e.Bytes(attrGroups, u32(1<<15, 1, 1<<31, 0)) // groups 16, 33, 96
		e.Uint32(attrFlags, 1|1<<5)
	})
}

func TestParseDiag(t *testing.T) {
	got, err := parseDiag(aSocket(t))
	rcvbuf := uint32(212992)
	want := Socket{
		Protocol: unix.NETLINK_GENERIC, PortID: 4711, Inode: 99, Source: Diag,
		Queued: 4864, RcvBuf: &rcvbuf, Drops: 3, Dump: true,
		Groups: []Group{{ID: 16}, {ID: 33}, {ID: 96}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = parseDiag(diagHeader(unix.NETLINK_ROUTE, 0, 0))
	if err != nil || !reflect.DeepEqual(got, Socket{Source: Diag}) {
		t.Errorf("the least there can be: %+v, %v", got, err)
	}
}

func TestParseDiagRefuses(t *testing.T) {
	tcp := diagHeader(6, 0, 0)
	tcp[0] = unix.AF_INET
	for want, b := range map[string][]byte{
		"a socket in 27 bytes":           diagHeader(0, 0, 0)[:27],
		"address family 2":               tcp,
		"memory of a socket in 32 bytes": encode(t, diagHeader(0, 0, 0), func(e *netlink.AttributeEncoder) { e.Bytes(attrMemInfo, make([]byte, 32)) }),
		"value of 2 bytes, want 4":       encode(t, diagHeader(0, 0, 0), func(e *netlink.AttributeEncoder) { e.Uint16(attrFlags, 1) }),
		"1 bytes after the last":         append(diagHeader(0, 0, 0), 0),
	} {
		if got, err := parseDiag(b); !errors.Is(err, nldump.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v; want %q", got, err, want)
		}
	}
}

const procHead = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"

func TestParseProc(t *testing.T) {
	got, err := parseProc(procHead +
		"0000000000000000 0   0          00000000 0        0        0     2        0        24      \n" +
		"00000000a2c2b5a9 16  4294967295 80000001 4864     0        1     2        7        4294967299\n")
	want := []Socket{
		{Inode: 24, Source: Proc},
		{Protocol: 16, PortID: 1<<32 - 1, Groups: []Group{{ID: 1}, {ID: 32}}, Queued: 4864, Dump: true, Drops: 7, Inode: 3, Source: Proc},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"\n":                             "0 fields, want 10",
		"0 16 1 0 0 0 0 2 0\n":           "9 fields, want 10",
		"0 256 1 0 0 0 0 2 0 1\n":        "field 2: ",
		"0 16 -1 0 0 0 0 2 0 1\n":        "field 3: ",
		"0 16 1 0 0 0 2 2 0 1\n":         "field 7: ",
		"0 16 1 100000000 0 0 0 2 0 1\n": `field 4: "100000000" is not a number of 32 bits`,
	} {
		if got, err := parseProc(procHead + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, got, err, want)
		}
	}
}

func TestMerge(t *testing.T) {
	diag := []Socket{{Protocol: 16, PortID: 1, Inode: 10, Source: Diag}, {Protocol: 16, PortID: 2, Inode: 11, Source: Diag}}
	proc := []Socket{
		{Protocol: 16, PortID: 1, Inode: 10, Source: Proc}, // known
		{Protocol: 16, PortID: 2, Inode: 11, Source: Proc}, // known
		{Protocol: 0, PortID: 1, Inode: 10, Source: Proc},  // of another protocol
		{Protocol: 16, PortID: 2, Inode: 13, Source: Proc}, // its successor
	}
	got := merge(append(diag, diag[0]), proc)
	if want := append(append([]Socket{}, diag...), proc[2:]...); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func aFamily(t testing.TB) []byte {
	return encode(t, []byte{1, 2, 0, 0}, func(e *netlink.AttributeEncoder) {
		e.Uint16(unix.CTRL_ATTR_FAMILY_ID, 30)
		e.Nested(unix.CTRL_ATTR_MCAST_GROUPS, func(e *netlink.AttributeEncoder) error {
			for i, name := range []string{"entries", "more"} {
				e.Nested(uint16(i+1), func(e *netlink.AttributeEncoder) error {
					e.Uint32(unix.CTRL_ATTR_MCAST_GRP_ID, uint32(17+i))
					e.String(unix.CTRL_ATTR_MCAST_GRP_NAME, name)
					return nil
				})
			}
			return nil
		})
		e.String(unix.CTRL_ATTR_FAMILY_NAME, "bulkdump")
	})
}

func TestParseFamily(t *testing.T) {
	got := map[uint32]string{16: "nlctrl:notify"}
	err := parseFamily(aFamily(t), got)
	want := map[uint32]string{16: "nlctrl:notify", 17: "bulkdump:entries", 18: "bulkdump:more"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, bad := range [][]byte{{1, 2, 0}, append(aFamily(t), 0)} {
		if err := parseFamily(bad, got); !errors.Is(err, nldump.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNames(t *testing.T) {
	families := map[uint32]string{33: "bulkdump:entries"}
	for _, tt := range []struct {
		protocol Protocol
		group    uint32
		want     string
	}{
		{unix.NETLINK_ROUTE, 1, "link"}, {unix.NETLINK_ROUTE, 33, "brvlan"}, {unix.NETLINK_ROUTE, 39, "ipv6-acaddr"},
		{unix.NETLINK_ROUTE, 14, "14"}, {unix.NETLINK_ROUTE, 40, "40"}, {unix.NETLINK_ROUTE, 1<<32 - 1, "4294967295"},
		{unix.NETLINK_GENERIC, 33, "bulkdump:entries"}, {unix.NETLINK_GENERIC, 34, "34"}, {unix.NETLINK_AUDIT, 1, "1"},
	} {
		if got := (Group{tt.group, groupName(tt.protocol, tt.group, families)}).String(); got != tt.want {
			t.Errorf("%v, group %d: %q, want %q", tt.protocol, tt.group, got, tt.want)
		}
	}
	if got := Protocol(16).String() + " " + Protocol(17).String(); got != "generic 17" {
		t.Errorf("protocols %s", got)
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add(aSocket(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseDiag(b)
		if err == nil && (s.Source != Diag || len(s.Groups) > 8*len(b)) {
			t.Errorf("%+v", s)
		}
		_ = parseFamily(b, map[uint32]string{})
	})
}

func FuzzParseProc(f *testing.F) {
	f.Add(procHead + "0 16 1 80000001 0 0 0 2 0 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseProc(text)
		if err != nil && all != nil {
			t.Error("sockets beside an error")
		}
		for _, s := range all {
			if s.Source != Proc || len(s.Groups) > 32 || s.RcvBuf != nil {
				t.Errorf("%+v", s)
			}
		}
	})
}
