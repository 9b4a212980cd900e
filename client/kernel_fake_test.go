// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
)

// A tableKernel has a table with a log of changes, dumps it by pages that are
// made when they are read, and sends events to sockets that may overflow: all as
// the module does it.
type tableKernel struct {
	mu sync.Mutex

	// step is called, without a lock held, whenever somebody asks something of
	// the kernel: the table may change there.
	step func()
	// answered is called, without a lock, when the generation was told, and who
	// asked does not know it yet; nil: not.
	answered func()

	family     uint16 // 0: not loaded
	entries    map[uint32]Entry
	generation uint64 // completed
	log        map[uint64]Entry
	floor      uint64
	filling    []uint32 // ids of a fill that is being made: generations follow
	history    map[uint64]map[uint32]Entry
	listeners  []*listener
	open       int // dumps

	queueLimit int             // events that fit into a socket
	perPage    int             // records
	dumpErrors []syscall.Errno // of the next dumps: one page, then this
	overrun    bool            // the next page of a dump is an ENOBUFS
	deltas     int
	fulls      int
}

func newTableKernel() *tableKernel {
	k := &tableKernel{step: func() {}, queueLimit: 1 << 20, perPage: 3}
	k.load(fakeFamily)
	return k
}

func (k *tableKernel) ask() {
	k.mu.Lock()
	step := k.step
	k.mu.Unlock()
	step()
}

// load begins a table, of a family with the number.
func (k *tableKernel) load(family uint16) {
	k.family, k.generation, k.floor = family, 1, 0
	k.entries, k.log = make(map[uint32]Entry), make(map[uint64]Entry)
	k.history = map[uint64]map[uint32]Entry{1: {}}
}

// unload says farewell to who listens.
func (k *tableKernel) unload() {
	k.hold(false)
	for _, l := range k.listeners {
		l.push(script.Message(unix.GENL_ID_CTRL, 0, []byte{unix.CTRL_CMD_DELFAMILY, 2, 0, 0},
			script.Attr(unix.CTRL_ATTR_FAMILY_ID, binary.NativeEndian.AppendUint16(nil, k.family))))
	}
	k.listeners, k.family = nil, 0
}

// dial connects a client.
func (k *tableKernel) dial(t testing.TB) *Client {
	t.Helper()
	c, err := dial(k.dialRequests, k.dialDump)
	if err != nil {
		t.Fatal(err)
	}
	c.dialEvents = k.dialEvents
	return c
}

func (k *tableKernel) dialRequests() (*genetlink.Conn, error) {
	return genltest.Dial(func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
		k.ask()
		k.mu.Lock()
		family := k.family
		answered := k.answered
		k.mu.Unlock()
		switch {
		case n.Header.Type != unix.GENL_ID_CTRL:
			if uint16(n.Header.Type) != family {
				return nil, genltest.Error(int(unix.ENOENT))
			}
			k.mu.Lock()
			k.fillEnd(k.generation%2 == 0) // who has the lock ends before this gets it
			generation := k.generation
			k.mu.Unlock()
			if answered != nil {
				answered()
			}
			return reply(uapi.CmdTableGet, script.U64(uapi.AttrTableGeneration, generation)), nil
		case family == 0:
			return nil, genltest.Error(int(unix.ENOENT))
		}
		return genltest.ServeFamily(genetlink.Family{ID: family, Version: 1, Name: FamilyName,
			Groups: []genetlink.MulticastGroup{{ID: 77, Name: eventGroup}}}, nil)(m, n)
	}), nil
}
