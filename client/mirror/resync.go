// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// settle is how long events may take that are on their way, in intervals
// between dumps. What has not come then has no event: the kernel had to undo a
// fill. That is rare, and so is a Wait for a generation that is in the future.
const settle = 10

// retryMax is the longest time between two dumps that fail, unless the interval
// is longer.
const retryMax = 10 * time.Second

// resync dumps when something is missing, not too often. While dumps fail, the
// time between two doubles.
func (m *Mirror) resync(ctx context.Context) {
	distance := m.interval
	for first := true; m.due(ctx); first = false {
		if !first && !sleep(ctx, rand.N(distance/2+1)) {
			break
		}
		start := time.Now()
		switch err := m.pass(ctx); {
		case err == nil:
			distance = m.interval
		case errors.Is(err, client.ErrStale):
			distance = m.interval
			m.stale()
		case passes(err):
			distance = min(2*distance, max(m.interval, retryMax))
			m.retry()
		default:
			m.end(err)
		}
		if !sleep(ctx, max(distance, time.Since(start)/4)) {
			break
		}
	}
	m.end(ctx.Err())
}

// due waits until there is a reason for a dump. It returns false when ctx is
// done.
//
// Events that somebody waits for have their time from when they were first
// waited for: whoever waits for more, or gives up and asks again, moves nothing.
func (m *Mirror) due(ctx context.Context) bool {
	var goal uint64 // the generation that is to be reached by then
	var settled <-chan time.Time
	for late := false; ; {
		m.mu.Lock()
		missing := m.full || m.losses != m.repaired
		held, wanted := m.held, max(m.target, m.wanted())
		m.mu.Unlock()
		if missing || late && held < goal {
			return ctx.Err() == nil
		}
		if held >= goal {
			goal, settled = wanted, nil
			if held < goal {
				settled = time.After(settle * m.interval)
			}
		}
		late = false
		select {
		case <-ctx.Done():
			return false
		case <-m.wake:
		case <-settled:
			late = true
		}
	}
}

// wanted is, under mu, the largest generation that somebody waits for.
func (m *Mirror) wanted() (largest uint64) {
	for g := range m.waits {
		largest = max(largest, *g)
	}
	return largest
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// passes tells whether an error of a dump may be gone with the next one.
func passes(err error) bool {
	for _, e := range []error{client.ErrOverrun, client.ErrTruncated, unix.ENOMEM, unix.ENOBUFS, unix.EMSGSIZE, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (m *Mirror) stale() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = true
	m.stats.Stale++
}

func (m *Mirror) retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Retries++
}

// pass brings what is missing: a dump of what changed since the horizon, or of
// all.
//
// The generation is asked for first, so whatever changed up to it is in the
// dump, unless it changed again later. Then there is an event, newer than the
// generation, and if that is lost another pass, since the generation. It is
// asked for again at the end: when events have come up to there without a gap,
// the mirror is the table of one generation. Until then it may have what no event
// tells of: entries of a fill that the kernel undid after the dump had sent them.
// That leaves a gap, and the log of changes knows.
func (m *Mirror) pass(ctx context.Context) error {
	m.mu.Lock()
	// A dump brings what is newer than the horizon piece by piece: something is
	// missing until it is over, and if it fails, until the next one is.
	m.losses++
	since, losses, full := m.held, m.losses, m.full
	m.table.begin()
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.table.end(m.held)
		m.change.Broadcast()
	}()

	before, err := m.now(ctx, since)
	if err != nil {
		return err
	}
	after := before
	if full || before > since {
		if err = m.dump(ctx, since, full); err != nil {
			return err
		}
		if after, err = m.now(ctx, before); err != nil {
			return err
		}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	if full {
		for _, id := range m.table.sweep(before) {
			m.tell(client.Event{Kind: client.EventDel, Generation: before, Entry: client.Entry{ID: id, Generation: before, Deleted: true}})
		}
		m.full = false
	}
	m.repaired = losses
	m.target = max(m.target, after)
	if !m.reach(before, m.losses == losses) {
		m.miss()
	}
	return nil
}

// now asks for the table's generation, which is at least least. A change that
// is being made, a fill, is in it: the kernel answers when it is done.
func (m *Mirror) now(ctx context.Context, least uint64) (uint64, error) {
	t, err := m.c.Table(ctx)
	if err == nil && (m.w.Reloaded() || t.Generation < least) {
		err = ErrReloaded
	}
	return t.Generation, err
}

// dump applies the records of a dump.
func (m *Mirror) dump(ctx context.Context, since uint64, full bool) error {
	o := client.DumpOptions{}
	if !full {
		o.Since = &since
	}
	m.mu.Lock()
	if full {
		m.stats.FullPasses++
	} else {
		m.stats.Deltas++
	}
	m.mu.Unlock()
	for r, err := range m.c.Records(ctx, o) {
		switch {
		case errors.Is(err, client.ErrInterrupted):
			return nil // what changed meanwhile has its events
		case err != nil:
			return err
		case m.w.Reloaded():
			return ErrReloaded
		}
		m.take(r)
	}
	return nil
}

// take applies a record of a dump.
func (m *Mirror) take(r *client.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Records++
	if !m.table.wants(r.ID, r.Generation, r.Deleted, true) {
		m.stats.Old++
		return
	}
	e := r.Entry()
	m.put(&e, true)
}
