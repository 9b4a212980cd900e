// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

// kmsgEnd is written to the log at the end of the run. When forwardLog sees it,
// it has sent everything before it.
const kmsgEnd = "bulkdump-vm: end of run "

// forwardLog sends the kernel's log from its first record on. It closes the
// channel after it has sent the mark written by endLog.
func forwardLog(ctl *proto.Writer, token string) (<-chan struct{}, error) {
	// Plain system calls: os.File would use the poller, and would treat EPIPE
	// as a broken pipe.
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 16<<10)
		for {
			n, err := unix.Read(fd, buf)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EPIPE):
				// Records were overwritten before they were read, so they
				// cannot be judged.
				ctl.Send(proto.Message{Kind: proto.KindFault, Text: "kernel log overran its buffer: records are lost"})
			case err != nil || n == 0:
				ctl.Send(proto.Message{Kind: proto.KindFault, Text: "kernel log cannot be read"})
				return
			default:
				rec := string(buf[:n])
				ctl.Send(proto.Message{Kind: proto.KindKmsg, Text: strings.TrimSuffix(rec, "\n")})
				if strings.Contains(rec, kmsgEnd+token) {
					return
				}
			}
		}
	}()
	return done, nil
}

func endLog(token string) error {
	return os.WriteFile("/dev/kmsg", []byte("<6>"+kmsgEnd+token+"\n"), 0)
}
