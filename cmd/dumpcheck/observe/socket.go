// SPDX-License-Identifier: BSD-3-Clause

// Package observe takes a dump as the kernel sends it, right or wrong: every
// datagram, every message, every byte. It judges nothing. Package nldump refuses
// what is wrong with a dump; here it is what one wants to see.
package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A Socket is a netlink socket to take dumps from, one after the other. The
// kernel makes pages as large as the largest buffer that the socket was read
// with, so each buffer size takes a socket of its own.
type Socket struct {
	sock nldump.PollSocket
	raw  syscall.RawConn
	buf  []byte
}

// Dial opens a socket of the netlink protocol, in the network namespace of the
// calling thread. It checks requests strictly (NETLINK_GET_STRICT_CHK). Pages are as
// large as the buffer, up to 32,448 bytes, from the first one on.
func Dial(protocol, buffer int) (*Socket, error) {
	s, err := dial(protocol, buffer)
	if err != nil {
		return nil, err
	}
	if err := s.prime(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// DialFresh is Dial without a read before the first dump, whose first page is
// small then, as that of most programs is.
func DialFresh(protocol, buffer int) (*Socket, error) {
	return dial(protocol, buffer)
}

func dial(protocol, buffer int) (*Socket, error) {
	conn, err := netlink.Dial(protocol, nil)
	if err != nil {
		return nil, fmt.Errorf("socket of netlink protocol %d: %w", protocol, err)
	}
	sock, err := nldump.Open(conn, nldump.Config{})
	if err != nil {
		conn.Close()
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Socket{sock: sock, raw: raw, buf: make([]byte, buffer)}, nil
}

// Close closes the socket, and ends a dump that runs on it.
func (s *Socket) Close() error { return s.sock.Close() }

// prime reads an acknowledgement into the whole buffer
// (net/netlink/af_netlink.c:netlink_recvmsg notes its size).
func (s *Socket) prime() error {
	if _, err := s.sock.Send(nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}); err != nil {
		return err
	}
	_, err := s.poll()
	if errors.Is(err, unix.EAGAIN) {
		return nil // a protocol that does not answer has no dumps
	}
	return err
}

// Do sends a request that is no dump, and returns what answers it: the messages
// up to the acknowledgement, and its errno.
func (s *Socket) Do(request nldump.Message, wait time.Duration) *Dump {
	request.Flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK
	return s.take(request, Limits{Page: wait})
}

// Dump sends a dump request and takes all that answers it.
func (s *Socket) Dump(request nldump.Message, l Limits) *Dump {
	request.Flags |= unix.NLM_F_REQUEST | unix.NLM_F_DUMP | unix.NLM_F_ACK
	return s.take(request, l)
}

// DumpShort sends a dump request that claims to be shorter than it is: its length has
// n bytes of the data. What follows is in the same datagram.
func (s *Socket) DumpShort(request nldump.Message, n int, l Limits) *Dump {
	const sequence = 1
	d := &Dump{Request: request}
	d.Request.Seq = sequence
	b := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(request.Data))
	binary.NativeEndian.PutUint32(b, uint32(unix.SizeofNlMsghdr+n))
	binary.NativeEndian.PutUint16(b[4:], request.Type)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], sequence)
	b = append(b, request.Data...)
	var sendErr error
	err := s.raw.Control(func(fd uintptr) { sendErr = unix.Sendto(int(fd), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) })
	if err := errors.Join(err, sendErr); err != nil {
		d.End, d.Err = Failed, err
		return d
	}
	d.resume(s, l)
	return d
}

const usualWait = 5 * time.Second

// Limits bound a dump that does not end by itself.
type Limits struct {
	Page  time.Duration // the longest wait for a page; 0 is usualWait
	Bytes int           // of all pages; 0 is 64 MiB
	Pages int           // 0 is a million

	// Between is called when a page was read, and the next not yet, with the
	// number of pages read. It is called with 0 when the request was sent. An
	// error leaves the dump where it is; ErrLeave, or one of its own that becomes
	// the dump's Err.
	Between func(pages int) error
}

func (s *Socket) take(request nldump.Message, l Limits) *Dump {
	d := &Dump{}
	var err error
	d.Sending = d.enter(orDefault(l.Page, usualWait), func() { d.Request, err = s.sock.Send(request) })
	if err != nil {
		d.End, d.Err = Failed, err
		return d
	}
	d.resume(s, l)
	return d
}

// enter calls a function that enters the kernel, and returns how long it took. A
// callback of a dump that waits for what never comes does so in there, where no
// deadline of the socket counts. After the wait, a signal gets the thread out, unless the
// callback ignores signals.
//
// That the wait is over says nothing about the dump: this process may have been stopped.
// See stalled.
func (d *Dump) enter(wait time.Duration, f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	// Go's runtime uses this signal itself, and ignores it if there is no need.
	prod := time.AfterFunc(wait, func() { unix.Tgkill(os.Getpid(), thread, unix.SIGURG) })
	begin := time.Now()
	f()
	d.prodded = !prod.Stop() || d.prodded
	return time.Since(begin)
}

// stalled tells whether the dump has ended because the signal came while its callback
// waited: with an error that a system call would have instead of going on.
func (d *Dump) stalled() bool {
	const restartsys = 512 // ERESTARTSYS in include/linux/errno.h, which is for the kernel alone
	return d.prodded && (d.Errno == unix.EINTR || d.Errno == restartsys)
}

// Resume goes on with a dump that was left by Limits.Between, Bytes or Pages.
func (d *Dump) Resume(s *Socket, l Limits) {
	d.resume(s, l)
}

// ErrLeave is what Between returns to leave a dump.
var ErrLeave = errors.New("dump left")

// LeaveAfter is a Between that leaves the dump when so many pages were read.
func LeaveAfter(pages int) func(int) error {
	return func(n int) error {
		if n >= pages {
			return ErrLeave
		}
		return nil
	}
}

func (d *Dump) resume(s *Socket, l Limits) {
	wait, most, pages := orDefault(l.Page, usualWait), orDefault(l.Bytes, 64<<20), orDefault(l.Pages, 1<<20)
	d.End, d.Err = Running, nil
	for d.End == Running {
		if l.Between != nil {
			if err := l.Between(len(d.Pages)); err != nil {
				d.End, d.Err = Left, nil
				if !errors.Is(err, ErrLeave) {
					d.Err = err
				}
				return
			}
		}
		if d.Bytes >= most || len(d.Pages) >= pages {
			d.End = Limited
			return
		}
		var got nldump.Datagram
		var err error
		took := d.enter(wait, func() {
			s.sock.SetReadDeadline(time.Now().Add(wait))
			if got, err = s.sock.Recv(s.buf); errors.Is(err, os.ErrDeadlineExceeded) {
				got, err = s.poll() // it may have come while this process was stopped
			}
		})
		switch {
		case errors.Is(err, unix.EAGAIN):
			d.End = Stalled
			return
		case err != nil:
			d.End, d.Err = Failed, err
			return
		case got.From != 0 || got.Group != 0:
			d.Foreign++
			continue
		}
		if d.add(s.buf, got.Len, took); d.stalled() {
			// That page is our signal's, not the callback's.
			d.End, d.Errno, d.Text = Stalled, 0, ""
			d.Pages = d.Pages[:len(d.Pages)-1]
		}
	}
	if d.End == Done || d.End == Refused || d.End == Acked {
		d.after(s)
	}
}

// after takes what is in the queue behind the end, where nothing should be. It is not
// called if the dump goes on: to take a page makes the next one.
func (d *Dump) after(s *Socket) {
	const most = 1000
	for range most {
		got, err := s.poll()
		if err != nil {
			return
		}
		if got.From == 0 && got.Group == 0 {
			d.After = append(d.After, NewPage(s.buf, got.Len, 0))
		}
	}
}

// poll reads a datagram that is there, also after the deadline.
func (s *Socket) poll() (nldump.Datagram, error) {
	s.sock.SetReadDeadline(time.Time{})
	return s.sock.Poll(s.buf)
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Send sends a dump request, and reads nothing: on a socket with a dump that runs.
func (s *Socket) Send(request nldump.Message) (nldump.Message, error) {
	request.Flags |= unix.NLM_F_REQUEST | unix.NLM_F_DUMP | unix.NLM_F_ACK
	return s.sock.Send(request)
}
