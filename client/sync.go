// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

const (
	// DefaultSyncPasses is the limit of passes in SyncOptions' zero value.
	DefaultSyncPasses = 100

	// DefaultSyncFull is the limit of full passes in SyncOptions' zero value.
	DefaultSyncFull = 3
)

// SyncOptions says what Sync reads, and when it gives up. The zero value reads the
// whole table, and gives up if a delta is stale.
type SyncOptions struct {
	// Dump says what to read and how. IDFrom and IDTo restrict the table to a
	// range. Fields is what an upsert has; Generation always comes. Since, if
	// not nil, is the generation of the table that the caller holds: then there
	// is no full pass unless Since is stale. Stats receives the sum over all
	// passes. Sync refuses what a dump with Since cannot do: NamePrefix,
	// FlagsMask and a Cursor.
	Dump DumpOptions

	// Reset is called, between two records, when the log of changes does not
	// reach back to where the next delta would begin, and Sync reads the whole
	// table again. What was yielded so far is void, and so is what the caller
	// held before. A replica that others look at meanwhile may keep both, and
	// drop at the loop's end what did not come again after the last Reset. If
	// Reset is nil, Sync ends with ErrStale instead.
	Reset func()

	// Passes limits how many dumps there may be, and Full how many of them may
	// be of the whole table. 0 means DefaultSyncPasses and DefaultSyncFull.
	Passes, Full int

	// Synced, if not nil, receives the result when the loop ends, however it
	// ends.
	Synced *Synced
}

// Synced tells where a Sync ended, and what it took.
type Synced struct {
	// Generation is that of the table that the stream makes, if the loop ended
	// without an error. Otherwise the stream has all changes up to it, and some
	// later ones. It is 0 if not even that is known.
	Generation uint64 `json:"generation"`

	Full        int    `json:"full"`        // passes of the whole table
	Deltas      int    `json:"deltas"`      // passes of what changed
	Interrupted int    `json:"interrupted"` // passes during which the table changed
	Stale       int    `json:"stale"`       // deltas for which the log did not reach back: Reset was called
	Records     uint64 `json:"records"`     // upserts and deletes in all passes
}

// Sync yields upserts and deletes (Record.Deleted). Applied in order, they make the
// exact table of one generation, even of a table that never rests;
// SyncOptions.Synced tells which generation. Sync dumps the table. Then, again and
// again, it dumps what changed since the start of the previous dump (a delta),
// until the table does not change during a delta. Each delta is shorter than the
// one before. A delete may be of an id that never came. An entry may come several
// times, the newest last. Entry statistics are not part of a generation: lookups
// raise them.
//
// Sync lends records as Records does, and allocates nothing per record. An error
// is yielded once, with a nil Record, and ends the loop. Then what was yielded is
// no table that ever existed. The error is ErrNotSynced if the passes were not
// enough.
func (c *Client) Sync(ctx context.Context, o SyncOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := c.sync(ctx, o, yield); err != nil {
			yield(nil, err)
		}
	}
}

// sync hands each record over.
func (c *Client) sync(ctx context.Context, o SyncOptions, yield yield) error {
	if err := o.prepare(); err != nil {
		return err
	}
	stream, err := c.acquire(nldump.Config{BufferSize: o.Dump.BufferSize})
	if err != nil {
		return err
	}
	defer c.release(stream)
	s := syncer{c: c, o: o, stream: stream, family: c.family.Load(), yield: yield}
	if o.Dump.Since != nil {
		s.Generation, s.delta = *o.Dump.Since, true
	}
	defer func() {
		if o.Synced != nil {
			*o.Synced = s.Synced
		}
		if o.Dump.Stats != nil {
			*o.Dump.Stats = s.stats
		}
	}()
	return s.run(ctx)
}

// prepare refuses what Sync cannot do, and fills in the defaults.
func (o *SyncOptions) prepare() error {
	o.Passes = cmp.Or(o.Passes, DefaultSyncPasses)
	o.Full = cmp.Or(o.Full, DefaultSyncFull)
	switch {
	case o.Dump.NamePrefix != "" || o.Dump.FlagsMask != 0:
		return fmt.Errorf("sync: %w: of filters, changes know only that by id", unix.EINVAL)
	case o.Dump.Cursor != CursorKey:
		return fmt.Errorf("sync: %w: the cursor is %v, not %v", unix.EINVAL, o.Dump.Cursor, CursorKey)
	case o.Passes < 0 || o.Full < 0:
		return fmt.Errorf("sync: %w: %d passes, %d full ones", unix.EINVAL, o.Passes, o.Full)
	}
	if o.Dump.Fields != nil {
		fields := *o.Dump.Fields | FieldGeneration
		o.Dump.Fields = &fields
	}
	return nil
}

// A syncer is a Sync that runs.
//
// Why it ends in a table that existed: let S be the generation at which the last
// pass started, and G be Generation, which is that of some moment before. Then the
// stream so far has every change up to G, in order for each id. For a full pass,
// the key cursor promises that: it sends every entry that was there throughout and
// last changed at G or earlier, and none that was gone before. A delta walks the
// log from G+1 to S, which has each entry once, at its last change. An entry that
// changes meanwhile moves beyond S, into the next delta. All others are sent, with
// the deletes, or else the delta is stale. So every change up to S is in the
// stream, or will be. If the kernel says that nothing changed since S, nothing
// more will come: this is the table of S.
//
// The kernel does not tell S. Sync reads a generation before each pass, and after
// a delta it knows that of the last record. From the larger of the two up to S,
// nothing changed among the ids that were asked for. A full pass is always
// followed by a delta, because no record of it has the generation of a delete.
type syncer struct {
	Synced
	c      *Client
	o      SyncOptions
	stream *nldump.Stream
	stats  nldump.Stats
	family uint32 // the family's number; another one has another table
	delta  bool   // the next pass is a delta, since Generation
	yield  yield
}

func (s *syncer) run(ctx context.Context) error {
	var err error // of the last pass; there is at least one
	for s.Full+s.Deltas < s.o.Passes && (s.delta || s.Full < s.o.Full) {
		var ended bool
		if ended, err = s.pass(ctx); ended {
			return err
		}
	}
	return fmt.Errorf("%w after %d passes (%d full, %d stale), complete up to generation %d: %w",
		ErrNotSynced, s.Full+s.Deltas, s.Full, s.Stale, s.Generation, err)
}

// pass makes one pass, and tells whether the stream is at its end. If it is not,
// err tells why.
func (s *syncer) pass(ctx context.Context) (ended bool, err error) {
	// This waits for a change that is under way: no delta would be clean meanwhile.
	table, err := s.c.Table(ctx)
	if err != nil {
		return true, err
	}
	start := table.Generation
	o := s.o.Dump
	o.Since = nil
	if s.delta {
		o.Since = &s.Generation
	}
	stopped, last, err := s.read(ctx, o)
	interrupted := errors.Is(err, ErrInterrupted)
	stale := s.delta && errors.Is(err, ErrStale)
	switch {
	case stopped:
		return true, nil
	case err != nil && !interrupted && !stale:
		return true, err
	case stale:
		return s.restart(err)
	case s.c.family.Load() != s.family:
		return s.restart(fmt.Errorf("%w: the module was loaded again", ErrStale))
	}
	if interrupted {
		s.Interrupted++
	}
	clean := s.delta && !interrupted
	if s.delta {
		start = max(start, last, s.Generation)
	}
	s.Generation, s.delta = start, true
	return clean, err
}

// read is the dump of a pass. It returns the generation of its last record.
func (s *syncer) read(ctx context.Context, o DumpOptions) (stopped bool, last uint64, err error) {
	if s.delta {
		s.Deltas++
	} else {
		s.Full++
	}
	var stats nldump.Stats
	o.Stats = &stats
	err = s.c.pass(ctx, s.stream, o, &decoder{yield: func(r *Record, _ error) bool {
		s.Records++
		last = r.Generation
		stopped = !s.yield(r, nil)
		return !stopped
	}})
	addStats(&s.stats, stats)
	return stopped, last, err
}

// restart makes the next pass a full one, if the caller has a Reset.
func (s *syncer) restart(why error) (ended bool, err error) {
	s.Stale++
	s.Generation, s.delta = 0, false
	s.family = s.c.family.Load()
	if s.o.Reset == nil {
		return true, why
	}
	s.o.Reset()
	return false, why
}

// addStats adds the figures of one more dump.
func addStats(sum *nldump.Stats, s nldump.Stats) {
	sum.Reads += s.Reads
	sum.Pages += s.Pages
	sum.Records += s.Records
	sum.Bytes += s.Bytes
	sum.LargestPage = max(sum.LargestPage, s.LargestPage)
	sum.EmptyPages += s.EmptyPages
	sum.Foreign += s.Foreign
	sum.Resumed += s.Resumed
	sum.Interrupted = sum.Interrupted || s.Interrupted
	sum.Filtered = sum.Filtered || s.Filtered
}

// A Snapshot is a table in memory that Apply makes of the records of Sync. The zero
// value is an empty table.
type Snapshot struct {
	// Generation is that of the table; Client.Snapshot sets it.
	Generation uint64

	entries []Entry          // in rising order of their ids; those with Deleted are gone
	added   map[uint32]Entry // those that came after an entry with a larger id
}

// Apply makes the upsert or delete r. It keeps a copy.
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

// Reset empties the table. It is what SyncOptions.Reset needs.
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
// memory. SyncOptions.Reset need not be set. The Snapshot is nil if there is an
// error.
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
