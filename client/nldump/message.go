// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// headerLen is sizeof(struct nlmsghdr).
const headerLen = unix.SizeofNlMsghdr

// Flags that package unix lacks (include/uapi/linux/netlink.h).
const (
	flagCapped  = 0x100 // NLM_F_CAPPED
	flagAckTLVs = 0x200 // NLM_F_ACK_TLVS
)

// A Message is one netlink message. Data is lent: it points into the page buffer
// and is valid until the next iteration.
type Message struct {
	Type   uint16
	Flags  uint16
	Seq    uint32
	PortID uint32
	Data   []byte // what follows the netlink header
}

// Attrs returns a cursor over the attributes behind the family's header, whose size
// is unix.SizeofRtMsg, say, or 4 for generic netlink. If the message is shorter than
// the header, the cursor has an ErrMalformed from the start. Otherwise
// m.Data[:header] exists.
func (m Message) Attrs(header int) Attrs {
	if len(m.Data) < header {
		return Attrs{err: fmt.Errorf("%w: message of %d bytes, want a header of %d", ErrMalformed, len(m.Data), header)}
	}
	return Parse(m.Data[min(align(header), len(m.Data)):])
}

// NextMessage cuts the first message off a datagram, for datagrams that are not
// pages of a dump: events, say. The message is lent: it points into the datagram.
// If the datagram does not begin with a message, the error is ErrMalformed.
func NextMessage(datagram []byte) (m Message, rest []byte, err error) {
	p := page(datagram)
	m, err = p.next()
	return m, p, err
}

// page walks the messages of one datagram.
type page []byte

// next cuts off the first message.
func (p *page) next() (Message, error) {
	b := *p
	if len(b) < headerLen {
		return Message{}, fmt.Errorf("%w: %d bytes after the last message of a page", ErrMalformed, len(b))
	}
	n := int64(binary.NativeEndian.Uint32(b))
	if n < headerLen || n > int64(len(b)) {
		return Message{}, fmt.Errorf("%w: message of %d bytes where %d are left", ErrMalformed, n, len(b))
	}
	m := b.message(int(n))
	*p = b.after(int(n))
	return m, nil
}

// message is the first message, of n bytes.
func (p page) message(n int) Message {
	h := (*[headerLen]byte)(p)
	return Message{
		Type:   binary.NativeEndian.Uint16(h[4:]),
		Flags:  binary.NativeEndian.Uint16(h[6:]),
		Seq:    binary.NativeEndian.Uint32(h[8:]),
		PortID: binary.NativeEndian.Uint32(h[12:]),
		Data:   p[headerLen:n:n],
	}
}

// after is the rest behind the first message, of n bytes.
func (p page) after(n int) page { return p[min(align(n), len(p)):] }

// alike cuts off the messages at the start whose headers equal that of first, but
// for the length, and returns their number and the rest.
func (p page) alike(first page) (n int, rest page) {
	want := (*[headerLen]byte)(first)
	kind, port := binary.NativeEndian.Uint64(want[4:]), binary.NativeEndian.Uint32(want[12:])
	p = p[:len(p):len(p)] // and below, as in Messages.Next
	for len(p) >= headerLen {
		h := (*[headerLen]byte)(p)
		length := int64(binary.NativeEndian.Uint32(h[:]))
		if binary.NativeEndian.Uint64(h[4:]) != kind || binary.NativeEndian.Uint32(h[12:]) != port ||
			length < headerLen || length > int64(len(p)) {
			break
		}
		n++
		next := align(int(length))
		if len(p)-next < headerLen {
			return n, p[min(next, len(p)):]
		}
		p = p[next:len(p):len(p)]
	}
	return n, p
}

// Messages are the records of a page, from one of them to the last. They are for
// loops where each instruction counts: a range over Page.Records calls two functions
// a record, and this loop none.
//
//	for ms := p.Messages(); len(ms) > 0; ms = ms.Next() {
//		use(ms.Type(), ms.Data())
//	}
//
// All records have been checked. Only Page.Messages checks that the page is still
// the caller's: what is read after its release belongs to another page.
//
// Each method is small enough to be inlined into the caller's loop (go build
// -gcflags=-m).
type Messages []byte

// Messages returns the page's records.
func (p Page) Messages() Messages {
	ms := p.messages()
	return ms[:len(ms):len(ms)] // see Next
}

func (p Page) messages() Messages {
	p.check()
	ms := Messages(p.page)
	if len(ms) > 0 && ms.Type() < unix.NLMSG_MIN_TYPE {
		return ms.Next()
	}
	return ms
}

// Next returns the records behind the first one: none behind the last. It skips
// messages of the netlink layer between them.
func (ms Messages) Next() Messages {
	for {
		n := align(ms.size())
		// A checked page never has less than a header left. From this check, and
		// from a capacity that equals the length, the compiler knows that the
		// pointer stays within the page and that there is a type to read.
		if len(ms)-n < headerLen {
			return nil
		}
		if ms = ms[n:len(ms):len(ms)]; ms.Type() >= unix.NLMSG_MIN_TYPE {
			return ms
		}
	}
}

// header is the header of the first record: one check of the length for all its
// fields.
func (ms Messages) header() *[headerLen]byte { return (*[headerLen]byte)(ms) }

// size is the nlmsg_len of the first record.
func (ms Messages) size() int { return int(binary.NativeEndian.Uint32(ms.header()[:])) }

// Type is the nlmsg_type of the first record.
func (ms Messages) Type() uint16 { return binary.NativeEndian.Uint16(ms.header()[4:]) }

// Bytes is the whole first record, with its netlink header. It is lent, as the
// page is.
func (ms Messages) Bytes() []byte {
	n := ms.size()
	return ms[:n:n]
}

// Data is what follows the netlink header of the first record. It is lent, as the
// page is.
func (ms Messages) Data() []byte {
	n := ms.size()
	return ms[headerLen:n:n]
}

// Message is the whole first record. Its Data is lent, as the page is.
func (ms Messages) Message() Message { return page(ms).message(ms.size()) }
