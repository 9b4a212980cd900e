// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// ErrNoDiag says that the kernel has no netlink_diag, or cannot load it.
var ErrNoDiag = errors.New("the kernel has no netlink_diag (CONFIG_NETLINK_DIAG)")

// From include/uapi/linux/netlink_diag.h: package unix lacks them.
const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY

	protocolAll = 0xff // NDIAG_PROTO_ALL
	showMemInfo = 1    // NDIAG_SHOW_MEMINFO
	showGroups  = 2    // NDIAG_SHOW_GROUPS
	showFlags   = 8    // NDIAG_SHOW_FLAGS

	attrMemInfo = 0 // NETLINK_DIAG_MEMINFO
	attrGroups  = 1 // NETLINK_DIAG_GROUPS
	attrFlags   = 4 // NETLINK_DIAG_FLAGS

	flagDump = 1 // NDIAG_FLAG_CB_RUNNING

	// Of the numbers in attrMemInfo (include/uapi/linux/sock_diag.h).
	memQueued = 0 // SK_MEMINFO_RMEM_ALLOC
	memRcvBuf = 1 // SK_MEMINFO_RCVBUF
	memDrops  = 8 // SK_MEMINFO_DROPS
)

// diagRequest is struct netlink_diag_req, for all protocols.
func diagRequest() nldump.Message {
	b := make([]byte, 20)
	b[0], b[1] = unix.AF_NETLINK, protocolAll
	binary.NativeEndian.PutUint32(b[8:], showMemInfo|showGroups|showFlags)
	return nldump.Message{Type: sockDiagByFamily, Data: b}
}

// readDiag lists the sockets of the stream's namespace, without the stream's own.
// net/netlink/diag.c:__netlink_diag_dump has two bugs. At the end of a page, it may
// leave out a socket, because it continues after the one that found no room. And a
// socket that is subscribed to a group comes twice, because its test for sockets
// that were sent already (sk_hashed) is never true.
func readDiag(ctx context.Context, s *nldump.Stream) ([]Socket, error) {
	var all []Socket
	for m, err := range s.Records(ctx, diagRequest()) {
		if errors.Is(err, unix.ENOENT) {
			return nil, ErrNoDiag
		}
		if err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
		sock, err := parseDiag(m.Data)
		if err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
		if sock.Protocol != unix.NETLINK_SOCK_DIAG || sock.PortID != m.PortID {
			all = append(all, sock)
		}
	}
	return all, nil
}

// parseDiag reads struct netlink_diag_msg and the attributes behind it.
func parseDiag(b []byte) (Socket, error) {
	const size = 28
	if len(b) < size {
		return Socket{}, fmt.Errorf("%w: a socket in %d bytes", nldump.ErrMalformed, len(b))
	}
	if b[0] != unix.AF_NETLINK {
		return Socket{}, fmt.Errorf("%w: a socket of address family %d", nldump.ErrMalformed, b[0])
	}
	s := Socket{
		Protocol: Protocol(b[2]),
		PortID:   binary.NativeEndian.Uint32(b[4:]),
		Inode:    binary.NativeEndian.Uint32(b[16:]),
		Source:   Diag,
	}
	a := nldump.Parse(b[size:])
	for a.Next() {
		switch a.Type() {
		case attrMemInfo:
			mem := a.Bytes()
			if len(mem) < 4*(memDrops+1) {
				return Socket{}, fmt.Errorf("%w: memory of a socket in %d bytes", nldump.ErrMalformed, len(mem))
			}
			number := func(i int) uint32 { return binary.NativeEndian.Uint32(mem[4*i:]) }
			rcvbuf := number(memRcvBuf)
			s.Queued, s.RcvBuf, s.Drops = number(memQueued), &rcvbuf, number(memDrops)
		case attrGroups:
			s.Groups = groupsIn(a.Bytes())
		case attrFlags:
			s.Dump = a.Uint32()&flagDump != 0
		}
	}
	return s, a.Err()
}

// groupsIn reads a set of bits in words of the kernel. Group 1 is the lowest bit of
// the first word.
func groupsIn(words []byte) []Group {
	const word = 8
	var groups []Group
	for at := 0; at+word <= len(words); at += word {
		for bits, i := binary.NativeEndian.Uint64(words[at:]), uint32(at)*8; bits != 0; bits, i = bits>>1, i+1 {
			if bits&1 != 0 {
				groups = append(groups, Group{ID: i + 1})
			}
		}
	}
	return groups
}
