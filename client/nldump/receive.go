// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// receive reads the next datagram of the kernel's to buf. It is empty where the
// kernel sent none but says to come again: a dump callback returned > 0 with an
// empty page, as that of nl80211 does to get a larger one
// (net/wireless/nl80211.c:nl80211_dump_wiphy).
func (s *Stream) receive(ctx context.Context, buf []byte) (page, error) {
	if err := s.stallIn(ctx, s.cfg.StallTimeout); err != nil {
		return nil, err
	}
	recv := s.sock.Recv
	poller, polls := s.sock.(PollSocket)
	if polls = polls && (s.lost != nil || s.done); polls {
		recv = poller.Poll
	}
	for {
		// Also with datagrams coming in all the time, when Recv never waits.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, err := recv(buf)
		if err != nil {
			if polls && errors.Is(err, unix.EAGAIN) {
				return nil, s.nothingMore()
			}
			return nil, s.receiveError(ctx, err)
		}
		s.stats.Reads++
		if d.foreign() && !s.echoed(d, buf) {
			if err := s.takeForeign(ctx, d, buf); err != nil {
				return nil, err
			}
			continue
		}
		if d.Len > len(buf) {
			s.lost = s.truncated(d.Len, len(buf))
			return nil, s.lost
		}
		if d.Len == 0 {
			s.stats.EmptyPages++
		}
		s.stats.Bytes += uint64(d.Len)
		s.stats.LargestPage = max(s.stats.LargestPage, d.Len)
		return page(buf[:d.Len]), nil
	}
}

// echoed tells whether a datagram is what NLM_F_ECHO asks for: the event of what
// the request changed. It is sent to whoever asked with the number of the group
// that it was sent to (af_netlink.c:nlmsg_notify), and to him not as an event.
func (s *Stream) echoed(d Datagram, buf []byte) bool {
	if d.From != 0 || d.Len < headerLen || s.dump.Request.Flags&unix.NLM_F_ECHO == 0 {
		return false
	}
	m := page(buf).message(headerLen) // it may be cut behind the header
	return m.Seq == s.seq && m.PortID == s.port
}

// stallIn sets the time when a dump without a page has stalled.
func (s *Stream) stallIn(ctx context.Context, d time.Duration) error {
	if s.cfg.StallTimeout == 0 {
		return nil
	}
	s.stalled = time.Now().Add(d)
	// Where it overwrites the one that watch has set, ctx is done already.
	if err := s.sock.SetReadDeadline(s.stalled); err != nil {
		return s.receiveError(ctx, err)
	}
	return nil
}

// nothingMore is what an empty receive queue means for a dump whose end may be
// lost. The kernel builds the next page in the call that reads the one before
// (af_netlink.c:netlink_recvmsg), so the dump is over; or it is parked, if there
// was no memory or no room for that page.
func (s *Stream) nothingMore() error {
	if s.done { // also of a Do that was answered by a dump, which is not acknowledged
		s.open = false
		return nil
	}
	if errors.Is(s.lost, ErrOverrun) {
		return fmt.Errorf("nldump: nothing more comes of the dump: close the stream: %w", s.lost)
	}
	s.open = false
	return s.lost
}

// takeForeign hands over a datagram that is no answer of the kernel's. What that
// takes does not count as a stall.
func (s *Stream) takeForeign(ctx context.Context, d Datagram, buf []byte) error {
	s.stats.Foreign++
	if s.dump.Foreign == nil {
		return nil
	}
	left := time.Until(s.stalled)
	s.dump.Foreign(d, buf[:min(d.Len, len(buf))])
	return s.stallIn(ctx, left)
}

func (s *Stream) receiveError(ctx context.Context, err error) error {
	if errors.Is(err, unix.ENOBUFS) {
		err = fmt.Errorf("%w: %w", ErrOverrun, err)
		s.lost = err // whatever the caller is told
	}
	switch cause := ctx.Err(); {
	case cause != nil:
		return cause
	case errors.Is(err, ErrOverrun):
		return err
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

// emptyLimit is the most empty pages in a row. They ask for a larger page, which is
// the next one, or one of the next; but the dump of all families' routes sends them
// for ever where one of IPv6 fits into no page (net/core/rtnetlink.c:rtnl_dump_all).
const emptyLimit = 1 << 12

// checkProgress refuses a page that came too often in a row. To look at every
// byte of every page would be a tenth of what a stream does: a page is looked at
// as a whole if its length, its begin and its end are those of the one before.
func (s *Stream) checkProgress(p page, records int) error {
	if s.cfg.RepeatLimit < 0 {
		return nil
	}
	if len(p) == 0 {
		if s.empty++; s.empty >= min(s.cfg.RepeatLimit, emptyLimit) {
			return fmt.Errorf("%w: %d empty pages (Config.RepeatLimit)", ErrNoProgress, s.empty)
		}
		return nil
	}
	s.empty = 0
	const sample = 256
	sum := maphash.Bytes(s.seed, p[:min(sample, len(p))]) +
		3*maphash.Bytes(s.seed, p[max(0, len(p)-sample):]) + uint64(len(p))
	if sum != s.lastPage {
		s.lastPage, s.lastWhole = sum, 0
		return nil
	}
	if whole := maphash.Bytes(s.seed, p); whole != s.lastWhole {
		s.lastWhole, s.repeated = whole, 0
		return nil
	}
	if s.repeated += max(records, 1); s.repeated >= s.cfg.RepeatLimit {
		return fmt.Errorf("%w: the same page again and again, %d records in all (Config.RepeatLimit)", ErrNoProgress, s.repeated)
	}
	return nil
}

// check returns the part of a page that is good, the number of records in it,
// and what is wrong with the message after it. The rest of the page is walked
// nevertheless, because NLMSG_DONE may be in it: then the dump is over, and
// waiting for its end would be for ever.
//
// each: the reader's own functions look at each record.
func (s *Stream) check(p page, each bool) (good page, records int, err error) {
	rest := p
	for len(rest) > 0 && s.open {
		first := rest
		m, e := rest.next()
		if e != nil {
			s.lost = e
			return good, records, errors.Join(err, e)
		}
		record, e := s.accept(m)
		if e == nil && record && each && err == nil {
			e = s.look(m)
		}
		if err == nil && e == nil {
			if record {
				records++
			}
			if record && !each {
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
	s.open = s.open && !s.single
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes after the end of the dump", ErrMalformed, len(rest))
	}
	return good, records, err
}

// look asks the reader's own functions for what they make of a record.
func (s *Stream) look(m Message) error {
	if s.dump.Generation != nil {
		g, err := s.dump.Generation(m)
		if err != nil {
			return err
		}
		if s.dated && g != s.generation {
			s.stats.Interrupted = true
		}
		s.generation, s.dated = g, true
	}
	if s.dump.Key != nil {
		return s.checkKey(m)
	}
	return nil
}

// checkKey refuses a record whose key is not after the one before.
func (s *Stream) checkKey(m Message) (err error) {
	if s.newKey, err = s.dump.Key(s.newKey[:0], m); err != nil {
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
//
// A record is what has the request's sequence number and port id (but see
// Dump.Unaddressed), and a type of the family's. Whether it has NLM_F_MULTI says
// nothing: the dumps of netdev and some of ethtool's are without
// (net/core/netdev-genl.c, net/ethtool).
func (s *Stream) accept(m Message) (record bool, err error) {
	switch m.Type {
	case unix.NLMSG_NOOP:
		return false, nil
	case unix.NLMSG_OVERRUN:
		s.lost = fmt.Errorf("%w (NLMSG_OVERRUN)", ErrOverrun)
		return false, s.lost
	}
	if m.Type == unix.NLMSG_ERROR && m.Seq == s.before && m.Seq != s.seq && ackError(m) == nil {
		return false, nil // see acknowledged
	}
	if err := s.checkAddress(m); err != nil {
		return false, err
	}
	if m.Flags&unix.NLM_F_DUMP_INTR != 0 {
		s.stats.Interrupted = true
	}
	if m.Flags&unix.NLM_F_DUMP_FILTERED != 0 {
		s.stats.Filtered = true
	}
	switch {
	case m.Type == unix.NLMSG_DONE:
		if s.dump.Do && !s.dump.NoAck {
			s.done = true // the acknowledgement follows
		} else {
			s.end()
		}
		return false, doneError(m)
	case m.Type == unix.NLMSG_ERROR:
		return false, s.acknowledged(m)
	case m.Type < unix.NLMSG_MIN_TYPE:
		return false, fmt.Errorf("%w: message of reserved type %d", ErrProtocol, m.Type)
	}
	s.begun = true
	s.single = s.single || s.dump.Do && s.dump.NoAck && m.Flags&unix.NLM_F_MULTI == 0
	return true, nil
}

// checkAddress refuses a message that answers another request. Whatever the
// family writes into its records, what ends or refuses a dump has the request's
// sequence number.
func (s *Stream) checkAddress(m Message) error {
	if m.Seq == s.seq && m.PortID == s.port {
		return nil
	}
	hint := ""
	if (m.Seq == s.seq || m.Type >= unix.NLMSG_MIN_TYPE) && (m.PortID == s.port || m.PortID == 0) {
		if s.dump.Unaddressed {
			return nil
		}
		hint = "; it answers another request, or its family has numbers of its own: for such a family, set Dump.Unaddressed"
	}
	return fmt.Errorf("%w: message with sequence %d for port %d, want %d for %d%s",
		ErrProtocol, m.Seq, m.PortID, s.seq, s.port, hint)
}

// acknowledged is what an NLMSG_ERROR says. One with an errno of 0 acknowledges,
// which the kernel does for each request but a dump that it started. Of TIPC's
// sockets it does so after the dump's first page, which may be the last one
// (net/tipc/diag.c:tipc_sock_diag_handler_dump drops what says that it started).
func (s *Stream) acknowledged(m Message) error {
	err := ackError(m)
	if !s.dump.Do && errors.Is(err, unix.ENOBUFS) {
		// No memory for the first page. The dump was started before that,
		// and stays (af_netlink.c:__netlink_dump_start).
		s.lost = fmt.Errorf("%w: %w", ErrOverrun, err)
		return s.lost
	}
	if err == nil && !s.dump.Do && s.begun {
		return nil
	}
	s.end()
	if err == nil && !s.dump.Do {
		return fmt.Errorf("%w: the request was acknowledged, not answered by a dump: the kernel ignores it "+
			"(a body that is too short, a reserved type), it asks for no dump (Dump.Do), or the answer comes later (Dump.NoAck)", ErrProtocol)
	}
	return err
}

// end notes that the dump is over. After an overrun the queue is read on: until it
// is empty, the kernel drops every answer, and does not say so
// (af_netlink.c:netlink_attachskb, netlink_rcv_wake).
func (s *Stream) end() {
	s.done = errors.Is(s.lost, ErrOverrun)
	s.open = s.done
}
