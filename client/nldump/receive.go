// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// start sends the request. The kernel makes the first page within that call
// (af_netlink.c:__netlink_dump_start), and reports a refusal as a message.
func (s *Stream) start(req Message, buffer func() ([]byte, error)) error {
	if err := s.prime(buffer); err != nil {
		return err
	}
	req.Flags |= unix.NLM_F_REQUEST
	if !s.dump.Do {
		req.Flags |= unix.NLM_F_DUMP
	}
	if !s.dump.NoAck {
		req.Flags |= unix.NLM_F_ACK
	}
	sent, err := s.sock.Send(req)
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	s.open, s.lost, s.done, s.single = true, nil, false, false
	s.before, s.seq, s.port, s.begun = s.seq, sent.Seq, sent.PortID, false
	s.second, s.asked = s.asked, true
	s.progress.reset()
	return nil
}

// prime reads something into the page buffer before the socket's first dump. The
// kernel makes pages as large as the largest buffer that the socket was read with
// (af_netlink.c:netlink_recvmsg). Without prime, the first page has NLMSG_GOODSIZE,
// and if the first record does not fit there, some dumps of rtnetlink end as if
// they were whole.
//
// What it reads is the acknowledgement of a request that does nothing. That is in
// the queue when Send returns, so nothing waits. A protocol that does not answer
// has no dumps. Answers to earlier requests of others on the socket are dropped.
func (s *Stream) prime(buffer func() ([]byte, error)) error {
	c, ok := s.sock.(*conn)
	if !ok || c.primed {
		return nil
	}
	buf, err := buffer()
	if err != nil {
		return err
	}
	sent, err := c.Send(Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK})
	if err != nil {
		return fmt.Errorf("nldump: %w", err)
	}
	if err := s.deadline.begin(); err != nil {
		return s.receiveError(err)
	}
	for !c.primed {
		if err := s.deadline.ctx.Err(); err != nil {
			return err
		}
		d, err := c.Poll(buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			c.primed = true
		case err != nil:
			return s.receiveError(err)
		case d.foreign():
			if err := s.takeForeign(d, buf); err != nil {
				return err
			}
		default:
			m, _, err := NextMessage(buf[:min(d.Len, len(buf))])
			c.primed = err == nil && m.Seq == sent.Seq
		}
	}
	return s.deadline.ctx.Err()
}

// receive reads the kernel's next datagram into buf. The result is empty if the
// kernel sent an empty one, which asks the reader to come again: a dump callback
// returned > 0 with an empty page, as that of nl80211 does to get a larger page
// (net/wireless/nl80211.c:nl80211_dump_wiphy).
func (s *Stream) receive(buf []byte) (page, error) {
	if err := s.deadline.begin(); err != nil {
		return nil, s.receiveError(err)
	}
	recv := s.sock.Recv
	poller, polls := s.sock.(PollSocket)
	if polls = polls && (s.lost != nil || s.done); polls {
		recv = poller.Poll
	}
	for {
		// Recv does not wait, and does not see a context that is done, while
		// datagrams come in all the time.
		if err := s.deadline.ctx.Err(); err != nil {
			return nil, err
		}
		d, err := recv(buf)
		if err != nil {
			if polls && errors.Is(err, unix.EAGAIN) {
				return nil, s.nothingMore()
			}
			return nil, s.receiveError(err)
		}
		s.stats.Reads++
		if d.foreign() && !s.echoed(d, buf) {
			if err := s.takeForeign(d, buf); err != nil {
				return nil, err
			}
			continue
		}
		if d.Len > len(buf) {
			cut := s.truncated(d.Len, len(buf))
			s.lose(cut)
			return nil, cut
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
// the request changed. The kernel sends it to the requester directly, but with the
// number of the group (af_netlink.c:nlmsg_notify).
func (s *Stream) echoed(d Datagram, buf []byte) bool {
	if d.From != 0 || d.Len < headerLen || s.dump.Request.Flags&unix.NLM_F_ECHO == 0 {
		return false
	}
	m := page(buf).message(headerLen) // it may be cut behind the header
	return m.Seq == s.seq && m.PortID == s.port
}

// takeForeign hands over a datagram that does not answer the request.
func (s *Stream) takeForeign(d Datagram, buf []byte) error {
	s.stats.Foreign++
	if s.dump.Foreign == nil {
		return nil
	}
	err := s.deadline.outside(func() { s.dump.Foreign(d, buf[:min(d.Len, len(buf))]) })
	if err != nil {
		return s.receiveError(err)
	}
	return nil
}

// nothingMore says what an empty receive queue means for a dump whose end may be
// lost. The kernel makes the next page in the call that reads the one before
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

func (s *Stream) receiveError(err error) error {
	if errors.Is(err, unix.ENOBUFS) {
		err = fmt.Errorf("%w: %w", ErrOverrun, err)
		s.lose(err) // whatever the caller is told
	}
	switch cause := s.deadline.ctx.Err(); {
	case cause != nil:
		return cause
	case errors.Is(err, ErrOverrun):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w for %v: %w", ErrStalled, s.cfg.StallTimeout, err)
	}
	return fmt.Errorf("nldump: %w", err)
}

// truncated returns the error for a page that did not fit, and makes later buffers
// large enough for it.
//
// One could ask for the size of each page before it is read (MSG_PEEK|MSG_TRUNC).
// That would double the system calls for what happens once, with records larger
// than any buffer so far. And each look makes the kernel build one more page,
// until they fill half the receive queue (af_netlink.c:netlink_recvmsg).
func (s *Stream) truncated(size, buffer int) error {
	e := &TruncatedError{Size: size, Buffer: buffer, Grown: size <= s.cfg.MaxBufferSize}
	if e.Grown {
		const step = 4 << 10
		s.size = min((size+step-1)&^(step-1), s.cfg.MaxBufferSize)
	}
	return e
}
