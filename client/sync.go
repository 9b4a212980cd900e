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
	// DefaultSyncPasses is the limit of passes of SyncOptions' zero value.
	DefaultSyncPasses = 100

	// DefaultSyncFull is the limit of full passes of SyncOptions' zero value.
	DefaultSyncFull = 3
)

// SyncOptions says what Sync reads, and when it gives up. The zero value is the
// whole table, as long as nothing goes stale.
type SyncOptions struct {
	// Dump says what is read and how. IDFrom and IDTo restrict the table to a
	// range. Fields is what an upsert has; Generation always comes. Since, if
	// not nil, is the generation of the table that the caller holds: there is
	// no full pass then unless that is stale. Stats receives the sum over all
	// passes. What a dump with Since cannot do is refused: NamePrefix,
	// FlagsMask and a Cursor.
	Dump DumpOptions

	// Reset is called, between two records, when the log of changes does not
	// reach back to where the next delta would begin: the table is read anew.
	// What was yielded so far is void, and what the caller held before; a
	// replica that others look at meanwhile may as well drop, at the loop's
	// end, what did not come again since. If Reset is nil, Sync ends with
	// ErrStale instead.
	Reset func()

	// Passes limits how many dumps there may be, and Full how many of them may
	// be of the whole table; 0 means DefaultSyncPasses and DefaultSyncFull.
	Passes, Full int

	// Synced, if not nil, receives the result when the loop ends, however it
	// ends.
	Synced *Synced
}

// Synced tells where a Sync ended, and what it took.
type Synced struct {
	// Generation is that of the table which the stream makes, if the loop ended
	// without an error. Otherwise all changes up to it are in the stream, and
	// some later ones; it is 0 if not even that much is known.
	Generation uint64 `json:"generation"`

	Full        int    `json:"full"`        // passes of the whole table
	Deltas      int    `json:"deltas"`      // passes of what changed
	Interrupted int    `json:"interrupted"` // passes during which the table changed
	Stale       int    `json:"stale"`       // deltas that the log did not reach back for: Reset was called
	Records     uint64 `json:"records"`     // upserts and deletes in all passes
}

// Sync yields a stream of upserts and deletes (Record.Deleted) that, applied in
// order, make the exact table of one generation, which SyncOptions.Synced names,
// although the table may never rest. It dumps the table, and then, again and
// again, what changed since the start of the dump before (a delta), until the
// table does not change during a delta: those are shorter each time. A delete
// may be of an id that never came, and an entry may come several times, the
// newest last. Entry statistics are not part of a generation: lookups raise them.
//
// Records are lent as by Records, and nothing is allocated per record. An error
// is yielded once, with a nil Record, and ends the loop: what was yielded is then
// no table that ever was. It is ErrNotSynced if the passes did not suffice.
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
// Why its end is a table that was: let G be Generation, that of some moment
// before the last pass started, S. Then the stream so far has every change up
// to G, in its order for each id. For a full pass that is the promise of the
// key cursor: an entry with a last change up to G that is there throughout is
// sent, and what was gone before is not. A delta walks the log from G+1 to S, in
// which each entry stands once, at its last change. One that changes meanwhile
// moves beyond S, into the next delta; all others are sent, and deletes too, or
// the delta is stale. So every change up to S is in, or comes later. If the kernel
// says that nothing changed since S, nothing comes later: this is the table of S.
//
// S itself is not told. A generation is read before each pass, and after a delta
// that of its last record is known; whichever is larger, nothing was changed from
// then to S, within the ids that are asked for. A full pass is always followed
// by a delta, because the generation of a delete is in none of its records.
type syncer struct {
	Synced
	c      *Client
	o      SyncOptions
	stream *nldump.Stream
	stats  nldump.Stats
	family uint32 // the family's number: another one has another table
	delta  bool   // the next pass is a delta, since Generation
	yield  yield
}

func (s *syncer) run(ctx context.Context) error {
	var err error // of the last pass; there is one at least
	for s.Full+s.Deltas < s.o.Passes && (s.delta || s.Full < s.o.Full) {
		var ended bool
		if ended, err = s.pass(ctx); ended {
			return err
		}
	}
	return fmt.Errorf("%w after %d passes (%d full, %d stale), complete up to generation %d: %w",
		ErrNotSynced, s.Full+s.Deltas, s.Full, s.Stale, s.Generation, err)
}

// pass makes one pass, and says whether the stream is at its end; if not, err
// is why it could not be.
func (s *syncer) pass(ctx context.Context) (ended bool, err error) {
	// It waits for a change that goes on, during which no delta would be clean.
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
		return s.restart(fmt.Errorf("%w: the module was loaded anew", ErrStale))
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
	err = s.c.pass(ctx, s.stream, o, func(r *Record, _ error) bool {
		s.Records++
		last = r.Generation
		stopped = !s.yield(r, nil)
		return !stopped
	})
	addStats(&s.stats, stats)
	return stopped, last, err
}

// restart makes the next pass a full one, if the caller can take it.
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
