// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// A model is the kernel's table in this process: its entries, its log of changes
// and its dumps, which see the table as it is when a page is made. It knows of
// each generation what the table was.
type model struct {
	pageRecords   int // a page has so many
	tombstonesMax int
	bytes         uint64             // what table-get says
	busy          func()             // called with each look at the table, to change it
	recv          func(*script.Step) // called with each page that is read, to change it

	kernel fakeKernel // answers requests

	mu         sync.Mutex
	generation uint64
	floor      uint64
	entries    map[uint32]version
	log        map[uint64]change
	history    []change // by generation
	sockets    []*modelSocket
}

// A version of an entry: values differ between them.
type version struct{ generation, value uint64 }

// A change is what came with a generation. A flush deletes all.
type change struct {
	id             uint32
	value          uint64
	deleted, flush bool
}

func newModel() *model {
	m := &model{pageRecords: 3, tombstonesMax: 1 << 20, entries: make(map[uint32]version), log: make(map[uint64]change)}
	m.history = []change{{flush: true}} // of generation 0, which is none
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

// set makes entries with the ids.
func (m *model) set(ids ...uint32) {
	for _, id := range ids {
		m.change(change{id: id, value: uint64(id) * 10})
	}
}

func (m *model) del(id uint32) { m.change(change{id: id, deleted: true}) }

// at is the table of a generation.
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

// look is called where a reader looks at the table, which others change.
func (m *model) look() {
	if m.busy != nil {
		m.busy()
	}
}

// answer is that to table-get.
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
