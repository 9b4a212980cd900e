// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A capture is what an nlmon device sees: every netlink message of the
// namespace, to the kernel and from it.
type capture struct {
	t    *testing.T
	fd   int
	pcap []byte
}

const (
	linktypeNetlink = 253
	arphrdNetlink   = 824
	packetMax       = 256 << 10
)

// monitor makes an nlmon device and listens on it.
func monitor(t *testing.T) *capture {
	t.Helper()
	const device = "nlmon0"
	run(t, "ip", "link", "add", device, "type", "nlmon")
	t.Cleanup(func() { run(t, "ip", "link", "delete", device) })
	run(t, "ip", "link", "set", device, "up")
	dev, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	// Pages are large, and nobody reads them during the dump.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index}); err != nil {
		t.Fatal(err)
	}
	c := &capture{t: t, fd: fd}
	for _, v := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, packetMax, linktypeNetlink} {
		c.pcap = binary.NativeEndian.AppendUint32(c.pcap, v)
	}
	return c
}

// until reads packets into the capture, up to the first for which last returns
// true.
func (c *capture) until(last func(packet []byte) bool) {
	c.t.Helper()
	buf := make([]byte, packetMax)
	for {
		n, from, err := unix.Recvfrom(c.fd, buf, unix.MSG_TRUNC)
		if err != nil {
			c.t.Fatalf("nlmon: %v", err)
		}
		if n > len(buf) {
			c.t.Fatalf("a packet of %d bytes", n)
		}
		ll := from.(*unix.SockaddrLinklayer)
		if ll.Hatype != arphrdNetlink {
			c.t.Fatalf("a packet of a device of type %d", ll.Hatype)
		}
		c.add(buf[:n], ll)
		if last(buf[:n]) {
			return
		}
	}
}

// add appends a packet with its header, in the format of LINKTYPE_NETLINK: type
// of the packet and of the device, ten zero bytes, the netlink protocol.
func (c *capture) add(packet []byte, ll *unix.SockaddrLinklayer) {
	now := time.Now()
	size := uint32(16 + len(packet))
	for _, v := range []uint32{uint32(now.Unix()), uint32(now.Nanosecond() / 1000), size, size} {
		c.pcap = binary.NativeEndian.AppendUint32(c.pcap, v)
	}
	c.pcap = binary.BigEndian.AppendUint16(c.pcap, uint16(ll.Pkttype))
	c.pcap = binary.BigEndian.AppendUint16(c.pcap, ll.Hatype)
	c.pcap = append(c.pcap, make([]byte, 10)...)
	c.pcap = binary.NativeEndian.AppendUint16(c.pcap, ll.Protocol) // already in network byte order
	c.pcap = append(c.pcap, packet...)
}

// file writes the capture and returns the file's path.
func (c *capture) file() string {
	c.t.Helper()
	name := filepath.Join(c.t.TempDir(), "netlink.pcap")
	if err := os.WriteFile(name, c.pcap, 0o644); err != nil {
		c.t.Fatal(err)
	}
	return name
}
