// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
)

// A fakeLoop is a kernel as far as a dump needs it: it builds a page in a send,
// and in each read that leaves at most half of the receive buffer in use.
type fakeLoop struct {
	mu        sync.Mutex
	clock     uint64
	log       []byte
	notClosed int
	sockets   []*fakeSocket
	pages     int // of a dump

	collectErr, openErr, sendErr, recvErr error // sendErr: of the first socket
	interrupt                             int   // the page that is interrupted; pages: DONE is
}

const fakePage = 1000 // bytes of memory for each

func newFakeLoop() *fakeLoop { return &fakeLoop{pages: 5, interrupt: -1} }

func (f *fakeLoop) now() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock += 10
	return 1_000_000 + f.clock
}

func (f *fakeLoop) netns() (uint32, error) { return 5, nil }

func (f *fakeLoop) collect(string) (collector, error) {
	if f.collectErr != nil {
		return nil, f.collectErr
	}
	f.notClosed++
	return f, nil
}

func (f *fakeLoop) Start(_, _ string, _ ...string) error { return nil }

func (f *fakeLoop) Events() ([]tracefs.Event, error) { return tracefs.Parse(f.log) }

func (f *fakeLoop) Close() error {
	f.notClosed--
	return nil
}

func (f *fakeLoop) open(o ReaderOptions) (loopSocket, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	s := &fakeSocket{kernel: f, port: uint32(100 + len(f.sockets)), rcvbuf: 2 * int(o.ReceiveBuffer), open: true}
	if o.ReceiveBuffer == 0 {
		s.rcvbuf = 212992
	}
	f.sockets = append(f.sockets, s)
	return s, nil
}

// A fakeSocket is one of its sockets.
type fakeSocket struct {
	kernel *fakeLoop
	port   uint32
	rcvbuf int
	queue  [][]byte
	built  int
	full   bool // a page found no room
	open   bool
}

const fakeFamily, fakeSeq = 30, 9

func (s *fakeSocket) family() uint16 { return fakeFamily }

// build is called with the lock held.
func (s *fakeSocket) build() {
	held := len(s.queue) * fakePage
	if s.built == s.kernel.pages || held > s.rcvbuf/2 {
		return
	}
	if held > 0 && held+fakePage >= s.rcvbuf {
		s.full = true
		return
	}
	ret, flags, done := 40, uint16(unix.NLM_F_MULTI), uint16(unix.NLM_F_MULTI)
	if s.built++; s.built-1 == s.kernel.interrupt {
		flags |= unix.NLM_F_DUMP_INTR
	}
	if s.kernel.interrupt == s.kernel.pages {
		done |= unix.NLM_F_DUMP_INTR
	}
	page := append(s.message(fakeFamily, flags), s.message(fakeFamily, unix.NLM_F_MULTI)...)
	if s.built == s.kernel.pages {
		ret, page = 0, append(page, s.message(unix.NLMSG_DONE, done)...)
	}
	s.queue = append(s.queue, page)
	s.kernel.clock++
	s.kernel.log = fmt.Appendf(s.kernel.log,
		" x-%d [0] ..... 1.%06d: dump_page: netns=5 portid=%d seq=%d records=2 bytes=40 room=3776 scanned=2 place=%d rmem=%d rcvbuf=%d ret=%d\n",
		unix.Gettid(), s.kernel.clock, s.port, fakeSeq, 2*s.built, len(s.queue)*fakePage, s.rcvbuf, ret)
}

// message is a record or DONE, of 20 bytes both.
func (s *fakeSocket) message(typ, flags uint16) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 20)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, fakeSeq)
	b = binary.NativeEndian.AppendUint32(b, s.port)
	return binary.NativeEndian.AppendUint32(b, 0)
}

func (s *fakeSocket) Send(m nldump.Message) (nldump.Message, error) {
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	if s.kernel.sendErr != nil && s == s.kernel.sockets[0] {
		return m, s.kernel.sendErr
	}
	m.PortID, m.Seq = s.port, fakeSeq
	s.build()
	return m, nil
}

func (s *fakeSocket) Recv(buf []byte) (nldump.Datagram, error) { return s.recv(buf, true) }

func (s *fakeSocket) peek(buf []byte) (int, error) {
	d, err := s.recv(buf, false)
	return d.Len, err
}

func (s *fakeSocket) recv(buf []byte, take bool) (nldump.Datagram, error) {
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	switch {
	case s.kernel.recvErr != nil:
		return nldump.Datagram{}, s.kernel.recvErr
	case s.full:
		s.full = false
		return nldump.Datagram{}, fmt.Errorf("recvmsg: %w", unix.ENOBUFS)
	case len(s.queue) == 0:
		return nldump.Datagram{}, errors.New("nothing is queued: this would wait for ever")
	}
	n := copy(buf, s.queue[0])
	if take {
		s.queue = s.queue[1:]
	}
	s.build()
	return nldump.Datagram{Len: n}, nil
}

func (s *fakeSocket) rmem() (uint32, error) {
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	return uint32(len(s.queue) * fakePage), nil
}

func (s *fakeSocket) SetReadDeadline(time.Time) error { return nil }

func (s *fakeSocket) Close() error {
	if !s.open {
		return io.ErrClosedPipe
	}
	s.open = false
	return nil
}
