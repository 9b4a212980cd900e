// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A conn is a socket for requests that are acknowledged. It is in the network namespace
// of the thread that opened it, wherever it is used.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

func dial(protocol int) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("socket of netlink protocol %d: %w", protocol, err)
	}
	c := &conn{fd: fd, buf: make([]byte, 16<<10)}
	runtime.AddCleanup(c, func(fd int) { unix.Close(fd) }, fd)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
	)
	if err != nil {
		return nil, fmt.Errorf("socket of netlink protocol %d: %w", protocol, err)
	}
	return c, nil
}

// do sends messages in one datagram, and waits for the acknowledgement of each that has
// NLM_F_ACK. The first that is refused ends it.
func (c *conn) do(messages ...nldump.Message) error {
	var b []byte
	acks := 0
	first := c.seq + 1
	for _, m := range messages {
		c.seq++
		if m.Flags&unix.NLM_F_ACK != 0 {
			acks++
		}
		b = append(b, u32(uint32(unix.SizeofNlMsghdr+len(m.Data)))...)
		b = binary.NativeEndian.AppendUint16(b, m.Type)
		b = binary.NativeEndian.AppendUint16(b, m.Flags|unix.NLM_F_REQUEST)
		b = append(append(b, u32(c.seq)...), zeros(4)...)
		b = append(b, m.Data...)
		b = append(b, zeros(-len(b)&3)...)
	}
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for acks > 0 {
		n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("no acknowledgement: %w", err)
		}
		for rest := c.buf[:n]; len(rest) > 0; {
			var m nldump.Message
			if m, rest, err = nldump.NextMessage(rest); err != nil {
				return err
			}
			if m.Type != unix.NLMSG_ERROR || m.Seq-first >= uint32(len(messages)) || len(m.Data) < 4 {
				continue // of an earlier request
			}
			if errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data))); errno != 0 {
				return refusal(errno, m)
			}
			acks--
		}
	}
	return nil
}

// refusal is the errno of an answer, with its text.
func refusal(errno syscall.Errno, m nldump.Message) error {
	const ackTLVs, attrMsg = 0x200, 1 // NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG
	if a := m.Attrs(4 + unix.SizeofNlMsghdr); m.Flags&ackTLVs != 0 && a.Find(attrMsg) {
		return fmt.Errorf("%w: %s", errno, a.Text())
	}
	return errno
}
