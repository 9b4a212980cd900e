// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
	"fmt"
)

// Retry dumps until a pass ends uninterrupted, for families that cannot tell
// what changed meanwhile. Before each pass it calls begin, which throws away
// what an earlier one left; then record with each of the pass's records, which
// it lends as Records does. If Retry returns nil, the last pass, since the last
// begin, was a whole one of a table that did not change, if the family is one
// that tells (see the package's text). So nothing is buffered here, and where
// begin only resets a sum, nothing at all.
//
// A pass is repeated if it was interrupted, if a page did not fit into the
// buffer that has grown since ([TruncatedError].Grown), and, on a stream of
// Dial, if the receive queue overflowed. Such a stream does not read on what is
// lost, but opens another socket: the kernel is spared the rest. After the
// last attempt the error says how many there were, and is what ended that one,
// ErrInterrupted for instance.
//
// Any other error, and one of record's, ends it at once. Dump.Resume is not
// looked at: its result would never count as uninterrupted.
func (s *Stream) Retry(ctx context.Context, d Dump, attempts int, begin func(attempt int), record func(Message) error) error {
	if attempts < 1 {
		return fmt.Errorf("nldump: %d attempts", attempts)
	}
	d.Resume = nil
	for attempt := 1; ; attempt++ {
		begin(attempt)
		again, err := s.attempt(ctx, d, record)
		if !again {
			return err
		}
		if err := s.release(ctx); err != nil {
			return err
		}
		if attempt == attempts {
			return fmt.Errorf("nldump: gave up after %d attempts: %w", attempts, err)
		}
	}
}

// attempt is one pass, and says whether its error is a reason for another.
func (s *Stream) attempt(ctx context.Context, d Dump, record func(Message) error) (again bool, err error) {
	for m, err := range s.Dump(ctx, d) {
		switch {
		case err != nil:
			return s.repeatable(err), err
		case !s.stats.Interrupted:
			if err := record(m); err != nil {
				return false, err
			}
		case s.disconnect():
			return true, ErrInterrupted
		}
	}
	return false, nil
}

// repeatable tells whether a dump failed for a reason that another one may not
// have.
func (s *Stream) repeatable(err error) bool {
	if err == s.lost && errors.Is(err, ErrOverrun) {
		return s.dial != nil // on this socket its end may never come
	}
	return s.stats.Interrupted && err == ErrInterrupted || s.grown(err)
}
