// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// The table of a churn. Of each four ids, one exists throughout and is never
// touched, one exists throughout and is changed, and two are created and
// deleted. Entries of fills, which are deleted one by one, have ids above all
// these.
const (
	idUntouched = iota
	idChanged
	idComes
	idComesToo
	idKinds

	fillBase  = 1 << 24
	fillCount = 64
)

// fillForChurn creates the entries that exist throughout.
func fillForChurn(t testing.TB, c *client.Client, count uint32) {
	t.Helper()
	for _, kind := range []uint32{idUntouched, idChanged} {
		fill(t, c, client.FillOptions{Count: count, IDStart: kind, IDStride: idKinds, PayloadMax: 32})
	}
}

// Requests of one system call. All of their replies fit in the socket.
const churnBatch = 128

// A churner makes random changes as fast as the kernel can: many in one system
// call. It tracks which of its ids exist, so that none is refused.
type churner struct {
	s       *rawSocket
	r       *rand.Rand
	nr, of  uint32 // the number of this churner, among those that share the ids
	count   uint32 // ids of each kind, of all churners
	there   map[uint32]bool
	numbers map[uint32]uint32 // of the changed entries that have one: see fields()
	filled  uint32            // entries of the last fill that are left
	batch   []byte
	queued  int
	changes uint64
	made    func(cmd uint8, id uint32) // if not nil, called with each request

	replies [churnBatch][128]byte
	vectors [churnBatch]unix.Iovec
	headers [churnBatch]mmsghdr
}

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newChurner(t testing.TB, nr, of, count uint32) *churner {
	c := &churner{
		s: openRaw(t, client.FamilyName, smallBuffer), r: rand.New(rand.NewPCG(uint64(nr), 1)),
		nr: nr, of: of, count: count, there: make(map[uint32]bool), numbers: make(map[uint32]uint32),
	}
	if err := unix.SetsockoptInt(c.s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20); err != nil {
		t.Fatal(err)
	}
	for i := range c.headers {
		c.vectors[i].Base = &c.replies[i][0]
		c.vectors[i].SetLen(len(c.replies[i]))
		c.headers[i].hdr.Iov = &c.vectors[i]
		c.headers[i].hdr.SetIovlen(1)
	}
	return c
}

func (c *churner) put(cmd uint8, attrs ...[]byte) {
	if c.made != nil {
		c.made(cmd, binary.NativeEndian.Uint32(attrs[0][unix.SizeofNlAttr:]))
	}
	c.batch = append(c.batch, c.s.message(unix.NLM_F_REQUEST, request(cmd, attrs...))...)
	c.queued++
}

// id returns a random id of this churner.
func (c *churner) id(kind uint32) uint32 {
	i := c.r.Uint32N((c.count-c.nr-1)/c.of+1)*c.of + c.nr
	return i*idKinds + kind
}

// step adds a random change to the batch. A fill makes many entries.
func (c *churner) step() {
	switch n := c.r.Uint32N(16); {
	case n < 7: // an entry comes or goes
		id := c.id(idComes + n%2)
		if c.there[id] = !c.there[id]; c.there[id] {
			c.put(cmdEntryNew, append([][]byte{attrU32(attrID, id)}, c.fields(id, fieldsAll)...)...)
		} else {
			c.put(cmdEntryDel, attrU32(attrID, id))
		}
	case n < 14:
		c.set(c.id(idChanged))
	case c.filled == 0:
		c.put(cmdTableFill, attrU32(attrCount, fillCount), attrU32(attrFillStart, c.fillStart()))
		c.filled = fillCount
		c.changes += fillCount - 1
	default:
		c.filled--
		c.put(cmdEntryDel, attrU32(attrID, c.fillStart()+c.filled))
	}
	c.changes++
}

// set changes some of an entry's fields. The name determines its bucket.
func (c *churner) set(id uint32) {
	n, numbered := c.numbers[id]
	which := 1 + c.r.IntN(fieldsAll)
	if !numbered {
		which = fieldsAll
	}
	if which == fieldsAll {
		n = c.r.Uint32N(4)
		c.numbers[id] = n
	}
	c.put(cmdEntrySet, append([][]byte{attrU32(attrID, id)}, c.fields(n, which)...)...)
}

func (c *churner) fillStart() uint32 { return fillBase + c.nr*fillCount }

// flush makes the changes of the batch and reads the kernel's answer to each.
func (c *churner) flush() error {
	err := unix.Sendto(c.s.fd, c.batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err != nil {
		return fmt.Errorf("send %d changes: %w", c.queued, err)
	}
	for read := 0; read < c.queued; {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(c.s.fd),
			uintptr(unsafe.Pointer(&c.headers)), uintptr(c.queued-read), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return fmt.Errorf("%d replies to %d changes: %w", read, c.queued, errno)
		}
		for i := range n {
			if c.headers[i].len < unix.SizeofNlMsghdr+4 {
				return fmt.Errorf("a reply of %d bytes", c.headers[i].len)
			}
			if typ := binary.NativeEndian.Uint16(c.replies[i][4:]); typ != c.s.family {
				errno := -int32(binary.NativeEndian.Uint32(c.replies[i][unix.SizeofNlMsghdr:]))
				return fmt.Errorf("a change was refused: %w", unix.Errno(errno))
			}
		}
		read += int(n)
	}
	c.batch, c.queued = c.batch[:0], 0
	return nil
}

// makeBatch makes a batch of random changes.
func (c *churner) makeBatch() error {
	for c.queued < churnBatch {
		c.step()
	}
	return c.flush()
}

// start changes the table until enough returns true; wait waits for that.
// Processors prefer its thread, so that readers meet many changes for each
// page. In the kernel, a change takes as long as about ten records.
func (c *churner) start(t testing.TB, enough func() bool) (wait func()) {
	t.Helper()
	var thread sync.WaitGroup
	thread.Go(func() {
		prefer(t)
		for !enough() && !t.Failed() {
			if err := c.makeBatch(); err != nil {
				t.Error(err)
			}
		}
	})
	return thread.Wait
}

// churn changes the table, which fillForChurn filled with count entries, on
// several sockets. stop ends that and returns the number of changes.
func churn(t testing.TB, sockets, count uint32) (stop func() uint64) {
	t.Helper()
	before := state(t, dial(t)).Generation
	var churners []*churner
	var stopped atomic.Bool
	var waits []func()
	for nr := range sockets {
		churners = append(churners, newChurner(t, nr, sockets, count))
	}
	for _, c := range churners {
		waits = append(waits, c.start(t, stopped.Load))
	}
	return func() (changes uint64) {
		t.Helper()
		stopped.Store(true)
		for _, wait := range waits {
			wait()
		}
		for _, c := range churners {
			changes += c.changes
		}
		if risen := state(t, dial(t)).Generation - before; risen != changes {
			t.Fatalf("%d changes were made, and the generation rose by %d", changes, risen)
		}
		return changes
	}
}

// prefer makes the processors prefer the goroutine's thread. It ends with the
// goroutine.
func prefer(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10); err != nil {
		t.Error(err)
	}
}
