// SPDX-License-Identifier: BSD-3-Clause

// Package script is a netlink socket for tests that says what it is told to:
// any sequence of pages, right or wrong, that a kernel might send.
package script

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Seq and Port are the sequence number and the port id of every request on a
// Socket, and of the messages that the builders make.
const (
	Seq  = 7
	Port = 42
)

// A Step is what one Recv gives.
type Step struct {
	Page  []byte
	From  uint32 // port id of the sender
	Group uint32 // of multicast that it was sent to
	Err   error
	After time.Duration // wait that long first
	Wait  bool          // wait for the deadline or for Close instead
	Again bool          // never go on to the next step
}

// Page is the Step of a page from the kernel that holds the messages.
func Page(messages ...[]byte) Step {
	var s Step
	for _, m := range messages {
		s.Page = append(s.Page, m...)
	}
	return s
}

// A Socket is an nldump.Socket that follows a script. When the script is at
// its end, Recv fails.
type Socket struct {
	// Waiting is closed when a Step waits for the first time.
	Waiting chan struct{}

	// Asked, if not nil, is called with each request, and Next, if not nil,
	// gives each Step that Recv needs: a script that is made as it goes. Both
	// are set before the socket is used, and called while it is locked.
	Asked func(nldump.Message)
	Next  func() Step

	waiter
	steps []Step
	sent  []nldump.Message
	once  sync.Once
}

// ErrEnd is what Recv returns after the last step.
var ErrEnd = errors.New("the script is at its end")

// New returns a Socket with the script.
func New(steps ...Step) *Socket {
	s := &Socket{steps: steps, Waiting: make(chan struct{})}
	s.init()
	return s
}

// Stream returns a Stream on a Socket with the script.
func Stream(cfg nldump.Config, steps ...Step) (*nldump.Stream, *Socket) {
	sock := New(steps...)
	s, err := nldump.New(sock, cfg)
	if err != nil {
		panic(err)
	}
	return s, sock
}

// Sent returns the requests so far.
func (s *Socket) Sent() []nldump.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// Send implements nldump.Socket.
func (s *Socket) Send(m nldump.Message) (nldump.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return m, os.ErrClosed
	}
	m.Seq, m.PortID = Seq, Port
	s.sent = append(s.sent, m)
	if s.Asked != nil {
		s.Asked(m)
	}
	return m, nil
}

// Recv implements nldump.Socket.
func (s *Socket) Recv(buf []byte) (nldump.Datagram, error) { return s.recv(buf, true) }

// Poll implements nldump.PollSocket.
func (s *Socket) Poll(buf []byte) (nldump.Datagram, error) { return s.recv(buf, false) }

func (s *Socket) recv(buf []byte, wait bool) (nldump.Datagram, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Next != nil {
		s.steps = []Step{s.Next()}
	}
	if len(s.steps) == 0 {
		return nldump.Datagram{}, ErrEnd
	}
	step := s.steps[0]
	ready := time.Now().Add(step.After)
	s.wakeAt(ready)
	for (step.Wait || time.Now().Before(ready)) && !s.late() && !s.closed {
		if !wait {
			return nldump.Datagram{}, unix.EAGAIN
		}
		s.once.Do(func() { close(s.Waiting) })
		s.change.Wait()
	}
	switch {
	case s.closed:
		return nldump.Datagram{}, os.ErrClosed
	case s.late():
		return nldump.Datagram{}, os.ErrDeadlineExceeded
	}
	if !step.Again {
		s.steps = s.steps[1:]
	}
	copy(buf, step.Page)
	return nldump.Datagram{Len: len(step.Page), From: step.From, Group: step.Group}, step.Err
}
