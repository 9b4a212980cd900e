// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"errors"
	"net"

	"github.com/mdlayher/netlink"
)

var errShort = errors.New("a message shorter than its header")

// A batch sends many requests in one system call. The kernel acknowledges only
// the last one, and reports an error for each one that it refuses.
type batch struct {
	conn     *netlink.Conn
	messages []netlink.Message
	size     int
}

// maxBatch is below the default size of a socket's buffer (208 KiB).
const maxBatch = 128 << 10

func newBatch(protocol int) (*batch, error) {
	conn, err := netlink.Dial(protocol, nil)
	return &batch{conn: conn}, err
}

func (b *batch) add(typ netlink.HeaderType, flags netlink.HeaderFlags, data []byte) error {
	b.messages = append(b.messages, netlink.Message{Header: netlink.Header{Type: typ, Flags: netlink.Request | flags}, Data: data})
	if b.size += 16 + len(data); b.size < maxBatch {
		return nil
	}
	return b.flush()
}

func (b *batch) flush() error {
	if len(b.messages) == 0 {
		return nil
	}
	b.messages[len(b.messages)-1].Header.Flags |= netlink.Acknowledge
	if _, err := b.conn.SendMessages(b.messages); err != nil {
		return err
	}
	b.messages, b.size = b.messages[:0], 0
	_, err := b.conn.Receive() // an error or the acknowledgement
	return err
}

func (b *batch) close() { b.conn.Close() }

// attribute appends an attribute to a message.
func attribute(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// decoderAfter returns a decoder of the attributes behind the family's header.
func decoderAfter(m netlink.Message, header int) (*netlink.AttributeDecoder, error) {
	if len(m.Data) < header {
		return nil, errShort
	}
	return netlink.NewAttributeDecoder(m.Data[header:])
}

// decoderUint32BE decodes a big-endian number of 4 bytes.
func decoderUint32BE(d *netlink.AttributeDecoder) (v uint32) {
	d.Do(func(b []byte) error {
		if len(b) != 4 {
			return errShort
		}
		v = binary.BigEndian.Uint32(b)
		return nil
	})
	return v
}

// uint32Of returns an IPv4 address as a number. It returns 0 if there is none,
// or if it is IPv6.
func uint32Of(ip net.IP) uint32 {
	if ip = ip.To4(); ip == nil {
		return 0
	}
	return binary.BigEndian.Uint32(ip)
}
