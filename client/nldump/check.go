// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"golang.org/x/sys/unix"
)

// check returns the good part of a page, the number of records in it, and what is
// wrong with the message behind it. It walks the rest of the page nevertheless,
// because NLMSG_DONE may be there: then the dump is over, and nobody must wait for
// its end.
//
// each: the reader's own functions look at each record.
func (s *Stream) check(p page, each bool) (good page, records int, err error) {
	rest := p
	for len(rest) > 0 && s.open {
		first := rest
		m, e := rest.next()
		if e != nil {
			s.lose(e)
			s.open = !s.single
			return good, records, errors.Join(err, e)
		}
		record, e := s.accept(m)
		if e == nil && record && each && err == nil {
			lost := s.lost
			s.lost = errUnwalked // if look does not return
			e = s.look(m)
			s.lost = lost
		}
		if err == nil && e == nil {
			if record {
				records++
			}
			if record && !each {
				// What was said about this header holds for equal ones.
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

// lose notes why the end may be lost. The first overrun stays: after it, an empty
// queue does not mean that the dump is over.
func (s *Stream) lose(err error) {
	if !errors.Is(s.lost, ErrOverrun) {
		s.lost = err
	}
}

// errUnwalked says that the dump's end may be in a page that was not walked to its
// end: a function of the reader's panicked, or ended its goroutine.
var errUnwalked = errors.New("nldump: a page was left in the middle")

// accept checks that m belongs to the open dump, and tells records from messages
// of the netlink layer. It sees the end of the dump.
//
// A record has the sequence number and the port id of the request (but see
// Dump.Unaddressed) and a type of the family. NLM_F_MULTI says nothing: the dumps
// of netdev and some of ethtool do not set it (net/core/netdev-genl.c,
// net/ethtool).
func (s *Stream) accept(m Message) (record bool, err error) {
	switch m.Type {
	case unix.NLMSG_NOOP:
		return false, nil
	case unix.NLMSG_OVERRUN:
		err := fmt.Errorf("%w (NLMSG_OVERRUN)", ErrOverrun)
		s.lose(err)
		return false, err
	}
	if m.Type == unix.NLMSG_ERROR && s.second && m.Seq == s.before && m.Seq != s.seq && ackError(m) == nil {
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

// checkAddress refuses a message that answers another request. A family may write
// anything into its records, but what ends or refuses a dump always has the
// sequence number of the request.
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

// acknowledged says what an NLMSG_ERROR means. One with an errno of 0 is an
// acknowledgement, which the kernel sends for each request but for a dump that it
// started. For TIPC's sockets it sends one after the first page of the dump, which
// may be the last (net/tipc/diag.c:tipc_sock_diag_handler_dump drops the code that
// says that a dump was started).
func (s *Stream) acknowledged(m Message) error {
	err := ackError(m)
	if !s.dump.Do && errors.Is(err, unix.ENOBUFS) {
		// No memory for the first page. The dump was started before that, and
		// stays (af_netlink.c:__netlink_dump_start).
		err = fmt.Errorf("%w: %w", ErrOverrun, err)
		s.lose(err)
		return err
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

// end notes that the dump is over. After an overrun the queue is read on, because
// the kernel drops each answer, and does not say so, until the queue is empty
// (af_netlink.c:netlink_attachskb, netlink_rcv_wake).
func (s *Stream) end() {
	s.done = errors.Is(s.lost, ErrOverrun)
	s.open = s.done
}

// look lets the reader's own functions look at a record.
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

// checkKey refuses a record whose key is not above the one before.
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

// progress notices a dump that sends the same page for ever.
type progress struct {
	seed     maphash.Seed
	last     uint64 // hash of the page before: its length and its ends
	whole    uint64 // hash of all of it; 0 if that was not needed
	repeated int    // records in the pages that repeated it
	empty    int    // empty pages in a row
}

// reset forgets the page before: another dump begins.
func (g *progress) reset() { g.last, g.empty = 0, 0 }

// emptyLimit is the most empty pages in a row. An empty page asks for a larger one,
// and the next page, or one of the next, is larger. But the dump of the routes of
// all families sends empty pages for ever if a route of IPv6 fits into no page
// (net/core/rtnetlink.c:rtnl_dump_all).
const emptyLimit = 1 << 12

// check refuses a page that came too often in a row. To look at each byte of each
// page would take a tenth of what a stream does. So a page is only looked at as a
// whole if its length, its start and its end are those of the page before.
func (g *progress) check(p page, records, limit int) error {
	if limit < 0 {
		return nil
	}
	if len(p) == 0 {
		if g.empty++; g.empty >= min(limit, emptyLimit) {
			return fmt.Errorf("%w: %d empty pages (Config.RepeatLimit)", ErrNoProgress, g.empty)
		}
		return nil
	}
	g.empty = 0
	const sample = 256
	sum := maphash.Bytes(g.seed, p[:min(sample, len(p))]) +
		3*maphash.Bytes(g.seed, p[max(0, len(p)-sample):]) + uint64(len(p))
	if sum != g.last {
		g.last, g.whole = sum, 0
		return nil
	}
	if whole := maphash.Bytes(g.seed, p); whole != g.whole {
		g.whole, g.repeated = whole, 0
		return nil
	}
	if g.repeated += max(records, 1); g.repeated >= limit {
		return fmt.Errorf("%w: the same page again and again, %d records in all (Config.RepeatLimit)", ErrNoProgress, g.repeated)
	}
	return nil
}
