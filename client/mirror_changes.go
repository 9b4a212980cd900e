// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"iter"
)

// ErrLagged says that changes of a mirror were dropped, because their reader was
// too slow. All tells what there is now.
var ErrLagged = errors.New("changes were lost, because they were read too slowly: read all entries again")

// A feed is what waits for one reader of changes.
type feed struct {
	queue  []Event
	lagged bool // and nothing is added until the reader knows
}

// tell gives a change to all readers, under mu.
func (m *Mirror) tell(e Event) {
	for f := range m.feeds {
		switch {
		case f.lagged:
		case len(f.queue) >= m.limit:
			f.queue, f.lagged = nil, true
		default:
			f.queue = append(f.queue, e)
		}
	}
}

// Changes yields what is applied to the mirror from the call on: what entries
// are new, set or deleted, and flushes. There is no EventFill, and what a dump
// brings comes in the dump's order: the generations rise for each id, not from
// one id to the next. All, called after Changes, gives what to apply them to;
// some may be in it already.
//
// If the loop's body is slower than the changes for so long that
// MirrorOptions.ChangesLimit of them wait, ErrLagged is yielded in their place.
// The loop may go on: what is applied after the error was yielded comes again,
// and All, called then, gives what to apply it to. Any other error ends the loop:
// the context's, or that which ended the mirror.
func (m *Mirror) Changes(ctx context.Context) iter.Seq2[Event, error] {
	f := &feed{}
	m.follow(f)
	stop := context.AfterFunc(ctx, func() { m.unfollow(f) }) // if there is no loop
	return func(yield func(Event, error) bool) {
		stop()
		m.follow(f)
		defer m.unfollow(f)
		var batch []Event
		for {
			lagged, err := m.collect(ctx, f, &batch)
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
			}
			if lagged {
				err = ErrLagged
			}
			if err != nil && !yield(Event{}, err) || err != nil && !lagged {
				return
			}
		}
	}
}

func (m *Mirror) follow(f *feed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.feeds[f] = struct{}{}
}

func (m *Mirror) unfollow(f *feed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.feeds, f)
}

// collect waits for changes, and takes them all. The two queues are exchanged,
// so that no more than two are allocated.
func (m *Mirror) collect(ctx context.Context, f *feed, batch *[]Event) (lagged bool, err error) {
	clear(*batch)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil { // also where there always is a change
		return false, err
	}
	err = m.until(ctx, func() bool { return len(f.queue) > 0 || f.lagged })
	*batch, f.queue = f.queue, (*batch)[:0]
	lagged, f.lagged = f.lagged, false
	return lagged, err
}
