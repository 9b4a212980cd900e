// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// An answer is the start of the kernel's answer to a dump request: its first page,
// without what differs between sockets or moves by itself.
type answer struct {
	errno   syscall.Errno
	records []byte
}

func (a answer) is(other answer) bool {
	return a.errno == other.errno && bytes.Equal(a.records, other.records)
}

// A prober asks the kernel what it has. Each probe is a dump request, which changes
// nothing, of which only the first page is read. A few thousand probes take as long as
// one dump of everything.
type prober struct{ page []byte }

func newProber() *prober { return &prober{make([]byte, 64<<10)} }

// probe requests a dump, looks at its first page, and leaves it.
func (p *prober) probe(t *Target) (a answer, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, t.Protocol)
	if err != nil {
		return a, fmt.Errorf("socket of netlink protocol %d: %w", t.Protocol, err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return a, err
	}
	msg := u32(uint32(unix.SizeofNlMsghdr + len(t.Request.Data)))
	msg = binary.NativeEndian.AppendUint16(msg, t.Request.Type)
	msg = binary.NativeEndian.AppendUint16(msg, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	msg = append(append(msg, zeros(8)...), t.Request.Data...)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return a, fmt.Errorf("%v: %w", t, err)
	}
	n, _, err := unix.Recvfrom(fd, p.page, unix.MSG_DONTWAIT)
	if err != nil {
		return a, fmt.Errorf("%v: no answer: %w", t, err)
	}
	for b := p.page[:n]; len(b) >= unix.SizeofNlMsghdr; {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return a, nil
		}
		switch payload := b[unix.SizeofNlMsghdr:size]; binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(payload) >= 4 {
				a.errno = syscall.Errno(-int32(binary.NativeEndian.Uint32(payload)))
			}
			return a, nil
		default:
			if still := t.Still(payload); still != nil {
				a.records = append(append(a.records, b[4:8]...), still...)
			}
		}
		b = b[min(align(size), len(b)):]
	}
	return a, nil
}
