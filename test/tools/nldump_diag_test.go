// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// The generic netlink families, from the controller's dump.
func TestFamiliesAreThoseThatGenlPrints(t *testing.T) {
	ownNetNS(t)
	line := func(name, id, version, header, attrs string) string {
		return fmt.Sprintf("%s ID %s version %s header %s attributes %s", name, id, version, header, attrs)
	}
	hex := func(n uint32) string { return fmt.Sprintf("%#x", n) }
	req := nldump.Message{Type: unix.GENL_ID_CTRL, Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}}
	got, _ := dumpLines(t, unix.NETLINK_GENERIC, req, func(m nldump.Message) (string, error) {
		a := m.Attrs(unix.GENL_HDRLEN)
		var name string
		var id, version, header, attrs uint32
		for a.Next() {
			switch a.Type() {
			case unix.CTRL_ATTR_FAMILY_NAME:
				name = string(a.Text())
			case unix.CTRL_ATTR_FAMILY_ID:
				id = uint32(a.Uint16())
			case unix.CTRL_ATTR_VERSION:
				version = a.Uint32()
			case unix.CTRL_ATTR_HDRSIZE:
				header = a.Uint32()
			case unix.CTRL_ATTR_MAXATTR:
				attrs = a.Uint32()
			}
		}
		return line(name, hex(id), hex(version), fmt.Sprint(header), fmt.Sprint(attrs)), a.Err()
	})
	text, _ := run(t, "genl", "ctrl", "list")
	var want []string
	for _, f := range regexp.MustCompile(`Name: (.*)\n\tID: (\S+)  Version: (\S+)  header size: (\d+)  max attribs: (\d+)`).FindAllStringSubmatch(text, -1) {
		want = append(want, line(f[1], f[2], f[3], f[4], f[5]))
	}
	slices.Sort(want)
	wantSame(t, "families", got, want)
	if len(got) < 2 || !strings.Contains(strings.Join(got, " "), "bulkdump ") {
		t.Errorf("families %q", got)
	}
}

// Sizes and offsets of linux/inet_diag.h.
const (
	sizeofInetDiagReq = 56
	sizeofInetDiagMsg = 72
	sockDiagByFamily  = 20
)

// tcpStates are the states that the test's sockets have, as ss calls them.
var tcpStates = map[byte]string{1: "ESTAB", 10: "LISTEN"}

// TCP sockets, in several pages of sock_diag.
func TestSocketsAreThoseThatSSPrints(t *testing.T) {
	ownNetNS(t)
	const connections = 200
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for range connections {
		for _, open := range []func() (net.Conn, error){
			func() (net.Conn, error) { return net.Dial("tcp4", listener.Addr().String()) }, listener.Accept,
		} {
			c, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	line := func(state, local, peer string, inode uint32) string {
		return fmt.Sprintf("%s %s %s inode %d", state, local, peer, inode)
	}
	req := nldump.Message{Type: sockDiagByFamily, Data: make([]byte, sizeofInetDiagReq)}
	req.Data[0], req.Data[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(req.Data[4:], 1<<1|1<<10) // the states
	got, stats := dumpLines(t, unix.NETLINK_SOCK_DIAG, req, func(m nldump.Message) (string, error) {
		if a := m.Attrs(sizeofInetDiagMsg); a.Err() != nil {
			return "", a.Err()
		}
		end := func(port, addr int) string {
			ip := netip.AddrFrom4([4]byte(m.Data[addr:]))
			p := binary.BigEndian.Uint16(m.Data[port:])
			if p == 0 {
				return ip.String() + ":*"
			}
			return netip.AddrPortFrom(ip, p).String()
		}
		return line(tcpStates[m.Data[1]], end(4, 8), end(6, 24), nativeU32(m.Data[68:])), nil
	})
	text, _ := run(t, "ss", "--tcp", "--all", "--numeric", "--extended", "--no-header", "--oneline", "--ipv4")
	var want []string
	inode := regexp.MustCompile(`ino:(\d+)`)
	for l := range strings.Lines(text) {
		f, ino := strings.Fields(l), inode.FindStringSubmatch(l)
		if len(f) < 5 || ino == nil {
			t.Fatalf("ss printed %q", l)
		}
		var n uint32
		fmt.Sscan(ino[1], &n)
		want = append(want, line(f[0], f[3], f[4], n))
	}
	slices.Sort(want)
	wantSame(t, "sockets", got, want)
	if len(got) != 2*connections+1 || stats.Pages < 2 {
		t.Errorf("%d sockets, want %d; %+v", len(got), 2*connections+1, stats)
	}
}
