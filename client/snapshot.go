// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"context"
	"slices"
)

// A Snapshot is a table in memory, made of the records of Sync by Apply. The
// zero value is the empty one.
type Snapshot struct {
	// Generation is that of the table; Client.Snapshot sets it.
	Generation uint64

	entries []Entry          // in rising order of their ids; those that are Deleted are gone
	added   map[uint32]Entry // what came between them
}

// Apply makes the upsert or delete r, a copy of it.
func (s *Snapshot) Apply(r *Record) {
	n := len(s.entries)
	if n == 0 || r.ID > s.entries[n-1].ID { // as in a full pass
		if !r.Deleted {
			s.entries = append(s.entries, r.Entry())
		}
		return
	}
	i, found := slices.BinarySearchFunc(s.entries, r.ID, func(e Entry, id uint32) int { return cmp.Compare(e.ID, id) })
	switch {
	case found:
		s.entries[i] = r.Entry()
	case r.Deleted:
		delete(s.added, r.ID)
	default:
		if s.added == nil {
			s.added = make(map[uint32]Entry)
		}
		s.added[r.ID] = r.Entry()
	}
}

// Reset makes it the empty one again: for SyncOptions.Reset.
func (s *Snapshot) Reset() { *s = Snapshot{} }

// Entries returns the entries in rising order of their ids. The slice is valid
// until the next Apply.
func (s *Snapshot) Entries() []Entry {
	s.entries = slices.DeleteFunc(s.entries, func(e Entry) bool { return e.Deleted })
	if len(s.added) > 0 {
		for _, e := range s.added {
			s.entries = append(s.entries, e)
		}
		slices.SortFunc(s.entries, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
		s.added = nil
	}
	return s.entries
}

// Snapshot collects what Sync yields: the exact table of one generation, in
// memory. SyncOptions.Reset need not be set. With an error there is none.
func (c *Client) Snapshot(ctx context.Context, o SyncOptions) (*Snapshot, error) {
	var s Snapshot
	var synced Synced
	if o.Synced == nil {
		o.Synced = &synced
	}
	reset := o.Reset
	o.Reset = func() {
		s.Reset()
		if reset != nil {
			reset()
		}
	}
	for r, err := range c.Sync(ctx, o) {
		if err != nil {
			return nil, err
		}
		s.Apply(r)
	}
	s.Generation = o.Synced.Generation
	return &s, nil
}
