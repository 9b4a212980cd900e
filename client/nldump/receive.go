// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"golang.org/x/sys/unix"
)

// each calls fn with the records of the open dump until it returns false, the
// dump ends, or something is wrong. After fn has returned false the rest of the
// page is still walked, because NLMSG_DONE may be in it: then the dump is over,
// and waiting for its end would be for ever.
func (s *Stream) each(ctx context.Context, fn func(Message) bool) error {
	for s.open {
		p, err := s.receive(ctx)
		if err != nil {
			return err
		}
		if err := s.walk(ctx, p, fn); err != nil {
			if errors.Is(err, errStopped) {
				return nil
			}
			return err
		}
	}
	if s.stats.Interrupted {
		return ErrInterrupted
	}
	return nil
}

// errStopped says that fn has returned false.
var errStopped = errors.New("stopped")

// walk hands the records of a page to fn. Its error is the first one; once
// there is one, it only looks for the end of the dump.
func (s *Stream) walk(ctx context.Context, p page, fn func(Message) bool) error {
	var first error
	records := uint64(0)
	for len(p) > 0 && s.open {
		m, err := p.next()
		if err != nil {
			return errors.Join(first, err)
		}
		record, err := s.accept(m)
		if first != nil {
			continue
		}
		first = err
		if !record || err != nil {
			continue
		}
		if records++; records == 1 {
			s.stats.Pages++
		}
		if first = ctx.Err(); first != nil {
			continue
		}
		s.stats.Records++
		if !fn(m) {
			first = errStopped
		}
	}
	if first == nil && len(p) > 0 {
		return fmt.Errorf("%w: %d bytes after the end of the dump", ErrMalformed, len(p))
	}
	return first
}

// receive returns the next datagram of the kernel's.
func (s *Stream) receive(ctx context.Context) (page, error) {
	for {
		// Also with datagrams coming in all the time, when Recv never waits.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := s.sock.Recv(s.buf)
		if err != nil {
			return nil, s.receiveError(ctx, err)
		}
		s.stats.Reads++
		if d.From != 0 || d.Groups != 0 {
			s.stats.Foreign++
			continue
		}
		if d.Len > len(s.buf) {
			return nil, &TruncatedError{Size: d.Len, Buffer: len(s.buf)}
		}
		if d.Len == 0 {
			// A dump callback that returns > 0 with an empty page. Others take
			// it for the end.
			return nil, fmt.Errorf("%w: empty page: %w", ErrProtocol, io.ErrUnexpectedEOF)
		}
		s.stats.Bytes += uint64(d.Len)
		s.stats.LargestPage = max(s.stats.LargestPage, d.Len)
		p := page(s.buf[:d.Len])
		return p, s.checkProgress(p)
	}
}

func (s *Stream) receiveError(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("%w: %w", ErrOverrun, err)
	}
	return fmt.Errorf("nldump: %w", err)
}

// checkProgress refuses a page that came too often in a row.
func (s *Stream) checkProgress(p page) error {
	sum := maphash.Bytes(s.seed, p)
	if sum != s.lastPage {
		s.lastPage, s.repeats = sum, 0
		return nil
	}
	if s.repeats++; s.repeats >= s.cfg.RepeatLimit {
		return fmt.Errorf("%w (%d times)", ErrNoProgress, s.repeats)
	}
	return nil
}

// accept checks that m belongs to the open dump, and tells a record from what
// the netlink layer says. It notes the dump's end in s.open.
func (s *Stream) accept(m Message) (record bool, err error) {
	switch m.Type {
	case unix.NLMSG_NOOP:
		return false, nil
	case unix.NLMSG_OVERRUN:
		return false, fmt.Errorf("%w (NLMSG_OVERRUN)", ErrOverrun)
	}
	if m.Seq != s.seq || m.PortID != s.port {
		return false, fmt.Errorf("%w: message with sequence %d for port %d, want %d for %d",
			ErrProtocol, m.Seq, m.PortID, s.seq, s.port)
	}
	if m.Flags&unix.NLM_F_DUMP_INTR != 0 {
		s.stats.Interrupted = true
	}
	if m.Flags&unix.NLM_F_DUMP_FILTERED != 0 {
		s.stats.Filtered = true
	}
	switch {
	case m.Type == unix.NLMSG_DONE:
		s.open = false
		return false, doneError(m)
	case m.Type == unix.NLMSG_ERROR:
		s.open = false
		return false, ackError(m)
	case m.Type < unix.NLMSG_MIN_TYPE:
		return false, fmt.Errorf("%w: message of reserved type %d", ErrProtocol, m.Type)
	case m.Flags&unix.NLM_F_MULTI == 0:
		return false, fmt.Errorf("%w: record of type %d without NLM_F_MULTI: no dump", ErrProtocol, m.Type)
	}
	return true, nil
}
