// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// readBare is the floor of any reader in Go: a system call for each page, a loop over
// the page's messages, and the decoder of readBulkdump. It cannot be cancelled, and
// looks at nothing but lengths, errors and the end.
func (t *table) readBare(_ context.Context, sum *tally) error {
	fd, err := openBare(t.protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return t.readSocket(fd, sum)
}

func openBare(protocol int) (fd int, err error) {
	return unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
}

func (t *table) readSocket(fd int, sum *tally) error {
	request := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(t.request.Data))
	binary.NativeEndian.PutUint32(request, uint32(cap(request)))
	binary.NativeEndian.PutUint16(request[4:], t.request.Type)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, append(request, t.request.Data...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for buf := make([]byte, 64<<10); ; {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return err
		}
		end, err := t.bareMessages(buf[:n], sum)
		if end || err != nil {
			return err
		}
	}
}

func (t *table) bareMessages(page []byte, sum *tally) (end bool, err error) {
	for len(page) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(page))
		if size < unix.NLMSG_HDRLEN || size > len(page) {
			return false, fmt.Errorf("a message of %d bytes, and %d are left", size, len(page))
		}
		m := nldump.Message{Type: binary.NativeEndian.Uint16(page[4:]), Data: page[unix.NLMSG_HDRLEN:size]}
		switch m.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(m.Data) >= 4 {
				if errno := -int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
					return true, unix.Errno(errno)
				}
			}
			return true, nil
		}
		w, err := t.decode(m)
		if err != nil {
			return false, err
		}
		sum.add(w)
		page = page[min((size+3)&^3, len(page)):]
	}
	return false, nil
}
