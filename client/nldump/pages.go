// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
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
func (s *Stream) Pages(ctx context.Context, d Dump) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if s.cfg.Pool == nil {
			yield(Page{}, errors.New("nldump: Pages without Config.Pool"))
			return
		}
		var b *buffer // that no page has
		defer func() {
			if b != nil {
				b.put()
			}
		}()
		err := s.run(ctx, d, func() (_ []byte, err error) {
			if b != nil && len(b.bytes) < s.size {
				b.bytes = make([]byte, s.size)
			}
			if b == nil {
				if b, err = s.cfg.Pool.get(ctx, s.size); err != nil {
					return nil, err
				}
			}
			// Not more: the kernel would make larger pages from then on.
			return b.bytes[:s.size], nil
		}, func(p page, records int) error {
			s.stats.Records += uint64(records)
			out := Page{b: b, turn: b.turn.Load(), page: p, n: records}
			b = nil
			if !yield(out, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(Page{}, err)
		}
	}
}
