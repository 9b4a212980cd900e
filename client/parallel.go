// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// ParallelOptions says what DumpParallel reads, and in what order. The zero value
// is the whole table, in rising order of the ids.
type ParallelOptions struct {
	// Dump says what each socket's dump sends and how to read it. Stats receives
	// the sum over all of them. DumpParallel refuses Since and a Cursor: ranges
	// of ids need the key cursor.
	Dump DumpOptions

	// Unordered yields the records as they come, page by page. In order, a
	// socket that is 16 pages ahead of the loop stops, and the kernel's dump
	// with it.
	Unordered bool
}

// DumpParallel is Records over several sockets, so that the kernel builds pages on
// several processors. It cuts the ids into ranges of the same width, of about
// eight pages each if they are spread evenly. Each socket takes the next range
// when it has finished one, so an uneven table keeps all sockets busy unless most
// of it lies in one range. DumpParallel holds at most 16 pages per socket, 1 MiB
// with buffers of the default size. It decodes records in the caller's loop.
//
// The promise of Records holds: each entry that is there throughout is yielded
// exactly once. ErrInterrupted comes last, if a range's dump was interrupted or
// the table changed between the starts of two. The first other error ends the
// dumps of all sockets and the loop, maybe before records that came earlier on
// another socket. Leaving the loop ends the dumps as well.
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

// parallel hands each record over. When it returns, nothing that it started runs.
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
		stats := p.stats
		stats.Records = p.rows
		stats.Filtered = stats.Filtered && o.Dump.filtered() // not by the ranges
		*o.Dump.Stats = stats
	}
	if err != nil || p.stopped {
		return err
	}
	after, err := c.Table(ctx) // this also fails if ctx is done
	if err != nil {
		return err
	}
	if p.stats.Interrupted || after.Generation != before.Generation || c.family.Load() != uint32(p.family) {
		return fmt.Errorf("%s: %w", opEntryGet.name, ErrInterrupted)
	}
	return nil
}

// A parallel is a DumpParallel that runs. Workers, one for each socket, take ranges
// and put pages into queues. The caller's loop empties one queue after the other.
// No worker waits for room in a queue: a queue has room for all pages of a
// worker's pool. So the range whose turn it is always goes on. The others stop
// when their worker's pool is empty, and so do their dumps in the kernel.
type parallel struct {
	c       *Client
	family  uint16
	dump    DumpOptions
	shared  chan nldump.Page      // the only queue if there is no order; closed at the end of all ranges
	queues  chan chan nldump.Page // in the order in which they are emptied; closed after the last
	stopped bool                  // by the caller
	rows    uint64                // how many records the caller got

	mu     sync.Mutex // guards what follows while workers run
	ranges []idRange  // that no worker has taken yet
	left   int        // how many ranges are not at their end
	stats  nldump.Stats
	err    error // the first one
}

func newParallel(c *Client, o ParallelOptions, ranges []idRange, sockets int) *parallel {
	p := &parallel{
		c: c, family: uint16(c.family.Load()), dump: o.Dump, ranges: ranges, left: len(ranges),
		queues: make(chan chan nldump.Page, len(ranges)),
	}
	if o.Unordered {
		p.shared = make(chan nldump.Page, sockets*aheadPages)
		p.queues <- p.shared
		close(p.queues)
	}
	return p
}

// run starts the workers, hands each record over, and waits for the workers to
// end. Records may be missing if ctx is done then.
func (p *parallel) run(ctx context.Context, sockets int, yield yield) error {
	running, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	stop := func() {
		cancel()
		workers.Wait()
	}
	defer stop() // even if yield panics
	for range sockets {
		workers.Go(func() {
			if err := p.work(running); err != nil {
				p.fail(err)
				cancel()
			}
		})
	}
	if err := p.drain(running, yield); err != nil || p.stopped {
		return err
	}
	stop()
	return p.err
}

// work reads one range after the other.
func (p *parallel) work(ctx context.Context) error {
	s, err := p.c.acquire(nldump.Config{BufferSize: p.dump.BufferSize, Pool: nldump.NewPool(aheadPages)})
	if err != nil {
		return err
	}
	defer p.c.release(s)
	for {
		r, queue, ok := p.take()
		if !ok {
			return nil
		}
		err = p.read(ctx, s, r, queue)
		p.account(s.Stats())
		if err != nil && !errors.Is(err, ErrInterrupted) {
			return err
		}
		p.finish(queue)
	}
}

// take returns the next range and the queue for its pages.
func (p *parallel) take() (r idRange, queue chan nldump.Page, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ranges) == 0 {
		return r, nil, false
	}
	r, p.ranges = p.ranges[0], p.ranges[1:]
	if p.shared != nil {
		return r, p.shared, true
	}
	queue = make(chan nldump.Page, aheadPages)
	p.queues <- queue
	if len(p.ranges) == 0 {
		close(p.queues)
	}
	return r, queue, true
}

func (p *parallel) read(ctx context.Context, s *nldump.Stream, r idRange, queue chan<- nldump.Page) error {
	o := p.dump
	o.IDFrom, o.IDTo = &r.from, &r.to
	raw, err := o.Request()
	if err != nil {
		return err
	}
	for page, err := range s.Pages(ctx, nldump.Dump{Request: nldump.Message{Type: p.family, Data: raw}}) {
		if err != nil {
			return failDump(err, raw)
		}
		queue <- page
	}
	return nil
}

func (p *parallel) account(s nldump.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addStats(&p.stats, s)
}

// finish says that a range is at its end.
func (p *parallel) finish(queue chan nldump.Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	if queue != p.shared || p.left == 0 {
		close(queue)
	}
}

func (p *parallel) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// drain hands over the records of all queues. It stops early if running is done,
// as it is when a worker has failed.
func (p *parallel) drain(running context.Context, yield yield) error {
	d := decoder{family: p.family, yield: yield}
	defer func() { p.rows = d.records }()
	for queue := range until(running, p.queues) {
		for page := range until(running, queue) {
			if err := p.decode(&d, page); err != nil || p.stopped {
				return err
			}
		}
	}
	return nil
}

// decode hands over the records of a page, and gives it back.
func (p *parallel) decode(d *decoder, page nldump.Page) error {
	defer page.Release()
	more, err := d.page(page)
	p.stopped = !more && err == nil
	return err
}

// until yields what comes from the channel until it is closed or the context is
// done.
func until[T any](ctx context.Context, from <-chan T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for ctx.Err() == nil { // if both are ready, select takes either
			select {
			case v, ok := <-from:
				if !ok || !yield(v) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

const (
	// aheadPages is how many pages of each socket may wait for the loop.
	aheadPages = 16

	// rangePages is about how many pages a range has. They all fit into a pool,
	// so that a socket can start another range before the turn of this one; and
	// there are few pages that are not full, the last ones of ranges.
	rangePages = aheadPages / 2

	// kernelPage is the size of the kernel's pages, unless the buffer is smaller
	// (af_netlink.c:netlink_recvmsg).
	kernelPage = 32 << 10

	// maxRanges bounds what is known of all ranges.
	maxRanges = 1 << 16
)

// An idRange has both ids and all between them.
type idRange struct{ from, to uint32 }

// cutTable cuts the ids that o asks for into ranges. The table's ids decide only
// where the cuts are: together, the ranges are all that o asks for.
func cutTable(o *DumpOptions, t Table, sockets int) []idRange {
	all := idRange{0, math.MaxUint32}
	if o.IDFrom != nil {
		all.from = *o.IDFrom
	}
	if o.IDTo != nil {
		all.to = *o.IDTo
	}
	if t.IDMin == nil || t.IDMax == nil || all.from > *t.IDMax || all.to < *t.IDMin || all.from > all.to {
		return []idRange{all} // has nothing in it, or the kernel refuses it
	}
	crowd := idRange{max(all.from, *t.IDMin), min(all.to, *t.IDMax)}
	share := crowd.width() / idRange{*t.IDMin, *t.IDMax}.width()
	page := min(cmp.Or(o.BufferSize, nldump.DefaultBufferSize), kernelPage)
	pages := float64(t.Bytes) * share / float64(page)
	n := max(pages/rangePages, float64(4*sockets))
	n = min(n, pages, maxRanges, crowd.width()) // a page at least for each range
	return cut(all, crowd, max(uint64(n), 1))
}

func (r idRange) width() float64 { return float64(r.to) - float64(r.from) + 1 }

// cut cuts all into n ranges. In the crowd, all have the same width.
func cut(all, crowd idRange, n uint64) []idRange {
	width := uint64(crowd.to) - uint64(crowd.from) + 1
	ranges := make([]idRange, n)
	for i := range n {
		ranges[i].from = crowd.from + uint32(width*i/n)
		ranges[i].to = crowd.from + uint32(width*(i+1)/n-1)
	}
	ranges[0].from, ranges[n-1].to = all.from, all.to
	return ranges
}
