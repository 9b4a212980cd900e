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
	// Request is sent as a dump request: NLM_F_REQUEST, NLM_F_DUMP and NLM_F_ACK
	// are added, sequence number and port id filled in. The kernel acknowledges
	// no dump that it started, as a rule; but a request that it ignores, because the body
	// is too short or the type is reserved, is an ErrProtocol at once, and does
	// not wait for ever.
	Request Message

	// Do adds no NLM_F_DUMP: the request is one for a do callback that answers
	// with any number of messages, and the kernel's acknowledgement is the end.
	// Flags of the request's own are sent as they are; what NLM_F_ECHO asks for
	// is an answer. Some such callbacks send an NLMSG_DONE of their own before the
	// acknowledgement (drivers/net/team/team_core.c:team_nl_send_options_get).
	Do bool

	// NoAck leaves NLM_F_ACK out, for a family that acknowledges the request
	// first and answers it later, as audit does (kernel/audit.c). Of a Do, the
	// end is then NLMSG_DONE, or a message without NLM_F_MULTI.
	NoAck bool

	// Unaddressed accepts records with any sequence number, and messages with
	// port id 0, besides those with the request's own. A few dump callbacks fill
	// in neither (drivers/thermal/thermal_netlink.c:thermal_genl_cmd_dumpit), or
	// number the records of a page (net/netlabel/netlabel_mgmt.c:
	// netlbl_mgmt_listall_cb). With it, records that answer another request on
	// the same socket are delivered as this one's; the end of that answer is
	// still an ErrProtocol.
	Unaddressed bool

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

	// Generation, if not nil, returns the generation of the table that a record
	// carries. If two records of a dump differ in it, the table changed
	// meanwhile, and the dump ends with ErrInterrupted, for families that do
	// not set NLM_F_DUMP_INTR: nf_tables has a generation in each message's
	// header (include/uapi/linux/netfilter/nfnetlink.h, res_id). An error of
	// Generation ends the dump.
	Generation func(m Message) (uint64, error)

	// Foreign, if not nil, gets each datagram that is no answer to the request:
	// one of a multicast group that the socket is in, or from another process.
	// The bytes are lent. If the datagram was larger than the page buffer, they
	// are its start, and d.Len is its full length. If Foreign is nil, such
	// datagrams are dropped, and only counted.
	Foreign func(d Datagram, b []byte)
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
	switch {
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

// grown tells whether err is that of a page of this dump's that the next one has
// room for.
func (s *Stream) grown(err error) bool {
	cut, ok := err.(*TruncatedError)
	return ok && err == s.lost && cut.Grown
}

// part reads one dump of the kernel's.
func (s *Stream) part(ctx context.Context, req Message, buffer func() ([]byte, error), deliver func(page, int) error) error {
	if err := s.start(ctx, req, buffer); err != nil {
		return err
	}
	stop := s.watch(ctx)
	defer stop()
	each := s.dump.Key != nil || s.dump.Generation != nil
	for s.open {
		buf, err := buffer()
		if err != nil {
			return err
		}
		p, err := s.receive(ctx, buf)
		if err != nil {
			return err
		}
		good, records, err := s.check(p, each)
		if s.open {
			if err := s.checkProgress(p, records); err != nil {
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
