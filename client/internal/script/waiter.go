// SPDX-License-Identifier: BSD-3-Clause

package script

import (
	"os"
	"sync"
	"time"
)

// A waiter is what each socket has: a deadline and an end, for which a Recv
// waits that has nothing to give.
type waiter struct {
	mu       sync.Mutex
	change   *sync.Cond
	deadline time.Time
	timers   []*time.Timer
	closed   bool
}

func (s *waiter) init() { s.change = sync.NewCond(&s.mu) }

// Closed tells whether Close was called.
func (s *waiter) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Deadline tells whether a deadline is set.
func (s *waiter) Deadline() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deadline.IsZero()
}

// late tells whether the deadline has passed.
func (s *waiter) late() bool { return !s.deadline.IsZero() && !time.Now().Before(s.deadline) }

// wakeAt makes a Recv that waits look again then.
func (s *waiter) wakeAt(t time.Time) {
	if d := time.Until(t); d > 0 {
		s.timers = append(s.timers, time.AfterFunc(d, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.change.Broadcast()
		}))
	}
}

// SetReadDeadline implements nldump.Socket.
func (s *waiter) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.deadline = t
	s.wakeAt(t)
	s.change.Broadcast()
	return nil
}

// Close implements nldump.Socket. Closing again is an error, as it is of a file.
func (s *waiter) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.closed = true
	for _, t := range s.timers {
		t.Stop()
	}
	s.change.Broadcast()
	return nil
}
