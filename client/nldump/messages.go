// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Messages is a cursor over the records of a page, for loops where each
// instruction counts: a range over Page.Records calls two functions for each
// record, and this none.
//
//	ms := p.Messages()
//	for ms.Next() {
//		use(ms.Type(), ms.Data())
//	}
//
// All records were checked before. It panics as the page does.
type Messages struct {
	b       *buffer
	turn    uint64
	message page // the one at hand
	rest    page // what is behind it
}

// Messages returns a cursor before the first record. It is to be a variable of
// its own: the compiler copies one of a for statement for each iteration.
func (p Page) Messages() Messages {
	p.check()
	return Messages{b: p.b, turn: p.turn, rest: p.page}
}

// Next goes to the next record, and returns false behind the last one. That it
// is inlined hangs by two nodes of the compiler's budget.
func (ms *Messages) Next() bool {
	for len(ms.rest) > 0 {
		if ms.b.turn.Load() != ms.turn {
			panic(stale)
		}
		n := int(binary.NativeEndian.Uint32(ms.rest))
		ms.message, ms.rest = ms.rest[:n:n], ms.rest.after(n)
		if ms.Type() >= unix.NLMSG_MIN_TYPE {
			return true
		}
	}
	return false
}

// Type is the record's nlmsg_type.
func (ms *Messages) Type() uint16 { return binary.NativeEndian.Uint16(ms.message[4:]) }

// Data is what follows the record's netlink header. It is lent, as the page is.
func (ms *Messages) Data() []byte { return ms.message[headerLen:] }

// Message is the whole record. Its Data is lent, as the page is.
func (ms *Messages) Message() Message { return ms.message.message(len(ms.message)) }
