// SPDX-License-Identifier: BSD-3-Clause

package script

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A Live is an nldump.PollSocket whose datagrams are made when they are asked
// for.
type Live struct {
	waiter
	next    func() ([]byte, error)
	changes int
	held    bool
}

// Init gives it the function that makes the next datagram, all from the kernel.
// It is called without a lock; unix.EAGAIN says that there is none before
// Changed is called.
func (s *Live) Init(next func() ([]byte, error)) {
	s.init()
	s.next = next
}

// Changed makes a Recv that waits ask again.
func (s *Live) Changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.change.Broadcast()
}

// Hold makes readers wait, even if there is something to read, or go on.
func (s *Live) Hold(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = on
	s.change.Broadcast()
}

// Send implements nldump.Socket.
func (s *Live) Send(m nldump.Message) (nldump.Message, error) {
	m.Seq, m.PortID = Seq, Port
	return m, nil
}

// Poll implements nldump.PollSocket.
func (s *Live) Poll(buf []byte) (nldump.Datagram, error) {
	_, err := s.state()
	if err != nil {
		return nldump.Datagram{}, err
	}
	b, err := s.next()
	copy(buf, b)
	return nldump.Datagram{Len: len(b)}, err
}

// Recv implements nldump.Socket.
func (s *Live) Recv(buf []byte) (nldump.Datagram, error) {
	for {
		changes, err := s.state()
		if err != nil {
			return nldump.Datagram{}, err
		}
		d, err := s.Poll(buf)
		if !errors.Is(err, unix.EAGAIN) {
			return d, err
		}
		s.mu.Lock()
		for s.changes == changes && !s.closed && !s.late() {
			s.change.Wait()
		}
		s.mu.Unlock()
	}
}

// state returns how often there was a change, or why there is nothing to read.
func (s *Live) state() (changes int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.held && !s.closed && !s.late() {
		s.change.Wait()
	}
	switch {
	case s.closed:
		return 0, os.ErrClosed
	case s.late():
		return 0, os.ErrDeadlineExceeded
	}
	return s.changes, nil
}
