// SPDX-License-Identifier: BSD-3-Clause

// Package nlsock lists the netlink sockets of the running kernel.
package nlsock

import "cmp"

// A Socket is a netlink socket. What its source does not know is nil.
//
// Its name is (namespace, protocol, port id): the port id alone is not unique. A
// socket without a port id is the kernel's own, to which requests go. A socket that
// was neither bound nor sent from has no name yet, and is not listed.
type Socket struct {
	NetNS    Namespace `json:"netns"`
	Protocol Protocol  `json:"protocol"`
	PortID   uint32    `json:"port_id"`
	Groups   []Group   `json:"groups"` // that it is subscribed to
	Queued   uint32    `json:"queued"` // bytes of memory that wait to be read (rmem)
	RcvBuf   *uint32   `json:"rcvbuf"` // how many there may be
	Drops    uint32    `json:"drops"`  // messages that found no room
	Dump     bool      `json:"dump"`   // one is running: it waits for its reader
	Inode    uint32    `json:"inode"`  // of the file; 0 if it no longer has one
	Owners   []Owner   `json:"owners"` // processes that have the file open, as far as the caller may see them
	Source   Source    `json:"source"`
}

// A Source is where a socket was listed.
type Source string

// The sources.
const (
	Diag Source = "diag" // sock_diag
	Proc Source = "proc" // /proc/net/netlink: without rcvbuf, and of the groups only the first 32
)

// An Owner is a process that has a socket open.
type Owner struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

// key is unique in a namespace. The inode tells a socket from a later one with the
// same port id.
type key struct {
	protocol uint8
	port     uint32
	inode    uint32
}

func (s *Socket) key() key { return key{uint8(s.Protocol), s.PortID, s.Inode} }

func compare(a, b Socket) int {
	return cmp.Or(
		cmp.Compare(a.NetNS.Inode, b.NetNS.Inode),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.PortID, b.PortID),
		cmp.Compare(a.Inode, b.Inode))
}
