// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

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

// setOptions sets what a dump is better with, as far as the kernel has it.
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

// setReceiveBuffer makes the receive queue of at least n bytes, or fails. The
// kernel doubles what it is given, for what it needs beside the messages
// (net/core/sock.c:__sock_set_rcvbuf), and cuts it silently to
// net.core.rmem_max unless it is forced.
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
