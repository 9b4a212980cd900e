// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A Socket is a netlink socket, as far as a Stream needs it. [Open] makes one from a
// real socket; a test can script one.
type Socket interface {
	// Send sends a request and returns it with its sequence number and port id
	// filled in.
	Send(Message) (Message, error)

	// Recv waits for a datagram and copies it to buf. A datagram longer than buf
	// is cut, and its full length returned. If a deadline passes while Recv waits,
	// the error is an os.ErrDeadlineExceeded; after a Close, an os.ErrClosed.
	Recv(buf []byte) (Datagram, error)

	// SetReadDeadline makes Recv give up at that time, also one that waits
	// already. The zero time means never.
	SetReadDeadline(time.Time) error

	Close() error
}

// A PollSocket is a Socket that can also look without waiting. That tells a reader
// of events that the receive queue is empty.
type PollSocket interface {
	Socket

	// Poll is Recv that does not wait. If there is no datagram, the error is
	// unix.EAGAIN.
	Poll(buf []byte) (Datagram, error)
}

// A Datagram is what Recv returns about a datagram, besides its bytes.
type Datagram struct {
	Len   int    // full length, even if more than the buffer holds
	From  uint32 // port id of the sender; 0 is the kernel
	Group uint32 // number of the multicast group it was sent to; 0 means to this socket only
}

// foreign tells whether it is not an answer of the kernel to this socket.
func (d Datagram) foreign() bool { return d.From != 0 || d.Group != 0 }

// conn is a Socket on the file descriptor of a netlink.Conn.
type conn struct {
	*netlink.Conn
	raw    syscall.RawConn
	closed atomic.Bool

	protocol int  // NETLINK_ROUTE …
	primed   bool // it was read with a page buffer; see Stream.prime

	// For recvmsg, here so that a read allocates nothing.
	read  func(fd uintptr) bool
	poll  func(fd uintptr) bool
	msg   unix.Msghdr
	iov   unix.Iovec
	from  unix.RawSockaddrNetlink
	ctrl  [unix.SizeofCmsghdr + 8]byte // struct nl_pktinfo, padded
	n     int
	errno syscall.Errno
}

// Open returns a Socket that reads from c's file descriptor, for [New]. It sets the
// socket options that help a dump, as far as the kernel has them: extended
// acknowledgements, acknowledgements without the request (NETLINK_CAP_ACK), and what
// Config says about strict checking and the receive buffer. Do not receive from c any
// more. Closing the Socket closes c.
//
// c may have joined multicast groups. Their events share the receive queue with the
// pages of a dump: a Stream hands them to Dump.Foreign, and drops them if that is nil.
// If you must not lose events, use a socket of their own.
func Open(c *netlink.Conn, cfg Config) (PollSocket, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := setOptions(c, cfg); err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("nldump: %w", err)
	}
	if cfg.ReceiveBuffer > 0 {
		if err := setReceiveBuffer(raw, cfg.ReceiveBuffer); err != nil {
			return nil, err
		}
	}
	s := &conn{Conn: c, raw: raw}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		s.protocol, optErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
	})
	if err := errors.Join(err, optErr); err != nil {
		return nil, fmt.Errorf("nldump: protocol of the socket: %w", err)
	}
	s.read = s.recvmsg
	s.poll = func(fd uintptr) bool {
		if !s.recvmsg(fd) {
			s.errno = unix.EAGAIN
		}
		return true
	}
	return s, nil
}

// recvmsg is called by the runtime's poller; false means: wait until readable. The
// call must not be a RawSyscall, because the kernel makes the next page in it.
func (s *conn) recvmsg(fd uintptr) bool {
	for {
		s.msg.Name = (*byte)(unsafe.Pointer(&s.from))
		s.msg.Namelen = unix.SizeofSockaddrNetlink
		s.msg.Iov = &s.iov
		s.msg.SetIovlen(1)
		s.msg.Control = &s.ctrl[0]
		s.msg.SetControllen(len(s.ctrl))
		// With MSG_TRUNC the result is the datagram's full length
		// (af_netlink.c:netlink_recvmsg).
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.msg)), unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		s.n, s.errno = int(n), errno
		return true
	}
}

// Recv implements Socket.
func (s *conn) Recv(buf []byte) (Datagram, error) { return s.receive(buf, s.read) }

// Poll implements PollSocket.
func (s *conn) Poll(buf []byte) (Datagram, error) { return s.receive(buf, s.poll) }

func (s *conn) receive(buf []byte, read func(fd uintptr) bool) (Datagram, error) {
	s.iov.Base = unsafe.SliceData(buf)
	s.iov.SetLen(len(buf))
	err := s.raw.Read(read)
	s.iov.Base = nil
	if err != nil {
		return Datagram{}, s.orClosed(err)
	}
	if s.errno != 0 {
		return Datagram{}, os.NewSyscallError("recvmsg", s.errno)
	}
	return Datagram{Len: s.n, From: s.from.Pid, Group: s.group()}, nil
}

// group is the number in NETLINK_PKTINFO. The address has a mask of groups, which
// lacks those above 32 (af_netlink.c:netlink_group_mask).
func (s *conn) group() uint32 {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&s.ctrl))
	if s.msg.Controllen < unix.SizeofCmsghdr+4 || h.Level != unix.SOL_NETLINK || h.Type != unix.NETLINK_PKTINFO {
		return 0
	}
	return binary.NativeEndian.Uint32(s.ctrl[unix.SizeofCmsghdr:])
}

// Send implements Socket.
func (s *conn) Send(m Message) (Message, error) {
	sent, err := s.Conn.Send(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(m.Type), Flags: netlink.HeaderFlags(m.Flags)},
		Data:   m.Data,
	})
	m.Seq, m.PortID = sent.Header.Sequence, sent.Header.PID
	return m, s.orClosed(err)
}

// SetReadDeadline implements Socket.
func (s *conn) SetReadDeadline(t time.Time) error { return s.orClosed(s.Conn.SetReadDeadline(t)) }

// Close implements Socket.
func (s *conn) Close() error {
	s.closed.Store(true)
	return s.Conn.Close()
}

// orClosed makes an error after Close an os.ErrClosed: the poller and the library
// have errors of their own.
func (s *conn) orClosed(err error) error {
	if err != nil && s.closed.Load() {
		return fmt.Errorf("%w (%v)", os.ErrClosed, err)
	}
	return err
}

// dialSocket opens a socket as the configuration has it.
func dialSocket(family int, cfg Config) (Socket, error) {
	ns := cfg.NetNS
	if cfg.NetNSPath != "" {
		f, err := os.Open(cfg.NetNSPath)
		if err != nil {
			return nil, fmt.Errorf("nldump: network namespace: %w", err)
		}
		defer f.Close()
		ns = int(f.Fd())
	}
	c, err := netlink.Dial(family, &netlink.Config{NetNS: ns})
	if err != nil {
		if ns != 0 {
			return nil, fmt.Errorf("nldump: in network namespace %s: %w", cfg.netNSName(), err)
		}
		return nil, fmt.Errorf("nldump: %w", err)
	}
	sock, err := Open(c, cfg)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return sock, nil
}

func (c Config) netNSName() string {
	if c.NetNSPath != "" {
		return c.NetNSPath
	}
	return fmt.Sprintf("(file descriptor %d)", c.NetNS)
}

// setOptions sets the options that help a dump, as far as the kernel has them.
func setOptions(c *netlink.Conn, cfg Config) error {
	options := []netlink.ConnOption{netlink.ExtendedAcknowledge, netlink.CapAcknowledge, netlink.PacketInfo}
	if !cfg.NoStrictCheck {
		options = append(options, netlink.GetStrictCheck)
	}
	for _, o := range options {
		if err := c.SetOption(o, true); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
			return fmt.Errorf("nldump: socket option %d: %w", o, err)
		}
	}
	return nil
}

// setReceiveBuffer makes the receive queue at least n bytes long, or fails. The
// kernel doubles the size, for what it needs besides the messages
// (net/core/sock.c:__sock_set_rcvbuf), and cuts it silently to net.core.rmem_max
// unless it is forced.
func setReceiveBuffer(raw syscall.RawConn, n int) error {
	var got int
	var err error
	control := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n)
		if errors.Is(err, unix.EPERM) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n)
		}
		if err == nil {
			got, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		}
	})
	if err := errors.Join(control, err); err != nil {
		return fmt.Errorf("nldump: receive buffer of %d bytes: %w", n, err)
	}
	if got /= 2; got < n {
		return fmt.Errorf("nldump: receive buffer of %d bytes: the kernel gives %d, more with a higher net.core.rmem_max, or to CAP_NET_ADMIN: %w",
			n, got, os.ErrPermission)
	}
	return nil
}
