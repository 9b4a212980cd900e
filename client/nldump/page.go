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

// A Message is one netlink message. Data is lent: it points into the page
// buffer and is valid until the next one is asked for.
type Message struct {
	Type   uint16
	Flags  uint16
	Seq    uint32
	PortID uint32
	Data   []byte // what follows the netlink header
}

// page walks the messages of one datagram.
type page []byte

// next cuts off the first message. The page must not be empty.
func (p *page) next() (Message, error) {
	b := *p
	if len(b) < headerLen {
		return Message{}, fmt.Errorf("%w: %d bytes after the last message of a page", ErrMalformed, len(b))
	}
	n := int64(binary.NativeEndian.Uint32(b))
	if n < headerLen || n > int64(len(b)) {
		return Message{}, fmt.Errorf("%w: message of %d bytes where %d are left", ErrMalformed, n, len(b))
	}
	m := Message{
		Type:   binary.NativeEndian.Uint16(b[4:]),
		Flags:  binary.NativeEndian.Uint16(b[6:]),
		Seq:    binary.NativeEndian.Uint32(b[8:]),
		PortID: binary.NativeEndian.Uint32(b[12:]),
		Data:   b[headerLen:n:n],
	}
	*p = b[min(align(int(n)), len(b)):]
	return m, nil
}
