// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"bulkdump/client"
)

// ErrReloaded says that the module was unloaded and loaded again. It has another
// table, whose generations start again. Open another Mirror.
var ErrReloaded = errors.New("the bulkdump module was loaded again: this is another table")

// The defaults in Options.
const (
	DefaultResyncInterval = 100 * time.Millisecond
	DefaultChangesLimit   = 1024
)

// Options says how a mirror keeps up. The zero value is usable.
type Options struct {
	// ReceiveBuffer is that of client.WatchOptions. The larger it is, the fewer
	// events are lost when many come at once. A loss costs a dump of what
	// changed since, and nothing else.
	ReceiveBuffer int

	// ResyncInterval is the least time from the end of one dump to the start of
	// the next; 0 means DefaultResyncInterval. The time is never less than a
	// quarter of what the dump took. Up to half of it is added at random, so
	// that many mirrors that lose events at once do not all dump at once. It
	// doubles with each dump that fails for a reason that may go away, up to
	// 10 s, until a dump succeeds.
	ResyncInterval time.Duration

	// ChangesLimit is how many changes may wait for a reader of Changes before
	// ErrLagged; 0 means DefaultChangesLimit.
	ChangesLimit int
}

// Stats counts what a mirror did.
type Stats struct {
	Entries    int    `json:"entries"`
	Generation uint64 `json:"generation"`
	Synced     bool   `json:"synced"`      // it is the table of that generation
	Events     uint64 `json:"events"`      // read
	Old        uint64 `json:"old"`         // events and records that said nothing new
	Overruns   uint64 `json:"overruns"`    // client.ErrOverrun: events were lost
	Gaps       uint64 `json:"gaps"`        // a generation had no event
	Fills      uint64 `json:"fills"`       // client.EventFill, which does not say what it made
	Deltas     uint64 `json:"deltas"`      // dumps of what changed since a generation
	FullPasses uint64 `json:"full_passes"` // dumps of the whole table, with the first one
	Stale      uint64 `json:"stale"`       // deltas for which the log did not reach back (client.ErrStale)
	Retries    uint64 `json:"retries"`     // dumps that failed for a reason that may go away
	Records    uint64 `json:"records"`     // of all dumps
}

// A Mirror is a copy of the table that follows its changes, and that is the exact
// table once the table rests. Several goroutines may call its methods at once.
// They share the payloads that Get and All return, and must not change them.
type Mirror struct {
	c        *client.Client
	w        *client.Watcher
	interval time.Duration
	limit    int
	cancel   context.CancelFunc
	wake     chan struct{} // holds a token when there may be a reason for a dump
	done     chan struct{}
	running  sync.WaitGroup

	mu     sync.Mutex // guards all below
	change *sync.Cond // signalled by each event, each dump and the end
	table  replica
	horizon
	losses   uint64               // how often something was missing, or may have been
	repaired uint64               // how many of those losses a dump has repaired
	full     bool                 // only a dump of the whole table helps
	target   uint64               // the generation up to which the last dump may have seen the table
	waits    map[*uint64]struct{} // generations that callers wait for
	feeds    map[*feed]struct{}
	stats    Stats
	err      error
}

// Open makes a mirror of the client's table. It returns once it has subscribed to
// the table's changes; Synced waits for the dump of the table. The mirror has two
// sockets and holds the whole table in memory. It goes on until the context is
// done, Close is called, or an error ends it (Err).
func Open(ctx context.Context, c *client.Client, o Options) (*Mirror, error) {
	if o.ResyncInterval < 0 || o.ChangesLimit < 0 {
		return nil, fmt.Errorf("mirror: resync interval of %v, limit of %d changes", o.ResyncInterval, o.ChangesLimit)
	}
	w, err := c.OpenWatch(ctx, client.WatchOptions{ReceiveBuffer: o.ReceiveBuffer})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &Mirror{
		c: c, w: w, cancel: cancel,
		interval: cmp.Or(o.ResyncInterval, DefaultResyncInterval),
		limit:    cmp.Or(o.ChangesLimit, DefaultChangesLimit),
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		waits:    make(map[*uint64]struct{}),
		feeds:    make(map[*feed]struct{}),
		horizon:  horizon{open: true}, losses: 1, full: true, // nothing is known
	}
	m.change = sync.NewCond(&m.mu)
	m.running.Go(func() { m.replay(ctx) })
	m.running.Go(func() { m.resync(ctx) })
	return m, nil
}

// Close ends the mirror and waits until its sockets are closed. You can still read
// what it holds. Closing again does nothing.
func (m *Mirror) Close() error {
	m.end(client.ErrClosed)
	m.running.Wait()
	return nil
}

// Err tells why the mirror has ended: client.ErrNoFamily when the module was
// unloaded, ErrReloaded, client.ErrClosed, the context's error, or any other error
// that does not go away. It is nil while the mirror runs.
func (m *Mirror) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Done is closed when the mirror has ended: Err tells why.
func (m *Mirror) Done() <-chan struct{} { return m.done }

// end ends the mirror for a reason; the first one counts.
func (m *Mirror) end(err error) {
	m.mu.Lock()
	if m.err == nil {
		m.err = err
		close(m.done)
	}
	m.change.Broadcast()
	m.mu.Unlock()
	m.cancel()
	_ = m.w.Close()
}

// Get returns the entry with the id, if there is one.
func (m *Mirror) Get(id uint32) (client.Entry, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.table.entries.Get(id)
	if !ok {
		return client.Entry{}, false
	}
	return h.entry, true
}

// All yields the entries in rising order of their ids, as they are when the loop
// starts. The loop does not see what changes meanwhile. The mirror goes on, and
// the loop may call its methods.
func (m *Mirror) All() iter.Seq[client.Entry] {
	return func(yield func(client.Entry) bool) {
		m.mu.Lock()
		all := m.table.snapshot()
		m.mu.Unlock()
		all(yield)
	}
}

// Len returns the number of entries.
func (m *Mirror) Len() int { return m.Stats().Entries }

// Generation returns the generation up to which the mirror has all changes. When
// the mirror is synced it has nothing newer: it is the table of that generation.
func (m *Mirror) Generation() uint64 { return m.Stats().Generation }

// Stats returns the figures so far.
func (m *Mirror) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Entries, s.Generation, s.Synced = m.table.entries.Len(), m.complete, m.synced()
	return s
}

// Synced blocks until the mirror has caught up: it is the exact table of its
// Generation, and knows of no loss. It may fall behind and catch up again; Stats
// tells how it is now.
func (m *Mirror) Synced(ctx context.Context) error { return m.Wait(ctx, 0) }

// Wait blocks until the mirror has caught up with a generation, such as the one
// that a change of your own returned. Then the mirror is synced and has the change.
// It does not get there while changes come faster than they can be read.
func (m *Mirror) Wait(ctx context.Context, generation uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits[&generation] = struct{}{}
	defer delete(m.waits, &generation)
	m.nudge()
	return m.until(ctx, func() bool { return m.synced() && m.complete >= generation })
}

// until waits until ok is true or the mirror has ended. The caller holds mu.
func (m *Mirror) until(ctx context.Context, ok func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.change.Broadcast()
	})
	defer stop()
	for {
		switch {
		case ok():
			return nil
		case m.err != nil:
			return m.err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		m.change.Wait()
	}
}

// synced tells whether the mirror is complete up to everything that the last dump
// may have brought. The caller holds mu.
func (m *Mirror) synced() bool {
	return !m.full && m.losses == m.repaired && m.complete >= m.target
}
