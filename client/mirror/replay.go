// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"

	"bulkdump/client"
)

// replay applies the events as they come.
func (m *Mirror) replay(ctx context.Context) {
	for e, err := range m.w.Events(ctx) {
		switch {
		case err == nil:
			m.apply(&e)
		case errors.Is(err, client.ErrOverrun):
			m.overrun()
		default:
			m.end(err)
		}
	}
}

// apply applies an event.
//
// It must ignore an event that is not newer than the horizon. A dump has brought a
// later change, which may be a deletion that no tombstone remembers any more.
func (m *Mirror) apply(e *client.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.change.Broadcast()
	m.stats.Events++
	switch m.horizon.event(e) {
	case eventOld:
		m.stats.Old++
		return
	case eventFill:
		m.stats.Fills++
		m.miss()
	case eventGap:
		m.stats.Gaps++
		m.miss()
	}
	switch e.Kind {
	case client.EventNew, client.EventSet, client.EventDel:
		m.put(&e.Entry, false)
	case client.EventFlush:
		if count := m.table.flush(e.Generation); count > 0 {
			m.tell(client.Event{Kind: client.EventFlush, Generation: e.Generation, Count: count})
		}
	}
}

// put applies an entry. The caller holds mu.
func (m *Mirror) put(e *client.Entry, byPass bool) {
	kind := m.table.put(e, byPass)
	if kind == 0 {
		m.stats.Old++
		return
	}
	m.tell(client.Event{Kind: kind, Generation: e.Generation, Entry: *e})
}

func (m *Mirror) overrun() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Overruns++
	m.lose()
	m.miss()
}

// miss notes that something is missing, and asks for a dump. The caller holds mu.
func (m *Mirror) miss() {
	m.losses++
	m.nudge()
}

// nudge makes resync look for a reason for a dump.
func (m *Mirror) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
