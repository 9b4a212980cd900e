// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// receive reads the next datagram of the kernel's to buf.
func (s *Stream) receive(ctx context.Context, buf []byte) (page, error) {
	if s.cfg.StallTimeout > 0 {
		// Where it overwrites the one that watch has set, ctx is done already.
		if err := s.sock.SetReadDeadline(time.Now().Add(s.cfg.StallTimeout)); err != nil {
			return nil, s.receiveError(ctx, err)
		}
	}
	for {
		// Also with datagrams coming in all the time, when Recv never waits.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := s.sock.Recv(buf)
		if err != nil {
			return nil, s.receiveError(ctx, err)
		}
		s.stats.Reads++
		if d.From != 0 || d.Groups != 0 {
			s.stats.Foreign++
			continue
		}
		if d.Len > len(buf) {
			return nil, s.truncated(d.Len, len(buf))
		}
		if d.Len == 0 {
			// A dump callback that returns > 0 with an empty page. Others take
			// it for the end.
			return nil, fmt.Errorf("%w: empty page: %w", ErrProtocol, io.ErrUnexpectedEOF)
		}
		s.stats.Bytes += uint64(d.Len)
		s.stats.LargestPage = max(s.stats.LargestPage, d.Len)
		p := page(buf[:d.Len])
		return p, s.checkProgress(p)
	}
}

func (s *Stream) receiveError(ctx context.Context, err error) error {
	switch cause := ctx.Err(); {
	case cause != nil:
		return cause
	case errors.Is(err, unix.ENOBUFS):
		return fmt.Errorf("%w: %w", ErrOverrun, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w for %v: %w", ErrStalled, s.cfg.StallTimeout, err)
	}
	return fmt.Errorf("nldump: %w", err)
}

// truncated makes the error for a page that did not fit, and the buffers of
// later ones large enough for it.
//
// One could ask for each page's size before it is read (MSG_PEEK|MSG_TRUNC).
// That doubles the system calls for what happens once, with records larger
// than any buffer so far; and to peek has the kernel build one more page, each
// time, as long as they fill half the receive queue
// (af_netlink.c:netlink_recvmsg).
func (s *Stream) truncated(size, buffer int) error {
	e := &TruncatedError{Size: size, Buffer: buffer, Grown: size <= s.cfg.MaxBufferSize}
	if e.Grown {
		const step = 4 << 10
		s.size = min((size+step-1)&^(step-1), s.cfg.MaxBufferSize)
	}
	return e
}

// checkProgress refuses a page that came too often in a row. To look at every
// byte of every page would be a tenth of what a stream does: a page is looked at
// as a whole if its length, its begin and its end are those of the one before.
func (s *Stream) checkProgress(p page) error {
	sample := 256
	if s.cfg.RepeatLimit == 1 {
		sample = len(p) // the first that looks alike is refused
	}
	sum := maphash.Bytes(s.seed, p[:min(sample, len(p))]) +
		3*maphash.Bytes(s.seed, p[max(0, len(p)-sample):]) + uint64(len(p))
	if sum != s.lastPage {
		s.lastPage, s.lastWhole, s.repeats = sum, 0, 0
		return nil
	}
	whole := maphash.Bytes(s.seed, p)
	if s.lastWhole != 0 && whole != s.lastWhole {
		s.repeats = 0 // the first one that looked alike counts as a repeat
	}
	s.lastWhole = whole
	if s.repeats++; s.repeats >= s.cfg.RepeatLimit {
		return fmt.Errorf("%w: the same page again (%d times)", ErrNoProgress, s.repeats)
	}
	return nil
}

// keyFunc is Dump.Key.
type keyFunc = func([]byte, Message) ([]byte, error)

// check returns the part of a page that is good, the number of records in it,
// and what is wrong with the message after it. The rest of the page is walked
// nevertheless, because NLMSG_DONE may be in it: then the dump is over, and
// waiting for its end would be for ever.
func (s *Stream) check(p page, key keyFunc) (good page, records int, err error) {
	rest := p
	for len(rest) > 0 && s.open {
		first := rest
		m, e := rest.next()
		if e != nil {
			return good, records, errors.Join(err, e)
		}
		record, e := s.accept(m)
		if e == nil && record && key != nil && err == nil {
			e = s.checkKey(m, key)
		}
		if err == nil && e == nil {
			if record {
				records++
			}
			if record && key == nil {
				// What is said of this one's header holds for theirs.
				var more int
				more, rest = rest.alike(first)
				records += more
			}
			good = p[:len(p)-len(rest)]
		}
		if err == nil {
			err = e
		}
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes after the end of the dump", ErrMalformed, len(rest))
	}
	return good, records, err
}

// checkKey refuses a record whose key is not after the one before.
func (s *Stream) checkKey(m Message, key keyFunc) (err error) {
	if s.newKey, err = key(s.newKey[:0], m); err != nil {
		return err
	}
	if s.keyed && bytes.Compare(s.newKey, s.key) <= 0 {
		return fmt.Errorf("%w: key %x after %x", ErrNoProgress, s.newKey, s.key)
	}
	s.key, s.newKey, s.keyed = s.newKey, s.key, true
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
		err := ackError(m)
		if errors.Is(err, unix.ENOBUFS) {
			// No memory for the first page. The dump was started before that,
			// and stays (af_netlink.c:__netlink_dump_start).
			return false, fmt.Errorf("%w: %w", ErrOverrun, err)
		}
		s.open = false
		return false, err
	case m.Type < unix.NLMSG_MIN_TYPE:
		return false, fmt.Errorf("%w: message of reserved type %d", ErrProtocol, m.Type)
	case m.Flags&unix.NLM_F_MULTI == 0:
		return false, fmt.Errorf("%w: record of type %d without NLM_F_MULTI: no dump", ErrProtocol, m.Type)
	}
	return true, nil
}
