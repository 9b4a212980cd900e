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

// settle is how long events may be on their way, in intervals between dumps. A
// generation that has not come by then has no event, because the kernel had to
// undo a fill. That is rare, and so is a Wait for a generation in the future.
const settle = 10

// retryMax is the longest time between two dumps that fail, unless the interval is
// longer.
const retryMax = 10 * time.Second

// resync dumps when something is missing, but not too often. While dumps fail, the
// time between them doubles.
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
			m.mu.Lock()
			m.full = true
			m.stats.Stale++
			m.mu.Unlock()
		case temporary(err):
			distance = min(2*distance, max(m.interval, retryMax))
			m.mu.Lock()
			m.stats.Retries++
			m.mu.Unlock()
		default:
			m.end(err)
		}
		if !sleep(ctx, max(distance, time.Since(start)/4)) {
			break
		}
	}
	m.end(ctx.Err())
}

// due waits until there is a reason for a dump. It returns false when ctx is done.
//
// Events that a caller waits for have their time from the moment when the first
// caller waited. Nothing moves that: not a wait for more, and not a caller that
// gives up and asks again.
func (m *Mirror) due(ctx context.Context) bool {
	var goal uint64 // the generation to reach before settled
	var settled <-chan time.Time
	for late := false; ; {
		m.mu.Lock()
		missing := m.full || m.losses != m.repaired
		complete, wanted := m.complete, max(m.target, m.wanted())
		m.mu.Unlock()
		if missing || late && complete < goal {
			return ctx.Err() == nil
		}
		if complete >= goal {
			goal, settled = wanted, nil
			if complete < goal {
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

// wanted is the largest generation that a caller waits for. The caller holds mu.
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

// temporary tells whether the next dump may not have this error.
func temporary(err error) bool {
	for _, e := range []error{client.ErrOverrun, client.ErrTruncated, unix.ENOMEM, unix.ENOBUFS, unix.EMSGSIZE, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// pass dumps what is missing: what changed since the horizon, or the whole table.
//
// It asks for the generation first. So the dump has every change up to that
// generation, unless the entry changed again later. Then there is a newer event,
// and if that event is lost, another pass since that generation.
//
// It asks for the generation again at the end. When events have come up to there
// without a gap, the mirror is the table of one generation. Until then it may have
// entries that no event will correct: those of a fill that the kernel undid after
// the dump had sent them. An undone fill leaves a gap, and the log of changes
// tells the next pass of it.
func (m *Mirror) pass(ctx context.Context) error {
	m.mu.Lock()
	// A dump brings what is newer than the horizon piece by piece. So something
	// is missing until it ends or, if it fails, until another one succeeds.
	m.losses++
	since, losses, full := m.complete, m.losses, m.full
	m.table.begin()
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.table.end(m.complete)
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

// now asks for the table's generation, which is least or more. It includes a fill
// that is under way: the kernel answers when the fill is done.
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
			return nil // events tell what changed meanwhile
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
