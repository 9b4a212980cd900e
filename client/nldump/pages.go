// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"iter"
)

// Pages is like Dump, but yields whole pages, in buffers of Config.Pool, which
// the caller keeps as long as he likes and gives back by [Page.Release]: to
// decode them in other goroutines, say. Each page that is yielded must be
// released, also where the loop is left; with an error it is the zero Page.
//
// When all of the pool's pages are held, it waits for one, and the kernel's
// dump waits at its place; so memory is bounded, and a loop that holds all
// pages by itself waits until ctx is done.
//
// Without a pool there is one page, which is lent: it is valid until the next
// iteration, whether it is released or not.
func (s *Stream) Pages(ctx context.Context, d Dump) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		err := s.pages(ctx, d, func(p Page) bool { return yield(p, nil) })
		if err != nil && err != errStopped {
			yield(Page{}, err)
		}
	}
}

func (s *Stream) pages(ctx context.Context, d Dump, yield func(Page) bool) error {
	if s.cfg.Pool == nil {
		return s.run(ctx, d, s.ownBuffer, func(p page, records int) error {
			defer s.own.turn.Add(1)
			return s.deliver(s.own.with(p, records), yield)
		})
	}
	var b *buffer // that no page has
	defer func() {
		if b != nil {
			b.put()
		}
	}()
	return s.run(ctx, d, func() (_ []byte, err error) {
		if b == nil {
			if b, err = s.cfg.Pool.get(ctx); err != nil {
				return nil, err
			}
		}
		return b.grow(s.size), nil
	}, func(p page, records int) error {
		out := b.with(p, records)
		b = nil
		return s.deliver(out, yield)
	})
}

// deliver yields a page.
func (s *Stream) deliver(p Page, yield func(Page) bool) error {
	s.stats.Records += uint64(p.n)
	if !yield(p) {
		return errStopped
	}
	return nil
}
