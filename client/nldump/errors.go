// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	// ErrInterrupted says that the table changed during the dump
	// (NLM_F_DUMP_INTR). It comes after all records. Together they may be a state
	// that the table never had.
	ErrInterrupted = errors.New("dump interrupted: the table changed meanwhile")

	// ErrTruncated says that a page was larger than the buffer and lost its end.
	// Nothing of the page is delivered. See [TruncatedError] for the sizes.
	ErrTruncated = errors.New("page truncated: the buffer is too small")

	// ErrOverrun says that the socket's receive queue overflowed, so that messages
	// may be lost, or that there was no memory for a page. The dump is still open
	// in the kernel, but the rest of it may never come: close the stream, rather
	// than drain it. If the kernel reported it by errno, the error is also ENOBUFS.
	ErrOverrun = errors.New("receive queue overrun")

	// ErrMalformed says that a page or an attribute has impossible lengths.
	ErrMalformed = errors.New("malformed netlink data")

	// ErrProtocol says that a message is well formed, but does not belong in this
	// dump.
	ErrProtocol = errors.New("netlink protocol violated")

	// ErrNoProgress says that the kernel sent the same page again and again
	// (Config.RepeatLimit), or a record whose key did not rise (Dump.Key).
	ErrNoProgress = errors.New("dump makes no progress")

	// ErrStalled says that no page came within Config.StallTimeout. The dump is
	// still open in the kernel. The error is also an os.ErrDeadlineExceeded.
	ErrStalled = errors.New("dump stalled: no page")

	// ErrBusy says that the stream's last dump was left before its end, or that its
	// loop still runs.
	ErrBusy = errors.New("the last dump on this stream was not read to its end")
)

// A TruncatedError is an ErrTruncated with the sizes.
type TruncatedError struct {
	Size   int  // bytes of the page
	Buffer int  // bytes of the buffer
	Grown  bool // the buffer of the stream's next dump is as large as that page
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%v: page of %d bytes, buffer of %d", ErrTruncated, e.Size, e.Buffer)
}

// Unwrap makes errors.Is(err, ErrTruncated) true.
func (e *TruncatedError) Unwrap() error { return ErrTruncated }

// A KernelError is an errno that the kernel sent in NLMSG_ERROR (the request
// was refused) or in NLMSG_DONE (the dump ended early), with its extended
// acknowledgement. It unwraps to the errno, so errors.Is works with it and
// with os.ErrNotExist, os.ErrPermission and os.ErrExist.
type KernelError struct {
	Errno syscall.Errno
	// Message is the kernel's own explanation (NLMSGERR_ATTR_MSG), or "".
	Message string
	// Offset is where the offending attribute starts in the request, in bytes from
	// its netlink header (NLMSGERR_ATTR_OFFS); 0 if the kernel does not say.
	Offset uint32
	// MissingType is the type of a required attribute that the request lacks
	// (NLMSGERR_ATTR_MISS_TYPE); 0 if the kernel does not say.
	MissingType uint32
	// MissingNest is the offset of the nest that lacks it
	// (NLMSGERR_ATTR_MISS_NEST); 0 for the top level.
	MissingNest uint32
	// Done is true if the error came in NLMSG_DONE: the dump callback failed.
	Done bool
	// Records is how many records were delivered before the error.
	Records uint64
}

func (e *KernelError) Error() string {
	var b strings.Builder
	switch {
	case e.Records > 0:
		fmt.Fprintf(&b, "dump ended early, after %d records: ", e.Records)
	case e.Done:
		b.WriteString("dump failed before its first record: ")
	default:
		b.WriteString("request refused: ")
	}
	b.WriteString(e.Errno.Error())
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	if e.Offset != 0 {
		fmt.Fprintf(&b, " (attribute at offset %d)", e.Offset)
	}
	if e.MissingType != 0 {
		fmt.Fprintf(&b, " (attribute %d is missing)", e.MissingType)
	}
	b.WriteString(e.hint())
	return b.String()
}

// hint says what to do about an errno whose own text does not.
func (e *KernelError) hint() string {
	switch {
	case e.Errno == unix.EMSGSIZE && e.Done:
		return " (a record is larger than a page: read with a larger buffer, which counts up to 32 KiB, or ask for less in a record)"
	case e.Errno == unix.EBUSY && !e.Done:
		return " (a dump runs on this socket: read it to its end, or use another socket)"
	}
	return ""
}

// Unwrap returns the errno.
func (e *KernelError) Unwrap() error { return e.Errno }

// errnoLen is the size of the errno that NLMSG_ERROR and NLMSG_DONE start with.
const errnoLen = 4

// doneError returns what NLMSG_DONE says: nil, or the errno with which the
// dump ended. Attributes follow the errno directly
// (af_netlink.c:netlink_dump_done). A DONE without payload is a success; such
// ones come from families that end their dumps by hand.
func doneError(m Message) error {
	if len(m.Data) == 0 {
		return nil
	}
	e, err := kernelError(m.Data)
	if e == nil || err != nil {
		return err
	}
	e.Done = true
	if m.Flags&flagAckTLVs != 0 {
		e.explain(m.Data[errnoLen:])
	}
	return e
}

// ackError returns the error in NLMSG_ERROR. The request follows the errno:
// its header alone if NLM_F_CAPPED is set, else all of it; attributes follow
// the request (af_netlink.c:netlink_ack). An errno of 0 acknowledges, which
// the kernel does not do for a dump that started.
func ackError(m Message) error {
	e, err := kernelError(m.Data)
	if e == nil || err != nil {
		return err
	}
	if m.Flags&flagAckTLVs == 0 {
		return e
	}
	echo := page(m.Data[errnoLen:])
	skip := headerLen
	if m.Flags&flagCapped == 0 && len(echo) >= headerLen {
		skip = max(skip, align(int(min(binary.NativeEndian.Uint32(echo), 1<<30))))
	}
	if skip <= len(echo) {
		e.explain(echo[skip:])
	}
	return e
}

// kernelError reads the errno; nil if it is 0. Families have errors of their own
// above the kernel's largest (include/uapi/linux/netfilter/ipset/ip_set.h,
// IPSET_ERR_PRIVATE).
func kernelError(b []byte) (*KernelError, error) {
	if len(b) < errnoLen {
		return nil, fmt.Errorf("%w: errno of %d bytes", ErrMalformed, len(b))
	}
	n := int32(binary.NativeEndian.Uint32(b))
	if n > 0 || n == math.MinInt32 {
		return nil, fmt.Errorf("%w: errno %d", ErrMalformed, n)
	}
	if n == 0 {
		return nil, nil
	}
	return &KernelError{Errno: syscall.Errno(-n)}, nil
}

// explain reads the attributes of an extended acknowledgement. They only
// explain: if they are malformed, the errno still counts.
func (e *KernelError) explain(b []byte) {
	a := Parse(b)
	for a.Next() {
		switch a.Type() {
		case unix.NLMSGERR_ATTR_MSG:
			e.Message = string(a.Text())
		case unix.NLMSGERR_ATTR_OFFS:
			e.Offset = a.Uint32()
		case attrMissType:
			e.MissingType = a.Uint32()
		case attrMissNest:
			e.MissingNest = a.Uint32()
		}
	}
}

// Attributes that package unix lacks (enum nlmsgerr_attrs).
const (
	attrMissType = 5 // NLMSGERR_ATTR_MISS_TYPE
	attrMissNest = 6 // NLMSGERR_ATTR_MISS_NEST
)
