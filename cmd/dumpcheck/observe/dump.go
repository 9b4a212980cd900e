// SPDX-License-Identifier: BSD-3-Clause

package observe

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// An End is how a dump ended, or why it was not taken to its end.
type End string

const (
	Running End = "running"
	Done    End = "done"    // NLMSG_DONE; Errno is what it holds
	Refused End = "refused" // NLMSG_ERROR with an errno
	Acked   End = "acked"   // NLMSG_ERROR with 0: what was asked was no dump
	Stalled End = "stalled" // no page came
	Limited End = "limited" // it had too many pages, or bytes
	Endless End = "endless" // it repeats itself; Repeats says how
	Left    End = "left"    // Limits.Between left it
	Cut     End = "cut"     // a page was larger than the buffer, so its end is lost
	Failed  End = "failed"  // the socket failed; Err says how
)

// A Dump is all that came in answer to a request.
type Dump struct {
	Request nldump.Message // as it was sent: with its sequence number and port id
	Sending time.Duration  // the first page is made meanwhile
	Pages   []Page
	After   []Page // datagrams behind the end
	Bytes   int
	Foreign int // datagrams that are no answer: events
	End     End
	Errno   syscall.Errno
	Text    string // of the extended acknowledgement
	Err     error  // of the socket, or of Between
	Cycle   int    // pages after which an endless dump repeats itself

	records  []Message
	seen     map[uint64]int // hash of a page to the number of the last such one
	repeated int            // pages in a row that came before
	prodded  bool           // a signal came while the kernel made a page of it, or may have
}

// A Page is a datagram.
type Page struct {
	Data     []byte
	Len      int // its full length: more than Data if the buffer was too small
	Messages []Message
	Rest     []byte        // bytes behind the last message that are none
	Wait     time.Duration // for it
}

// A Message is one of a page. Its Data points into the page.
type Message struct {
	nldump.Message
	Page   int    // number of the page
	Offset int    // in the page
	Raw    []byte // with its header
}

// Record tells a record from a message of the netlink layer: DONE, ERROR.
func (m Message) Record() bool { return m.Type >= unix.NLMSG_MIN_TYPE }

// NewPage cuts a datagram into its messages. Full is its length, of which the buffer
// may have less.
func NewPage(buf []byte, full int, wait time.Duration) Page {
	p := Page{Data: bytes.Clone(buf[:min(full, len(buf))]), Len: full, Wait: wait}
	for rest := p.Data; len(rest) > 0; {
		m, left, err := nldump.NextMessage(rest)
		if err != nil {
			p.Rest = rest
			break
		}
		p.Messages = append(p.Messages, Message{Message: m, Offset: len(p.Data) - len(rest), Raw: rest[:binary.NativeEndian.Uint32(rest)]})
		rest = left
	}
	return p
}

// Add adds a datagram, as if it had come.
func (d *Dump) Add(data []byte) { d.add(data, len(data), 0) }

// add adds a datagram, and sees whether it ends the dump.
func (d *Dump) add(buf []byte, full int, wait time.Duration) {
	p := NewPage(buf, full, wait)
	for i := range p.Messages {
		p.Messages[i].Page = len(d.Pages)
		if p.Messages[i].Record() {
			d.records = append(d.records, p.Messages[i])
		}
	}
	d.Bytes += full
	d.repeats(p.Data)
	d.Pages = append(d.Pages, p)
	for _, m := range p.Messages {
		switch m.Type {
		case unix.NLMSG_DONE:
			d.End = Done
			d.Errno = Errno(m)
			d.Text = extack(m, 4)
		case unix.NLMSG_ERROR:
			if m.Seq != d.Request.Seq {
				continue
			}
			d.Errno = Errno(m)
			if d.End = Acked; d.Errno != 0 {
				d.End = Refused
				d.Text = extack(m, 4+unix.SizeofNlMsghdr)
			}
		}
	}
	if full > len(p.Data) {
		d.End = Cut
	}
}

// A dump is endless if so many pages in a row came before, and all that came
// before twice.
const enough = 200

var seed = maphash.MakeSeed()

// repeats sees whether an endless dump repeats itself.
func (d *Dump) repeats(data []byte) {
	if d.seen == nil {
		d.seen = map[uint64]int{}
	}
	hash := maphash.Bytes(seed, data)
	before, again := d.seen[hash]
	d.seen[hash] = len(d.Pages)
	if !again {
		d.repeated = 0
		return
	}
	if d.repeated++; d.repeated > max(enough, 2*len(d.seen)) {
		d.End, d.Cycle = Endless, len(d.Pages)-before
	}
}

// Errno is the number that a DONE or an ERROR begins with.
func Errno(m Message) syscall.Errno {
	if len(m.Data) < 4 {
		return 0
	}
	return syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
}

// extack is the text of an extended acknowledgement behind a header. The request
// is capped (NETLINK_CAP_ACK), so nothing but its header is in an ERROR.
func extack(m Message, header int) string {
	const ackTLVs, attrMsg = 0x200, 1 // NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG
	if m.Flags&ackTLVs == 0 || len(m.Data) < header {
		return ""
	}
	a := m.Attrs(header)
	if !a.Find(attrMsg) {
		return ""
	}
	return string(a.Text())
}

// Whole tells whether the dump came to its end without an error.
func (d *Dump) Whole() bool { return d.End == Done && d.Errno == 0 }

// Messages are all messages up to the dump's end, in order.
func (d *Dump) Messages() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for _, p := range d.Pages {
			for _, m := range p.Messages {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// Records are its records, in order. Do not change them.
func (d *Dump) Records() []Message { return d.records }

// Marked is the first message with a flag; nil if none has it.
func (d *Dump) Marked(flag uint16) *Message {
	for m := range d.Messages() {
		if m.Flags&flag != 0 {
			return &m
		}
	}
	return nil
}

// Interrupted tells whether the kernel says that the table changed meanwhile.
func (d *Dump) Interrupted() bool { return d.Marked(unix.NLM_F_DUMP_INTR) != nil }
