// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// A tableKernel has a table with a log of changes, dumps it by pages that are
// made when they are read, and sends events to sockets that may overflow: all as
// the module does it.
type tableKernel struct {
	mu sync.Mutex

	// step is called, without a lock held, whenever somebody asks something of
	// the kernel: the table may change there.
	step func()

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
		defer k.mu.Unlock()
		switch {
		case n.Header.Type != unix.GENL_ID_CTRL:
			if uint16(n.Header.Type) != k.family {
				return nil, genltest.Error(int(unix.ENOENT))
			}
			k.fillEnd(k.generation%2 == 0) // who has the lock ends before this gets it
			return reply(cmdTableGet, script.U64(attrTableGeneration, k.generation)), nil
		case k.family == 0:
			return nil, genltest.Error(int(unix.ENOENT))
		}
		return genltest.ServeFamily(genetlink.Family{ID: k.family, Version: 1, Name: FamilyName,
			Groups: []genetlink.MulticastGroup{{ID: 77, Name: eventGroup}}}, nil)(m, n)
	}), nil
}

// --- changes ---

// change makes one change and its event; k.mu is held.
func (k *tableKernel) change(kind EventKind, e Entry) {
	k.fillEnd(false)
	k.generation++
	e.Generation = k.generation
	if old, ok := k.entries[e.ID]; ok && kind != EventFlush {
		delete(k.log, old.Generation)
	}
	switch kind {
	case EventNew, EventSet:
		k.entries[e.ID] = e
		k.log[e.Generation] = e
		k.send(map[EventKind]uint8{EventNew: cmdEntryNewNtf, EventSet: cmdEntrySetNtf}[kind], entryAttrs(e))
	case EventDel:
		e = Entry{ID: e.ID, Generation: e.Generation, Deleted: true}
		delete(k.entries, e.ID)
		k.log[e.Generation] = e
		k.send(cmdEntryDelNtf, script.U32(attrEntryID, e.ID), script.U64(attrEntryGeneration, e.Generation))
	case EventFlush:
		count := len(k.entries)
		clear(k.entries)
		clear(k.log)
		k.floor = k.generation
		k.send(cmdTableFlushNtf, script.U64(attrTableCount, uint64(count)), script.U64(attrTableGeneration, k.generation))
	}
	k.remember()
}

func (k *tableKernel) remember() { k.history[k.generation] = maps.Clone(k.entries) }

// put is new or set of an entry, as it has to be.
func (k *tableKernel) put(e Entry) {
	k.fillEnd(false)
	kind := EventNew
	if _, ok := k.entries[e.ID]; ok {
		kind = EventSet
	}
	k.change(kind, e)
}

func (k *tableKernel) del(id uint32) {
	k.fillEnd(false)
	if _, ok := k.entries[id]; ok {
		k.change(EventDel, Entry{ID: id})
	}
}

// fillBegin makes entries that a dump sees, and that may have to go again.
func (k *tableKernel) fillBegin(from uint32, count int) {
	k.fillEnd(false)
	for id := from; id < from+uint32(count); id++ {
		if _, ok := k.entries[id]; ok {
			return
		}
	}
	for i := range uint64(count) {
		e := Entry{ID: from + uint32(i), Name: "filled", Generation: k.generation + 1 + i}
		k.entries[e.ID], k.log[e.Generation] = e, e
		k.filling = append(k.filling, e.ID)
	}
}

// fillEnd ends the fill that is being made, if there is one.
func (k *tableKernel) fillEnd(undo bool) {
	if len(k.filling) == 0 {
		return
	}
	for i, id := range k.filling {
		if undo {
			g := k.generation + 1 + uint64(i)
			delete(k.entries, id)
			k.log[g] = Entry{ID: id, Generation: g, Deleted: true}
		}
	}
	k.generation += uint64(len(k.filling))
	if !undo {
		k.send(cmdTableFillNtf, script.U32(attrFillCount, uint32(len(k.filling))), script.U32(attrFillIDStart, k.filling[0]),
			script.U32(attrFillIDStride, 1), script.U64(attrFillGeneration, k.generation))
	}
	k.filling = nil
	k.remember()
}

// forget drops the log up to now.
func (k *tableKernel) forget() {
	k.fillEnd(false)
	for g, e := range k.log {
		if e.Deleted {
			delete(k.log, g)
		}
	}
	k.floor = k.generation
}

func entryAttrs(e Entry) []byte {
	return slices.Concat(script.U32(attrEntryID, e.ID), script.Text(attrEntryName, e.Name),
		script.U64(attrEntryValue, e.Value), script.U64(attrEntryGeneration, e.Generation))
}

// --- events ---

func (k *tableKernel) send(cmd uint8, attrs ...[]byte) {
	m := script.Message(k.family, 0, append([][]byte{{cmd, familyVersion, 0, 0}}, attrs...)...)
	for _, l := range k.listeners {
		l.push(m)
	}
}

// A listener is a socket in the groups.
type listener struct {
	script.Live
	k *tableKernel

	mu        sync.Mutex
	queue     [][]byte
	congested bool
	overrun   bool // ENOBUFS is due
}

// hold makes the readers of events wait, whatever there is, or go on.
func (k *tableKernel) hold(on bool) {
	for _, l := range k.listeners {
		l.Hold(on)
	}
}

func (k *tableKernel) dialEvents(_ int, groups ...uint32) (nldump.PollSocket, error) {
	k.ask()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(groups, []uint32{unix.GENL_ID_CTRL, 77}) {
		return nil, unix.EINVAL
	}
	l := &listener{k: k}
	l.Init(l.pop)
	if k.family != 0 {
		k.listeners = append(k.listeners, l)
	}
	return l, nil
}

// push is netlink_broadcast_deliver and netlink_overrun.
func (l *listener) push(m []byte) {
	l.mu.Lock()
	if l.congested || len(l.queue) >= l.k.queueLimit {
		l.overrun = l.overrun || !l.congested
		l.congested = true
	} else {
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	l.Changed()
}

// pop is netlink_recvmsg; EAGAIN if there is nothing.
func (l *listener) pop() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m []byte
	var err error
	switch {
	case l.overrun:
		l.overrun, err = false, unix.ENOBUFS
	case len(l.queue) > 0:
		m, l.queue = l.queue[0], l.queue[1:]
	default:
		err = unix.EAGAIN
	}
	if len(l.queue) == 0 {
		l.congested = false
	}
	return m, err
}

// Poll implements nldump.PollSocket.
func (l *listener) Poll(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Poll(buf)
}

// Recv implements nldump.Socket.
func (l *listener) Recv(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Recv(buf)
}

// --- dumps ---

// A dumper is a socket with a dump, whose pages are made as they are read.
type dumper struct {
	script.Live
	k       *tableKernel
	since   *uint64
	started uint64 // generation at the start
	next    uint64 // id or generation
	err     syscall.Errno
	running bool
	ready   []byte // the next page: made when the one before was read
}

func (k *tableKernel) dialDump(cfg nldump.Config) (*nldump.Stream, error) {
	d := &dumper{k: k}
	d.Init(d.page)
	return nldump.New(d, cfg)
}

// Send starts a dump.
func (d *dumper) Send(m netlink.Message) (netlink.Message, error) {
	d.k.ask()
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	m.Header.Sequence, m.Header.PID = script.Seq, script.Port
	d.since, d.err, d.next, d.started = nil, 0, 0, d.k.generation
	if uint16(m.Header.Type) != d.k.family {
		d.err = unix.ENOENT
		return m, nil
	}
	if a := nldump.Parse(m.Data[genlHeaderLen:]); a.Find(attrEntrySince) {
		since := a.Uint()
		d.since, d.next = &since, since+1
		d.k.deltas++
		if since < d.k.floor || since > d.k.generation {
			d.err = unix.ESTALE
			return m, nil
		}
	} else {
		d.k.fulls++
	}
	d.running = true
	d.k.open++
	d.ready = d.make()
	return m, nil
}

// page is netlink_recvmsg: it takes a page, and makes the next.
func (d *dumper) page() ([]byte, error) {
	k := d.k
	k.ask()
	k.mu.Lock()
	defer k.mu.Unlock()
	if d.err != 0 {
		return script.Message(unix.NLMSG_ERROR, 0, script.Errno(d.err), make([]byte, unix.SizeofNlMsghdr)), nil
	}
	if k.overrun {
		k.overrun = false
		return nil, unix.ENOBUFS
	}
	page := d.ready
	if d.running {
		d.ready = d.make()
	}
	return page, nil
}

// make makes a page of the table or the log as it is.
func (d *dumper) make() []byte {
	k := d.k
	var page []byte
	records := d.records()
	stale := d.since != nil && k.floor >= d.next && d.next <= d.started
	for _, e := range records[:min(k.perPage, len(records))] {
		attrs := entryAttrs(e)
		d.next = uint64(e.ID) + 1
		if d.since != nil {
			d.next = e.Generation + 1
		}
		if e.Deleted {
			attrs = slices.Concat(script.U32(attrEntryID, e.ID), script.U64(attrEntryGeneration, e.Generation), script.Attr(attrEntryDeleted))
		}
		page = append(page, script.Message(k.family, unix.NLM_F_MULTI, []byte{cmdEntryGet, familyVersion, 0, 0}, attrs)...)
	}
	var errno syscall.Errno
	switch {
	case stale:
		errno = unix.ESTALE
	case len(k.dumpErrors) > 0:
		errno, k.dumpErrors = k.dumpErrors[0], k.dumpErrors[1:]
	case len(records) > k.perPage:
		return page
	}
	var flags uint16
	if k.generation+uint64(len(k.filling)) != d.started {
		flags = unix.NLM_F_DUMP_INTR
	}
	d.running = false
	k.open--
	return append(page, script.Done(flags, errno)...)
}

// records are those that are to come, as the table and its log are now.
func (d *dumper) records() []Entry {
	var all []Entry
	for id, e := range d.k.entries {
		if d.since == nil && uint64(id) >= d.next {
			all = append(all, e)
		}
	}
	for g, e := range d.k.log {
		if d.since != nil && g >= d.next && g <= d.started {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if d.since != nil {
			return int(a.Generation) - int(b.Generation)
		}
		return int(a.ID) - int(b.ID)
	})
	return all
}

// Close implements nldump.Socket.
func (d *dumper) Close() error {
	d.k.mu.Lock()
	if d.running {
		d.running = false
		d.k.open--
	}
	d.k.mu.Unlock()
	return d.Live.Close()
}
