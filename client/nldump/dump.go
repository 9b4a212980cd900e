// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A Dump is a request, and what its reader knows of the family's records. With
// a Request alone it is what [Stream.Records] takes.
type Dump struct {
	// Request is sent as a dump request: NLM_F_REQUEST and NLM_F_DUMP are
	// added, sequence and port id filled in.
	Request Message

	// Key, if not nil, appends the key of a record to dst and returns it, as
	// append does. Keys must rise strictly from record to record, in the order
	// of bytes.Compare (numbers big endian, therefore), or the dump ends with
	// ErrNoProgress: it is a guard against a cursor that goes backwards or
	// round in circles, for families that promise an order. An error of Key
	// ends the dump.
	Key func(dst []byte, m Message) ([]byte, error)

	// Resume, if not nil, makes the request for the records after the one with
	// the key, for a family that can start there. With it a page that did not
	// fit into the buffer is no end: the buffer grows, up to
	// Config.MaxBufferSize, and a new dump goes on after the last record that
	// was delivered (if there was none, with Request). So each record is
	// delivered that was in the table throughout, and none twice. But whether
	// the table changed between the two dumps nothing tells, so the end is an
	// ErrInterrupted in any case. Resume needs Key.
	Resume func(after []byte) (Message, error)
}

// Dump is like Records, with what the Dump tells of the family.
func (s *Stream) Dump(ctx context.Context, d Dump) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		err := s.run(ctx, d, s.ownBuffer, func(p page, records int) error {
			for ms := s.own.with(p, records).Messages(); len(ms) > 0; ms = ms.Next() {
				if err := ctx.Err(); err != nil {
					return err
				}
				s.stats.Records++
				if !yield(ms.Message(), nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(Message{}, err)
		}
	}
}

// errStopped says that the loop was left.
var errStopped = errors.New("stopped")

// ownBuffer returns the buffer for loops that lend what they yield.
func (s *Stream) ownBuffer() ([]byte, error) { return s.own.grow(s.size), nil }

// run reads a dump, resumed if need be, each page to a buffer that it asks
// for, and hands over the pages that have records, with their number.
func (s *Stream) run(ctx context.Context, d Dump, buffer func() ([]byte, error), deliver func(p page, records int) error) (err error) {
	if d.Resume != nil && d.Key == nil {
		return errors.New("nldump: Dump.Resume without Dump.Key")
	}
	if s.open || s.running {
		return ErrBusy
	}
	s.running = true
	s.stats, s.keyed = Stats{}, false
	left := true // by a panic, if nothing else is said
	defer func() {
		s.abandon(ctx, left || err == errStopped)
		s.running = false
	}()
	for req := d.Request; ; s.stats.Resumed++ {
		err = s.part(ctx, req, d.Key, buffer, deliver)
		var cut *TruncatedError
		if d.Resume == nil || !errors.As(err, &cut) || !cut.Grown {
			break
		}
		if req, err = s.resume(ctx, d); err != nil {
			break
		}
	}
	left = false
	if err == nil && s.stats.Resumed > 0 && !s.stats.Interrupted {
		return fmt.Errorf("%w, or may have: a page did not fit, and the dump was resumed after it", ErrInterrupted)
	}
	if err == nil && s.stats.Interrupted {
		return ErrInterrupted
	}
	return err
}

// part reads one dump of the kernel's.
func (s *Stream) part(ctx context.Context, req Message, key keyFunc, buffer func() ([]byte, error), deliver func(page, int) error) error {
	if err := s.start(ctx, req); err != nil {
		return err
	}
	stop := s.watch(ctx)
	defer stop()
	for s.open {
		buf, err := buffer()
		if err != nil {
			return err
		}
		p, err := s.receive(ctx, buf)
		if err != nil {
			return err
		}
		good, records, err := s.check(p, key)
		if records > 0 {
			s.stats.Pages++
			if err := deliver(good, records); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resume ends the dump whose page did not fit and returns the request for the
// rest.
func (s *Stream) resume(ctx context.Context, d Dump) (req Message, err error) {
	if err := s.release(ctx); err != nil {
		return req, err
	}
	if !s.keyed {
		return d.Request, nil
	}
	return d.Resume(s.key)
}

// abandon does with an open dump what the configuration says. left: the loop
// was left, and nothing is wrong with the dump.
func (s *Stream) abandon(ctx context.Context, left bool) {
	switch {
	case !s.open:
	case s.cfg.Abandon == AbandonClose:
		s.disconnect()
	case s.cfg.Abandon == AbandonDrain && left:
		_ = s.drain(ctx) // if that fails, the stream is not idle
	}
}
