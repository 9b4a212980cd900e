// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"sync"

	"bulkdump/client/nldump"
)

// A parallel is a DumpParallel that runs: workers, one with each socket, which
// take ranges and put pages into queues, and the caller's loop, which empties
// one queue after the other. No worker waits for room in a queue: each has a
// pool of its own, all of whose pages fit into one. So the range whose turn it is
// always goes on; the others stop when their worker's pool is empty, and the
// kernel's dump with them.
type parallel struct {
	c       *Client
	family  uint16
	dump    DumpOptions
	shared  chan nldump.Page      // the one queue, if there is no order; closed at the end of all ranges
	queues  chan chan nldump.Page // in the order in which they are emptied; closed after the last
	stopped bool                  // by the caller
	rows    uint64                // records that he had

	mu     sync.Mutex // guards what follows while workers run
	ranges []idRange  // that nobody took yet
	left   int        // ranges that are not at their end
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

// run starts the workers, hands each record over, and waits for the workers'
// end. Records may be missing if ctx is done then.
func (p *parallel) run(ctx context.Context, sockets int, yield yield) error {
	running, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	stop := func() {
		cancel()
		workers.Wait()
	}
	defer stop() // also if yield panics
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
	for page, err := range s.Pages(ctx, nldump.Dump{Request: dumpRequest(p.family, raw)}) {
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
// which it also is if a worker failed.
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

// until yields what comes from the channel, until that is closed or the context
// is done.
func until[T any](ctx context.Context, from <-chan T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for ctx.Err() == nil { // of two that are ready, select takes any
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
