// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// An answer is the start of the kernel's answer to a dump request: its first
// page, without the parts that differ between sockets or change by themselves.
type answer struct {
	errno   syscall.Errno
	records []byte
}

func (a answer) is(other answer) bool {
	return a.errno == other.errno && bytes.Equal(a.records, other.records)
}

// probed is the buffer of probe, which one thread calls.
var probed [64 << 10]byte

// probe requests a dump, looks at its first page, and leaves it. A few thousand
// probes take as long as one dump of everything.
func probe(r request, hidden []mask) (a answer, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, r.protocol)
	if err != nil {
		return a, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return a, err
	}
	msg := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(r.data)))
	msg = binary.NativeEndian.AppendUint16(msg, r.typ)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	msg = append(append(msg, make([]byte, 8)...), r.data...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return a, err
	}
	page := &probed
	n, _, err := unix.Recvfrom(fd, page[:], unix.MSG_DONTWAIT)
	if err != nil {
		return a, fmt.Errorf("no answer: %w", err)
	}
	for b := page[:n]; len(b) >= unix.SizeofNlMsghdr; {
		size := int(binary.NativeEndian.Uint32(b))
		switch payload := b[unix.SizeofNlMsghdr:size]; binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(payload) >= 4 {
				a.errno = syscall.Errno(-int32(binary.NativeEndian.Uint32(payload)))
			}
			return a, nil
		default:
			record := append(append([]byte{}, b[4:8]...), payload...)
			a.records = append(a.records, hide(record, hidden)...)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return a, nil
}
