// SPDX-License-Identifier: BSD-3-Clause

// Package fakekernel plays the kernel in the tests of package client and of
// those that use it.
package fakekernel

import (
	"encoding/binary"
	"sync"
	"syscall"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/internal/uapi"
)

// An Entry is what the fake table knows of an entry.
type Entry struct {
	ID                uint32
	Name              string
	Value, Generation uint64
	Deleted           bool
}

// A Kernel has a table with a log of changes. It dumps the table by pages that
// are made when they are read, and sends events to sockets that may overflow,
// as the module does.
type Kernel struct {
	// The caller of any method but Sockets holds the lock, unless nobody uses the
	// sockets.
	sync.Mutex

	// Step, if not nil, is called without the lock whenever somebody asks
	// something of the kernel: the table may change there.
	Step func()
	// Answered, if not nil, is called without the lock after a request for the
	// generation, before its sender gets the reply.
	Answered func()

	Family     uint16 // 0: not loaded
	Entries    map[uint32]Entry
	Generation uint64 // completed
	History    map[uint64]map[uint32]Entry
	Listeners  []*Listener
	Open       int // dumps

	QueueLimit int             // events that fit into a socket
	PerPage    int             // records
	DumpErrors []syscall.Errno // of the next dumps: one page, then this
	Overrun    bool            // the next page of a dump is an ENOBUFS
	Fulls      int             // dumps of the whole table

	log     map[uint64]Entry
	floor   uint64
	filling []uint32 // ids of a fill that is being made: generations follow
}

// The name and the number of the family's multicast group.
const (
	groupName = "entries"
	group     = 77
)

// New returns a kernel with the module loaded and an empty table. The family's
// number is script.Type.
func New() *Kernel {
	k := &Kernel{QueueLimit: 1 << 20, PerPage: 3}
	k.Load(script.Type)
	return k
}

func (k *Kernel) ask() {
	k.Lock()
	step := k.Step
	k.Unlock()
	if step != nil {
		step()
	}
}

// Load begins a new table, of a family with the number.
func (k *Kernel) Load(family uint16) {
	k.Family, k.Generation, k.floor = family, 1, 0
	k.Entries, k.log = make(map[uint32]Entry), make(map[uint64]Entry)
	k.History = map[uint64]map[uint32]Entry{1: {}}
}

// Unload tells all Listeners that the family goes.
func (k *Kernel) Unload() {
	k.Hold(false)
	for _, l := range k.Listeners {
		l.Push(script.Message(unix.GENL_ID_CTRL, 0, []byte{unix.CTRL_CMD_DELFAMILY, 2, 0, 0},
			script.Attr(unix.CTRL_ATTR_FAMILY_ID, binary.NativeEndian.AppendUint16(nil, k.Family))))
	}
	k.Listeners, k.Family = nil, 0
}

// Sockets is what sockets.Dial takes.
func (k *Kernel) Sockets() sockets.Dialer {
	return sockets.Dialer{Requests: k.dialRequests, Dump: k.dialDump, Events: k.dialEvents}
}

func (k *Kernel) dialRequests() (*genetlink.Conn, error) {
	return genltest.Dial(func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
		k.ask()
		k.Lock()
		family := k.Family
		answered := k.Answered
		k.Unlock()
		switch {
		case n.Header.Type != unix.GENL_ID_CTRL:
			if uint16(n.Header.Type) != family {
				return nil, genltest.Error(int(unix.ENOENT))
			}
			k.Lock()
			k.FillEnd(k.Generation%2 == 0) // it holds the lock that this request waits for
			generation := k.Generation
			k.Unlock()
			if answered != nil {
				answered()
			}
			return []genetlink.Message{{
				Header: genetlink.Header{Command: uapi.CmdTableGet, Version: uapi.Version},
				Data:   script.U64(uapi.AttrTableGeneration, generation),
			}}, nil
		case family == 0:
			return nil, genltest.Error(int(unix.ENOENT))
		}
		return genltest.ServeFamily(genetlink.Family{ID: family, Version: uapi.Version, Name: "bulkdump",
			Groups: []genetlink.MulticastGroup{{ID: group, Name: groupName}}}, nil)(m, n)
	}), nil
}
