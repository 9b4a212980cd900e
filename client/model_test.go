// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"maps"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// A model is the kernel's table in this process: its entries, its log of
// changes and its dumps, which see the table at the time when a page is built.
// It can reconstruct the table of each generation.
type model struct {
	pageRecords   int // records per page
	tombstonesMax int
	bytes         uint64             // returned by table-get
	busy          func()             // called at each look at the table, to change it
	recv          func(*script.Step) // called with each page that is read, to change it

	kernel scriptedKernel // answers requests

	mu         sync.Mutex
	generation uint64
	floor      uint64
	entries    map[uint32]version
	log        map[uint64]change
	history    []change // by generation
	sockets    []*modelSocket
}

// A version is a state of an entry. Different versions have different values.
type version struct{ generation, value uint64 }

// A change is the change that made a generation. A flush deletes all entries.
type change struct {
	id             uint32
	value          uint64
	deleted, flush bool
}

func newModel() *model {
	m := &model{pageRecords: 3, tombstonesMax: 1 << 20, entries: make(map[uint32]version), log: make(map[uint64]change)}
	m.history = []change{{flush: true}} // stands for generation 0, which does not exist
	m.change(change{flush: true})
	m.kernel.answer = m.answer
	return m
}

// client connects to the model.
func (m *model) client(t testing.TB) *Client {
	t.Helper()
	c, err := m.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (m *model) dial() (*Client, error) {
	m.kernel.family = fakeFamily
	return dial(sockets.Dialer{Requests: m.kernel.dialRequests, Dump: m.dialDump})
}

// change makes a change, as table.c and log.c do.
func (m *model) change(c change) {
	m.generation++
	m.history = append(m.history, c)
	if c.flush {
		clear(m.entries)
		clear(m.log)
		m.floor = m.generation
		return
	}
	if old, ok := m.entries[c.id]; ok {
		delete(m.log, old.generation)
	}
	m.log[m.generation] = c
	if !c.deleted {
		m.entries[c.id] = version{m.generation, c.value}
		return
	}
	delete(m.entries, c.id)
	if dead := m.tombstones(); len(dead) > m.tombstonesMax {
		delete(m.log, dead[0])
		m.floor = dead[0]
	}
}

func (m *model) tombstones() (dead []uint64) {
	for _, g := range slices.Sorted(maps.Keys(m.log)) {
		if m.log[g].deleted {
			dead = append(dead, g)
		}
	}
	return dead
}

// set creates entries with the ids.
func (m *model) set(ids ...uint32) {
	for _, id := range ids {
		m.change(change{id: id, value: uint64(id) * 10})
	}
}

func (m *model) del(id uint32) { m.change(change{id: id, deleted: true}) }

// at returns the table of a generation.
func (m *model) at(generation uint64) map[uint32]version {
	table := make(map[uint32]version)
	for g, c := range m.history[:generation+1] {
		switch {
		case c.flush:
			clear(table)
		case c.deleted:
			delete(table, c.id)
		default:
			table[c.id] = version{uint64(g), c.value}
		}
	}
	return table
}

// look is called when a reader looks at the table. It may change the table.
func (m *model) look() {
	if m.busy != nil {
		m.busy()
	}
}

// answer answers table-get.
func (m *model) answer(r genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.look()
	attrs := [][]byte{
		script.U64(uapi.AttrTableGeneration, m.generation), script.U64(uapi.AttrTableCount, uint64(len(m.entries))),
		script.U64(uapi.AttrTableBytes, m.bytes),
	}
	if ids := slices.Sorted(maps.Keys(m.entries)); len(ids) > 0 {
		attrs = append(attrs, script.U32(uapi.AttrTableIDMin, ids[0]), script.U32(uapi.AttrTableIDMax, ids[len(ids)-1]))
	}
	return reply(r.Header.Command, attrs...), nil
}

func (m *model) dialDump(cfg nldump.Config) (*nldump.Stream, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &modelSocket{m: m, Socket: script.New()}
	s.Asked, s.Next = s.start, s.nextPage
	m.sockets = append(m.sockets, s)
	return nldump.New(s, cfg)
}

// A modelSocket dumps a model as dump.c does: it builds a page when the
// previous one has been read.
type modelSocket struct {
	*script.Socket
	m *model

	since      *uint64
	from, to   uint32 // the range of ids
	filtered   uint16 // the flag of each record, if there is a filter
	next, last uint64 // ids, or generations with since
	seq        uint64 // the value of cb->prev_seq
	page       []byte
	more       bool
}

// start starts the dump of a request.
func (s *modelSocket) start(req nldump.Message) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.look()
	s.parse(req.Data[genlHeaderLen:])
	s.seq = s.m.generation
	s.next, s.last = uint64(s.from), uint64(s.to)
	if s.since != nil {
		if *s.since < s.m.floor || *s.since > s.m.generation {
			s.page, s.more = script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.ESTALE)), false
			return
		}
		s.next, s.last = *s.since+1, s.m.generation
	}
	s.makePage()
}

func (s *modelSocket) parse(b []byte) {
	s.since, s.from, s.to, s.filtered = nil, 0, math.MaxUint32, 0
	for a := nldump.Parse(b); a.Next(); {
		switch a.Type() {
		case uapi.AttrEntrySince:
			since := a.Uint()
			s.since = &since
		case uapi.AttrEntryFilter:
			s.filtered = unix.NLM_F_DUMP_FILTERED
			for f := a.Nested(); f.Next(); {
				switch f.Type() {
				case uapi.AttrFilterIDFrom:
					s.from = f.Uint32()
				case uapi.AttrFilterIDTo:
					s.to = f.Uint32()
				}
			}
		}
	}
}

// nextPage returns what a read gets. The read makes room for another page.
func (s *modelSocket) nextPage() script.Step {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	step := script.Page(s.page)
	if s.m.recv != nil {
		s.m.recv(&step)
	}
	if s.more && !step.Wait {
		s.makePage()
	}
	return step
}

func (s *modelSocket) makePage() {
	s.page, s.more = nil, false
	begun, seq := s.next, s.m.generation
	for n := 0; ; n++ {
		s.m.look()
		place, id, generation := s.find()
		s.more = generation != 0 && n == s.m.pageRecords
		if generation == 0 || s.more {
			break
		}
		s.next = place + 1
		attrs := [][]byte{script.U64(uapi.AttrEntryGeneration, generation)}
		if c := s.m.history[generation]; c.deleted {
			attrs = append(attrs, script.Attr(uapi.AttrEntryDeleted))
		} else {
			attrs = append(attrs, script.U64(uapi.AttrEntryValue, c.value))
		}
		s.page = append(s.page, entry(s.flag(seq)|s.filtered, id, attrs...)...)
	}
	if s.since != nil && s.m.floor >= begun { // check_floor()
		s.page, s.more = append(s.page, script.Done(s.flag(s.m.generation), unix.ESTALE)...), false
	} else if !s.more {
		s.page = append(s.page, script.Done(s.flag(s.m.generation), 0)...)
	}
}

// flag does what genl_dump_check_consistent() does to a message.
func (s *modelSocket) flag(seq uint64) (flag uint16) {
	if seq != s.seq {
		flag = unix.NLM_F_DUMP_INTR
	}
	s.seq = seq
	return flag
}

// find returns the next record and its place. The generation is 0 if there is none.
func (s *modelSocket) find() (place uint64, id uint32, generation uint64) {
	if s.since != nil {
		for place := s.next; place <= s.last; place++ {
			if c, there := s.m.log[place]; there && c.id >= s.from && c.id <= s.to {
				return place, c.id, place
			}
		}
		return 0, 0, 0
	}
	place = s.last + 1
	for id, v := range s.m.entries {
		if at := uint64(id); at >= s.next && at < place {
			place, generation = at, v.generation
		}
	}
	return place, uint32(place), generation
}
