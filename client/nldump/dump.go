// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A Dump is a request, and what its reader knows about the family. With a Request
// alone it is what [Stream.Records] takes.
type Dump struct {
	// Request is sent as a dump request: NLM_F_REQUEST, NLM_F_DUMP and NLM_F_ACK
	// are added, sequence number and port id filled in. The kernel does not
	// acknowledge a dump that it starts, as a rule. It does acknowledge a request
	// that it ignores, because the body is too short or the type is reserved. So
	// that is an ErrProtocol at once, and not a wait without end.
	Request Message

	// Do leaves NLM_F_DUMP out: the request is for a do callback, which answers
	// with any number of messages, up to the kernel's acknowledgement. Other flags
	// of the request are sent as they are. What NLM_F_ECHO asks for is part of the
	// answer. Some callbacks send an NLMSG_DONE of their own before the
	// acknowledgement (drivers/net/team/team_core.c:team_nl_send_options_get).
	Do bool

	// NoAck leaves NLM_F_ACK out, for a family that acknowledges the request
	// first and answers it later, as audit does (kernel/audit.c). The end of a Do
	// is then NLMSG_DONE, or a message without NLM_F_MULTI.
	NoAck bool

	// Unaddressed also accepts records with another sequence number than the
	// request's, and messages with port id 0. A few dump callbacks fill in neither
	// (drivers/thermal/thermal_netlink.c:thermal_genl_cmd_dumpit), or number the
	// records of a page (net/netlabel/netlabel_mgmt.c:netlbl_mgmt_listall_cb).
	// With it, records that answer another request on the same socket are
	// delivered, too; the end of that answer is still an ErrProtocol.
	Unaddressed bool

	// Key, if not nil, appends the key of a record to dst and returns the result,
	// as append does. It is for families that promise an order, and a guard
	// against a cursor that goes back or round in circles. Keys must rise strictly
	// from record to record, in the order of bytes.Compare (so numbers are big
	// endian); if they do not, the dump ends with ErrNoProgress. An error of Key
	// ends the dump.
	Key func(dst []byte, m Message) ([]byte, error)

	// Resume, if not nil, returns the request for the records after the one with
	// the key. It is for families that can start there. With it a page that does
	// not fit into the buffer does not end the dump: the buffer grows, up to
	// Config.MaxBufferSize, and a new dump goes on after the last record that was
	// delivered (with Request, if there was none). So each record that stays in
	// the table is delivered exactly once. But nothing tells whether the table
	// changed between the two dumps, so the end is always an ErrInterrupted.
	// Resume needs Key.
	Resume func(after []byte) (Message, error)

	// Generation, if not nil, returns the table's generation that a record
	// carries. It is for families that do not set NLM_F_DUMP_INTR. nf_tables has a
	// generation in the header of each message
	// (include/uapi/linux/netfilter/nfnetlink.h, res_id). If two records of a dump
	// have different ones, the table changed meanwhile, and the dump ends with
	// ErrInterrupted. An error of Generation ends the dump.
	Generation func(m Message) (uint64, error)

	// Foreign, if not nil, gets each datagram that does not answer the request: an
	// event of a multicast group that the socket is in, or a message of another
	// process. The bytes are lent. If the datagram is larger than the page buffer,
	// b is its start, and d.Len its full length. If Foreign is nil, such datagrams
	// are only counted.
	Foreign func(d Datagram, b []byte)
}

// Records sends req as a dump request and yields the records of the dump.
// NLM_F_REQUEST, NLM_F_DUMP and NLM_F_ACK are added, sequence number and port id
// filled in. A Message is valid until the next iteration. An error is yielded
// once and ends the loop; ErrInterrupted comes after all records. If the last dump
// was not read to its end, or its loop still runs, the only thing yielded is
// ErrBusy.
func (s *Stream) Records(ctx context.Context, req Message) iter.Seq2[Message, error] {
	return s.Dump(ctx, Dump{Request: req})
}

// Do sends a request that is not a dump, and yields each message of the reply, up to
// the kernel's acknowledgement. A refusal is a [KernelError]. Do is Dump with a
// Dump.Do. If the loop is left before its end, the rest of the answer stays in the
// socket, at least the acknowledgement: see Early end.
func (s *Stream) Do(ctx context.Context, req Message) iter.Seq2[Message, error] {
	return s.Dump(ctx, Dump{Request: req, Do: true})
}

// Dump is Records for a reader that knows more about the family.
func (s *Stream) Dump(ctx context.Context, d Dump) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) { s.each(ctx, d, yield) }
}

// each is a function of its own for speed. The compiler inlines Dump into the
// caller, where it would no longer inline Next and Message into this loop.
func (s *Stream) each(ctx context.Context, d Dump, yield func(Message, error) bool) {
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

// errStopped says that the loop was left.
var errStopped = errors.New("stopped")

// ownBuffer returns the buffer for loops that lend what they yield.
func (s *Stream) ownBuffer() ([]byte, error) { return s.own.grow(s.size), nil }

// Pages is Dump by whole pages, in buffers of Config.Pool. The caller may keep a
// page as long as it likes, to decode it in another goroutine, say, and gives it
// back by [Page.Release]. Each page that is yielded must be released, also if the
// loop is left. With an error comes the zero Page.
//
// If the caller holds all pages of the pool, the loop waits for one, and the
// kernel's dump stays at its place. So memory is bounded; but a loop that holds
// all pages itself waits until ctx is done.
//
// Without a pool there is one page, which is lent: it is valid until the next
// iteration, whether it is released or not.
func (s *Stream) Pages(ctx context.Context, d Dump) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		err := s.pages(ctx, d, func(p Page) error {
			s.stats.Records += uint64(p.n)
			if !yield(p, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(Page{}, err)
		}
	}
}

func (s *Stream) pages(ctx context.Context, d Dump, deliver func(Page) error) error {
	if s.cfg.Pool == nil {
		return s.run(ctx, d, s.ownBuffer, func(p page, records int) error {
			defer s.own.turn.Add(1)
			return deliver(s.own.with(p, records))
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
		return deliver(out)
	})
}

// Retry repeats a dump until the table did not change meanwhile. It is for
// families that cannot tell what changed. Before each attempt it calls begin,
// which throws away what an earlier attempt left; then record with each record,
// which is lent as by Records. If Retry returns nil, the last attempt, since the
// last begin, was a whole dump of a table that did not change, if the family is
// one that tells (see the package's text). Retry itself keeps no records.
//
// A dump is repeated if it was interrupted, if a page did not fit into the buffer
// and the buffer has grown ([TruncatedError].Grown), and, on a stream of Dial, if
// the receive queue overflowed. Such a stream does not read the rest, but opens
// another socket, so the kernel does not make it. After the last attempt the error
// has the number of attempts, and wraps what ended that one, ErrInterrupted for
// instance.
//
// Any other error ends Retry, and so does one of record. Dump.Resume is ignored,
// because a dump that is resumed always counts as interrupted.
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

// attempt dumps once, and says whether its error is a reason to dump again.
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

// repeatable tells whether another dump may not fail as this one did.
func (s *Stream) repeatable(err error) bool {
	if err == s.lost && errors.Is(err, ErrOverrun) {
		return s.dial != nil // on this socket its end may never come
	}
	return s.stats.Interrupted && err == ErrInterrupted || s.grown(err)
}

// Drain reads an open dump to its end and drops what comes. It returns an error
// only if it did not reach the end; then Close is all that is left. Within the loop
// that reads the dump, it returns ErrBusy.
//
// Drain does not wait for an end that was in a page that was cut ([ErrTruncated])
// or malformed. The kernel makes a page when the one before is read, so if there
// is no page, the dump is over. A Socket that is no [PollSocket] cannot tell, so
// with such a one Drain fails at once. After an [ErrOverrun] it reads all that is in
// the queue, also what is behind the end.
func (s *Stream) Drain(ctx context.Context) error {
	switch {
	case s.isClosed():
		return errClosed
	case s.running:
		return fmt.Errorf("%w: its loop is still running", ErrBusy)
	}
	s.running = true // against a Drain in Dump.Foreign
	defer func() { s.running = false }()
	return s.drain(ctx)
}

func (s *Stream) drain(ctx context.Context) error {
	if !s.open {
		return nil
	}
	s.deadline = watch(ctx, s.sock, s.cfg.StallTimeout)
	defer s.deadline.stop()
	for s.open {
		if _, ok := s.sock.(PollSocket); s.lost != nil && (!ok || s.dump.NoAck) {
			return fmt.Errorf("nldump: the dump's end may be lost: close the stream: %w", s.lost)
		}
		p, err := s.receive(s.own.grow(s.size))
		if err == nil {
			var records int
			_, records, err = s.check(p, false)
			if s.open && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrOverrun) {
				err = s.progress.check(p, records, s.cfg.RepeatLimit) // whatever else the page says is dropped
			}
		}
		if s.open && err != nil && !errors.Is(err, ErrTruncated) {
			return err
		}
	}
	return nil
}

// run reads a dump, resumed if need be, each page into a buffer that it asks for,
// and hands over the pages that have records, with their number.
func (s *Stream) run(ctx context.Context, d Dump, buffer func() ([]byte, error), deliver func(p page, records int) error) (err error) {
	switch {
	case d.Resume != nil && d.Key == nil:
		return errors.New("nldump: Dump.Resume without Dump.Key")
	case s.isClosed():
		return errClosed
	case s.running:
		return fmt.Errorf("%w: its loop is still running; open another stream for a dump in a dump", ErrBusy)
	case s.open:
		return fmt.Errorf("%w: Drain or Close it, or choose with Config.Abandon", ErrBusy)
	}
	s.running, s.dump = true, d
	defer func() { s.running = false }()
	s.stats, s.keyed, s.dated = Stats{}, false, false
	left := true // by a panic, if nothing else is said
	defer func() {
		s.abandon(ctx, left || err == errStopped)
	}()
	for req := d.Request; ; s.stats.Resumed++ {
		err = s.part(ctx, req, buffer, deliver)
		if d.Resume == nil || !s.grown(err) {
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
	var refused *KernelError
	if errors.As(err, &refused) {
		refused.Records = s.stats.Records
	}
	return err
}

// part reads one dump of the kernel's.
func (s *Stream) part(ctx context.Context, req Message, buffer func() ([]byte, error), deliver func(page, int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.connect(); err != nil {
		return err
	}
	s.deadline = watch(ctx, s.sock, s.cfg.StallTimeout)
	defer s.deadline.stop()
	if err := s.start(req, buffer); err != nil {
		return err
	}
	each := s.dump.Key != nil || s.dump.Generation != nil
	for s.open {
		buf, err := buffer()
		if err != nil {
			return err
		}
		p, err := s.receive(buf)
		if err != nil {
			return err
		}
		good, records, err := s.check(p, each)
		if s.open {
			if err := s.progress.check(p, records, s.cfg.RepeatLimit); err != nil {
				return err
			}
		}
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

// grown tells whether err is that of a page that the next dump has room for.
func (s *Stream) grown(err error) bool {
	cut, ok := err.(*TruncatedError)
	return ok && err == s.lost && cut.Grown
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

// release ends an open dump, in the cheapest way.
func (s *Stream) release(ctx context.Context) error {
	if !s.open || s.disconnect() {
		return nil
	}
	return s.drain(ctx)
}

// abandon does with an open dump what the configuration says. left: the loop was
// left, and nothing is wrong with the dump.
func (s *Stream) abandon(ctx context.Context, left bool) {
	switch {
	case !s.open:
	case s.cfg.Abandon == AbandonClose:
		s.disconnect()
	case s.cfg.Abandon == AbandonDrain && left:
		_ = s.drain(ctx) // if that fails, the stream is not idle
	}
}
