// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
)

// A Pool is a bounded set of page buffers that streams share (Config.Pool). It
// may be used by several goroutines at once.
type Pool struct {
	// Poison makes Release overwrite a page, so that a reader that still uses one
	// of its records gets garbage, and the race detector reports it. NewPool sets
	// it in programs built with the race detector. It must not change while pages
	// are held.
	Poison bool

	free chan *buffer
}

// A buffer belongs to a pool, or to a stream.
type buffer struct {
	pool  *Pool         // nil if it belongs to a stream
	turn  atomic.Uint64 // counts releases: a Page of an earlier turn is stale
	bytes []byte        // as large as the largest page asked for
}

// NewPool returns a pool of that many pages, at least 1. A page takes memory when
// it is first used: as much as the largest buffer of the streams.
func NewPool(pages int) *Pool {
	p := &Pool{Poison: poison, free: make(chan *buffer, max(pages, 1))}
	for range cap(p.free) {
		p.free <- &buffer{pool: p}
	}
	return p
}

// Held returns how many pages are not released yet.
func (p *Pool) Held() int { return cap(p.free) - len(p.free) }

// get waits for a buffer.
func (p *Pool) get(ctx context.Context) (*buffer, error) {
	select {
	case b := <-p.free:
		return b, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("nldump: all %d pages are held: %w", cap(p.free), ctx.Err())
	}
}

// put gives back a buffer that no Page has.
func (b *buffer) put() {
	if b.pool != nil {
		b.pool.free <- b
	}
}

// grow returns size bytes of the buffer, which it makes larger if need be. Not
// more than that, or the kernel would make larger pages from then on.
func (b *buffer) grow(size int) []byte {
	if len(b.bytes) < size {
		b.bytes = make([]byte, size)
	}
	return b.bytes[:size]
}

// with returns the page in the buffer, valid until the buffer's next turn.
func (b *buffer) with(p page, records int) Page {
	return Page{b: b, turn: b.turn.Load(), page: p, n: records}
}

// A Page is one page of a dump. It belongs to its holder until Release, and may be
// passed to another goroutine, as a copy. Without a pool it is lent until the next
// iteration of the loop. Using it later, or releasing it twice, panics. The zero Page has no records.
type Page struct {
	b    *buffer
	turn uint64
	page page
	n    int
}

// Len returns the number of records.
func (p Page) Len() int {
	p.check()
	return p.n
}

// Records yields the records, which have all been checked. A Message is valid
// until Release.
func (p Page) Records() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for ms := p.Messages(); len(ms) > 0; ms = ms.Next() {
			if !yield(ms.Message()) {
				return
			}
			p.check()
		}
	}
}

// Release gives the buffer back to the pool.
func (p Page) Release() {
	if p.b == nil {
		return
	}
	if !p.b.turn.CompareAndSwap(p.turn, p.turn+1) {
		panic("nldump: a page was released twice")
	}
	if p.b.pool != nil && p.b.pool.Poison {
		p.page.poison()
	}
	p.b.put()
}

// poison fills the page with lengths that no message and no attribute can have.
// It copies, because the race detector forgets single writes to the first bytes of
// a word.
func (p page) poison() {
	copy(p, "\xdb")
	for n := 1; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
}

const stale = "nldump: a page was used after its release"

func (p *Page) check() {
	if p.b != nil && p.b.turn.Load() != p.turn {
		panic(stale)
	}
}
