// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// explain says what the error of a dump means for the reader.
func explain(err error) string {
	var refused *nldump.KernelError
	switch {
	case err == nil:
		return "whole, of a table that did not change"
	case errors.Is(err, nldump.ErrInterrupted):
		return "whole, of a table that changed meanwhile"
	case errors.Is(err, nldump.ErrTruncated):
		return "a page did not fit: dump again, with a larger buffer"
	case errors.Is(err, nldump.ErrOverrun):
		return "the receive queue overflowed: dump again, on another socket"
	case errors.Is(err, nldump.ErrStalled):
		return "the kernel went silent"
	case errors.As(err, &refused):
		return "the kernel said no: " + refused.Errno.Error()
	case errors.Is(err, nldump.ErrNoProgress):
		return "the kernel's dump is broken: it would never end"
	case errors.Is(err, nldump.ErrMalformed), errors.Is(err, nldump.ErrProtocol):
		return "the kernel's dump is broken"
	case errors.Is(err, nldump.ErrBusy):
		return "the last dump of this stream was not read to its end"
	}
	return "the socket failed, or the context ended"
}

// What the errors of a dump mean, with a socket that produces each of them.
func Example_errors() {
	ctx := context.Background()
	record, done := script.Record(0, []byte{1, 0, 0, 0}), script.Done(0, 0)
	for _, steps := range [][]script.Step{
		{script.Page(record, done)},
		{script.Page(record, script.Done(unix.NLM_F_DUMP_INTR, 0))},
		{script.Page(record), script.Page(make([]byte, 100_000))},
		{script.Page(record), {Err: unix.ENOBUFS}},
		{script.Page(record), {Err: os.ErrDeadlineExceeded}},
		{script.Page(record, script.Done(0, unix.EMSGSIZE))},
		{{Page: record, Again: true}},
		{script.Page(record[:13])},
		{script.Page(record), {Err: io.ErrClosedPipe}},
	} {
		s, _ := script.Stream(nldump.Config{RepeatLimit: 100}, steps...)
		var last error
		for _, err := range s.Records(ctx, nldump.Message{}) {
			last = err
		}
		fmt.Println(explain(last))
	}
	s, _ := script.Stream(nldump.Config{}, script.Page(record), script.Page(done))
	for range 2 {
		for _, err := range s.Records(ctx, nldump.Message{}) {
			if err != nil {
				fmt.Println(explain(err))
			}
			break
		}
	}
	// Output:
	// whole, of a table that did not change
	// whole, of a table that changed meanwhile
	// a page did not fit: dump again, with a larger buffer
	// the receive queue overflowed: dump again, on another socket
	// the kernel went silent
	// the kernel said no: message too long
	// the kernel's dump is broken: it would never end
	// the kernel's dump is broken
	// the socket failed, or the context ended
	// the last dump of this stream was not read to its end
}

// The kernel's explanation of a refusal.
func ExampleKernelError() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	req.Data[2] = 1 // ifi_type, which filters nothing: a strict dump must not have it
	for _, err := range s.Records(context.Background(), req) {
		var e *nldump.KernelError
		if errors.As(err, &e) {
			fmt.Println(e.Errno == unix.EINVAL, e.Message)
		}
	}
	// Old programs send such requests and expect all links.
	lax, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{NoStrictCheck: true})
	if err != nil {
		log.Fatal(err)
	}
	defer lax.Close()
	for _, err := range lax.Records(context.Background(), req) {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(lax.Stats().Records > 0)
	// Output:
	// true Invalid values in header for link dump request
	// true
}

// The error says how large the page was, and whether a new dump is enough.
func ExampleTruncatedError() {
	s, _ := script.Stream(nldump.Config{}, script.Page(make([]byte, 100_000)))
	for _, err := range s.Records(context.Background(), nldump.Message{}) {
		var e *nldump.TruncatedError
		if errors.As(err, &e) {
			fmt.Println(e.Size, e.Buffer, e.Grown)
			fmt.Println(err)
		}
	}
	// Output:
	// 100000 65536 true
	// page truncated: the buffer is too small: page of 100000 bytes, buffer of 65536
}
