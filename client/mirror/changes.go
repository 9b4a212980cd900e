// SPDX-License-Identifier: BSD-3-Clause

package mirror

import (
	"context"
	"errors"
	"iter"
	"slices"

	"bulkdump/client"
)

// ErrLagged says that changes of a mirror were dropped because their reader was too
// slow. All tells what there is now; Follow goes on with what is different.
var ErrLagged = errors.New("changes were lost, because they were read too slowly: read all entries again")

// A feed is what waits for one reader of changes.
type feed struct {
	queue  []client.Event
	lagged bool // nothing is added until the reader knows
}

// tell gives a change to all readers. The caller holds mu.
func (m *Mirror) tell(e client.Event) {
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

// Changes yields what the mirror applies from this call on: entries that are new,
// set or deleted, and flushes. There is no EventFill. What a dump brings comes in
// the dump's order, so generations rise for each id, but not from one id to the
// next. Call All after Changes to get what to apply them to; it may have some of
// them already.
//
// If the loop is so slow that more than Options.ChangesLimit changes wait, it gets
// ErrLagged in their place. The loop may go on: what the mirror applies after it
// yielded the error comes again. Call All then to get what to apply it to. Any
// other error ends the loop: the context's, or the one that ended the mirror.
func (m *Mirror) Changes(ctx context.Context) iter.Seq2[client.Event, error] {
	f := &feed{}
	m.follow(f)
	stop := context.AfterFunc(ctx, func() { m.unfollow(f) }) // unless a loop does that
	return func(yield func(client.Event, error) bool) {
		stop()
		m.follow(f)
		defer m.unfollow(f)
		var batch []client.Event
		for {
			err := m.collect(ctx, f, &batch)
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil && (!yield(client.Event{}, err) || !errors.Is(err, ErrLagged)) {
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
	*f = feed{} // another loop starts without these
}

// collect waits for changes, and takes them all. It exchanges the two queues, so
// that no more than two are allocated.
func (m *Mirror) collect(ctx context.Context, f *feed, batch *[]client.Event) error {
	clear(*batch)
	*batch = (*batch)[:0]
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil { // even if there always is a change
		return err
	}
	err := m.until(ctx, func() bool { return len(f.queue) > 0 || f.lagged })
	*batch, f.queue = f.queue, *batch
	if f.lagged {
		f.lagged, err = false, ErrLagged
	}
	return err
}

// Follow yields what you need to keep a copy of the mirror somewhere else. Once the
// mirror has read the table, each entry comes as EventNew, in rising order of ids.
// Then each change comes, as from Changes. If the loop is too slow, it gets
// ErrLagged, and then, as EventNew, EventSet and EventDel, what is different from
// what it got before. So the loop just goes on, and its copy has the same entries
// in the end. Any other error ends the loop: the context's, or the one that ended
// the mirror.
//
// Follow remembers the id and the generation of each entry that it yielded.
func (m *Mirror) Follow(ctx context.Context) iter.Seq2[client.Event, error] {
	return func(yield func(client.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the changes, even if the loop is left before them
		m.mu.Lock()
		err := m.until(ctx, func() bool { return !m.full })
		m.mu.Unlock()
		if err != nil {
			yield(client.Event{}, err)
			return
		}
		changes := m.Changes(ctx) // before differences looks at the entries
		t := told{}
		if !m.differences(ctx, t, yield) {
			return
		}
		for e, err := range changes {
			switch {
			case errors.Is(err, ErrLagged):
				if !yield(client.Event{}, err) || !m.differences(ctx, t, yield) {
					return
				}
			case err != nil:
				yield(client.Event{}, err)
				return
			case t.note(&e) && !yield(e, nil):
				return
			}
		}
	}
}

// told has the generation of each entry that Follow yielded.
type told map[uint32]uint64

// note notes an event, and makes its Kind and Count right for a reader who knows
// what was yielded. It returns false if the event says nothing new.
func (t told) note(e *client.Event) bool {
	id := e.Entry.ID
	generation, known := t[id]
	switch {
	case e.Kind == client.EventFlush:
		e.Count = 0
		for id, generation := range t {
			if generation <= e.Generation {
				delete(t, id)
				e.Count++
			}
		}
		return e.Count > 0
	case e.Kind == client.EventDel && known && generation <= e.Generation:
		delete(t, id)
		return true
	case e.Kind == client.EventDel, generation >= e.Generation:
		return false
	}
	e.Kind = client.EventNew
	if known {
		e.Kind = client.EventSet
	}
	t[id] = e.Generation
	return true
}

// differences yields how the entries differ from what was yielded. It returns
// false if the loop is over.
func (m *Mirror) differences(ctx context.Context, t told, yield func(client.Event, error) bool) bool {
	m.mu.Lock()
	now, generation := m.table.entries.Copy(), m.complete
	m.mu.Unlock()
	var gone []uint32
	for id := range t {
		if _, ok := now.Get(id); !ok {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	more := true
	next := func(e client.Event) bool {
		switch err := ctx.Err(); {
		case err != nil:
			yield(client.Event{}, err)
			more = false
		case t.note(&e):
			more = yield(e, nil)
		}
		return more
	}
	for _, id := range gone {
		g := max(generation, t[id])
		if !next(client.Event{Kind: client.EventDel, Generation: g, Entry: client.Entry{ID: id, Generation: g, Deleted: true}}) {
			return false
		}
	}
	now.Scan(func(_ uint32, h *item) bool {
		return next(client.Event{Generation: h.entry.Generation, Entry: h.entry})
	})
	return more
}
