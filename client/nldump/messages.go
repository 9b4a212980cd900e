// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Messages are the records of a page, from one of them to the last, for loops
// where each instruction counts: a range over Page.Records calls two functions
// for each record, and this none.
//
//	for ms := p.Messages(); len(ms) > 0; ms = ms.Next() {
//		use(ms.Type(), ms.Data())
//	}
//
// All records were checked before. Whether the page is still the caller's is
// looked at in Page.Messages alone: what is read after its release is another
// page's.
//
// Every method is small enough to be put into the caller's loop; go build
// -gcflags=-m tells.
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

// Next is what is behind the first record: nothing behind the last one. A page
// may have messages of the netlink layer between them, which it skips.
func (ms Messages) Next() Messages {
	for {
		n := align(ms.size())
		// No checked page has less than a header left. From this, and from a
		// capacity that is the length, the compiler knows that the pointer stays
		// within the page, and that there is a type to read.
		if len(ms)-n < headerLen {
			return nil
		}
		if ms = ms[n:len(ms):len(ms)]; ms.Type() >= unix.NLMSG_MIN_TYPE {
			return ms
		}
	}
}

// header is that of the first record: one check of the slice's length for all
// that is read of it.
func (ms Messages) header() *[headerLen]byte { return (*[headerLen]byte)(ms) }

// size is the nlmsg_len of the first record.
func (ms Messages) size() int { return int(binary.NativeEndian.Uint32(ms.header()[:])) }

// Type is the nlmsg_type of the first record.
func (ms Messages) Type() uint16 { return binary.NativeEndian.Uint16(ms.header()[4:]) }

// Bytes is the whole first record, its netlink header too. It is lent, as the
// page is.
func (ms Messages) Bytes() []byte {
	n := ms.size()
	return ms[:n:n]
}

// Data is what follows the first record's netlink header. It is lent, as the
// page is.
func (ms Messages) Data() []byte {
	n := ms.size()
	return ms[headerLen:n:n]
}

// Message is the whole first record. Its Data is lent, as the page is.
func (ms Messages) Message() Message { return page(ms).message(ms.size()) }
