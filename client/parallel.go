// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// ParallelOptions says what DumpParallel sends, and in what order. The zero
// value is the whole table, in rising order of the ids.
type ParallelOptions struct {
	// Dump says what is sent and how it is read, on each of the sockets. Stats
	// receives the sum over all of them. Since and a Cursor are refused: ranges
	// of ids need the key cursor.
	Dump DumpOptions

	// Unordered yields the records as they come, page by page. In order, a
	// socket stops when it is 16 pages ahead of the loop, and the kernel's dump
	// with it.
	Unordered bool
}

// DumpParallel is Records over several sockets, so that the kernel makes pages
// on several processors. The ids are cut into ranges of the same width, about
// eight pages each if they are spread evenly, and each socket takes the next
// range when it is through with one. So an uneven table keeps all sockets busy,
// unless most of it lies in one range. At most 16 pages per socket are held, 1 MiB
// with buffers of the default size. Records are decoded in the caller's loop.
//
// What Records promises holds here: each entry that is there throughout is
// yielded exactly once. ErrInterrupted comes last, if a range's dump was
// interrupted or if the table changed between the starts of two. Any other
// error, the first one, ends all sockets' dumps and the loop, maybe before
// records that came earlier on another socket. Leaving the loop ends them, too.
func (c *Client) DumpParallel(ctx context.Context, sockets int, o ParallelOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := c.parallel(ctx, sockets, o, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (o *ParallelOptions) check(sockets int) error {
	switch {
	case sockets < 1:
		return fmt.Errorf("dump over %d sockets: %w", sockets, unix.EINVAL)
	case o.Dump.Since != nil:
		return fmt.Errorf("dump over several sockets: %w: changes come in order of generation, not by id", unix.EINVAL)
	case o.Dump.Cursor != CursorKey:
		return fmt.Errorf("dump over several sockets: %w: the cursor is %v, not %v", unix.EINVAL, o.Dump.Cursor, CursorKey)
	}
	return nil
}

// parallel hands each record over. All it started is at its end when it returns.
func (c *Client) parallel(ctx context.Context, sockets int, o ParallelOptions, yield yield) error {
	if err := o.check(sockets); err != nil {
		return err
	}
	before, err := c.Table(ctx)
	if err != nil {
		return err
	}
	ranges := cutTable(&o.Dump, before, sockets)
	p := newParallel(c, o, ranges, sockets)
	err = p.run(ctx, min(sockets, len(ranges)), yield)
	if o.Dump.Stats != nil {
		*o.Dump.Stats = p.figures()
	}
	if err != nil || p.stopped {
		return err
	}
	after, err := c.Table(ctx) // which fails, too, if ctx is done
	if err != nil {
		return err
	}
	if p.stats.Interrupted || after.Generation != before.Generation || c.family.Load() != uint32(p.family) {
		return fmt.Errorf("%s: %w", opEntryGet.name, ErrInterrupted)
	}
	return nil
}

// figures are those of all sockets together.
func (p *parallel) figures() nldump.Stats {
	s := p.stats
	s.Records = p.rows
	s.Filtered = s.Filtered && p.dump.filtered()
	return s
}
