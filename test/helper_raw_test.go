// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// The numbers of the ABI, by hand: these tests must not repeat an error of the
// client.
const (
	cmdEntryGet   = 1
	cmdEntryNew   = 2
	cmdEntrySet   = 3
	cmdEntryDel   = 4
	cmdTableGet   = 5
	cmdTableFill  = 6
	cmdTableFlush = 7

	attrID       = 1
	attrName     = 2
	attrFlags    = 3
	attrValue    = 4
	attrPayload  = 5
	attrFilter   = 8
	attrCreate   = 9
	attrFields   = 10
	attrSince    = 11
	attrCursor   = 12
	attrEncoding = 13

	attrIDFrom     = 1 // in attrFilter
	attrIDTo       = 2
	attrNamePrefix = 3
	attrFlagsValue = 4
	attrFlagsMask  = 5

	attrCount = 1 // of fill

	flagIntr     = unix.NLM_F_DUMP_INTR
	flagFiltered = unix.NLM_F_DUMP_FILTERED
	flagDump     = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
)

// A rawSocket is a netlink socket with nothing between it and the test.
type rawSocket struct {
	t      testing.TB
	fd     int
	family uint16
	seq    uint32
	buf    []byte
}

// openRaw opens a socket for a family, with a read buffer of that size.
func openRaw(t testing.TB, family string, size int) *rawSocket {
	t.Helper()
	f := getFamily(t, family)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		t.Fatal(err)
	}
	s := &rawSocket{t: t, fd: fd, family: f.ID, buf: make([]byte, size)}
	t.Cleanup(s.close)
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	// A missing reply is a failure, not a hang.
	tv := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	return s
}

// getFamily asks the kernel for a family.
func getFamily(t testing.TB, name string) genetlink.Family {
	t.Helper()
	c, err := genetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.GetFamily(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *rawSocket) close() {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
	}
	s.fd = -1
}

// send sends a request of the family and returns its sequence.
func (s *rawSocket) send(cmd uint8, flags uint16, attrs ...[]byte) uint32 {
	s.t.Helper()
	return s.sendBody(flags, append([]byte{cmd, 1, 0, 0}, bytes.Join(attrs, nil)...))
}

// sendBody sends any body after a netlink header.
func (s *rawSocket) sendBody(flags uint16, body []byte) uint32 {
	s.t.Helper()
	if err := unix.Sendto(s.fd, s.message(flags, body), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		s.t.Fatal(err)
	}
	return s.seq
}

// message puts a netlink header with the next sequence before a body.
func (s *rawSocket) message(flags uint16, body []byte) []byte {
	s.seq++
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, s.family)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, body...)
}

// recv reads a datagram. Because of the time limit, a signal to the thread
// interrupts the call, and Go's scheduler sends those.
func (s *rawSocket) recv(flags int) (n int, err error) {
	for {
		if n, _, err = unix.Recvfrom(s.fd, s.buf, flags); err != unix.EINTR {
			return n, err
		}
	}
}

// read returns the messages of one datagram, and its length.
func (s *rawSocket) read() (ms []nldump.Message, size int) {
	s.t.Helper()
	n, err := s.recv(unix.MSG_TRUNC)
	if err != nil {
		s.t.Fatal(err)
	}
	if n > len(s.buf) {
		s.t.Fatalf("page of %d bytes, buffer of %d", n, len(s.buf))
	}
	if n == 0 {
		s.t.Fatal("an empty datagram")
	}
	return messages(s.t, slices.Clone(s.buf[:n])), n
}

// messages splits a datagram into messages.
func messages(t testing.TB, b []byte) (ms []nldump.Message) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			t.Fatalf("%d bytes after the last message", len(b))
		}
		l := int(binary.NativeEndian.Uint32(b))
		if l < unix.SizeofNlMsghdr || l > len(b) {
			t.Fatalf("message of %d bytes, %d left", l, len(b))
		}
		ms = append(ms, nldump.Message{
			Type:  binary.NativeEndian.Uint16(b[4:]),
			Flags: binary.NativeEndian.Uint16(b[6:]),
			Seq:   binary.NativeEndian.Uint32(b[8:]),
			Data:  b[unix.SizeofNlMsghdr:l],
		})
		b = b[min((l+3)&^3, len(b)):]
	}
	return ms
}

// readDump reads pages until DONE, which is the last message returned.
func (s *rawSocket) readDump() (pages [][]nldump.Message, sizes []int) {
	s.t.Helper()
	for {
		ms, n := s.read()
		pages, sizes = append(pages, ms), append(sizes, n)
		if last := ms[len(ms)-1]; last.Type == unix.NLMSG_DONE || last.Type == unix.NLMSG_ERROR {
			return pages, sizes
		}
	}
}

// A verdict is the kernel's answer to a request that it refuses, or the end of
// a dump.
type verdict struct {
	errno  unix.Errno
	text   string
	offset uint32 // in the request, of the attribute that is to blame; 0 if none is named
	done   bool   // it is the end of a dump
	intr   bool   // with NLM_F_DUMP_INTR
}

// verdictOf reads NLMSG_ERROR or NLMSG_DONE.
func verdictOf(t testing.TB, m nldump.Message) verdict {
	t.Helper()
	skip := 4
	switch {
	case m.Type == unix.NLMSG_ERROR:
		skip += unix.SizeofNlMsghdr // NETLINK_CAP_ACK: only the header of the request
	case m.Type != unix.NLMSG_DONE:
		t.Fatalf("message of type %d, want an error or DONE", m.Type)
	}
	v := verdict{errno: unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data))), done: m.Type == unix.NLMSG_DONE, intr: m.Flags&flagIntr != 0}
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return v
	}
	a := nldump.Parse(m.Data[skip:])
	for a.Next() {
		switch a.Type() {
		case unix.NLMSGERR_ATTR_MSG:
			v.text = string(a.Text())
		case unix.NLMSGERR_ATTR_OFFS:
			v.offset = a.Uint32()
		}
	}
	if a.Err() != nil {
		t.Fatal(a.Err())
	}
	return v
}

// ask sends a request and returns the last message of the answer: an error, an
// acknowledgement or the end of a dump.
func (s *rawSocket) ask(flags uint16, body []byte) verdict {
	s.t.Helper()
	return s.answerTo(s.sendBody(flags|unix.NLM_F_ACK, body))
}

// answerTo reads the answer to the request with a sequence number, up to that
// message.
func (s *rawSocket) answerTo(seq uint32) verdict {
	s.t.Helper()
	for {
		ms, _ := s.read()
		last := ms[len(ms)-1]
		if last.Seq != seq {
			s.t.Fatalf("answer to request %d, want %d", last.Seq, seq)
		}
		if last.Type == unix.NLMSG_ERROR || last.Type == unix.NLMSG_DONE {
			return verdictOf(s.t, last)
		}
	}
}

// idOf returns the attribute id of a record.
func idOf(t testing.TB, m nldump.Message) uint32 {
	t.Helper()
	a := nldump.Parse(m.Data[4:])
	for a.Next() {
		if a.Type() == attrID {
			return a.Uint32()
		}
	}
	t.Fatal("record without an id")
	return 0
}

func attr(typ uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func attrU32(typ uint16, v uint32) []byte {
	return attr(typ, binary.NativeEndian.AppendUint32(nil, v)...)
}

func attrText(typ uint16, text string) []byte { return attr(typ, append([]byte(text), 0)...) }

func nest(typ uint16, attrs ...[]byte) []byte {
	return attr(typ|unix.NLA_F_NESTED, bytes.Join(attrs, nil)...)
}

// request returns a body: the generic netlink header and attributes.
func request(cmd uint8, attrs ...[]byte) []byte {
	return append([]byte{cmd, 1, 0, 0}, bytes.Join(attrs, nil)...)
}
