// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

var (
	// ErrNoFamily says that the kernel has no family with the name FamilyName.
	// It is also an os.ErrNotExist.
	ErrNoFamily = fmt.Errorf("no generic netlink family %q: is the bulkdump module loaded? (%w)", FamilyName, os.ErrNotExist)

	// ErrClosed says that the Client was closed. It is also an os.ErrClosed.
	ErrClosed = fmt.Errorf("bulkdump client: %w", os.ErrClosed)

	// ErrBadReply says that a reply or a record of the family lacks something
	// that it must have, or has it in a wrong form.
	ErrBadReply = errors.New("reply not as the family's spec has it")

	// ErrInterrupted is [nldump.ErrInterrupted].
	ErrInterrupted = nldump.ErrInterrupted

	// ErrStale says that the kernel's log of changes does not reach back to
	// DumpOptions.Since: only a dump of the whole table helps.
	ErrStale error = unix.ESTALE

	// ErrNotSynced says that Sync gave up: the table changed during each of its
	// passes, or the log of changes never reached back far enough. It is also
	// the error of the last pass, ErrInterrupted or ErrStale.
	ErrNotSynced = errors.New("not synced")

	// ErrOverrun is [nldump.ErrOverrun]: events were lost because they came faster
	// than they were read.
	ErrOverrun = nldump.ErrOverrun

	// ErrTruncated is [nldump.ErrTruncated].
	ErrTruncated = nldump.ErrTruncated
)

// An Error is the kernel's refusal of an operation, or its early end of a dump.
// It unwraps to the errno.
type Error struct {
	Op   string // the operation's name in the spec
	Attr string // the offending attribute by its names in the spec, "filter.id-to"; or ""
	nldump.KernelError
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Done {
		b.WriteString(": dump ended early")
	}
	b.WriteString(": " + e.Errno.Error())
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Attr != "" {
		b.WriteString(" (attribute " + e.Attr + ")")
	}
	return b.String()
}

// An op is an operation, with the attributes' names for its errors.
type op struct {
	name  string
	cmd   uint8
	names map[uint16]uapi.Attr
}

// fail turns an error of either library into one of this package. req is the
// request after the netlink header.
func (o op) fail(err error, req []byte) error {
	e := &Error{Op: o.name}
	var k *nldump.KernelError
	var n *netlink.OpError
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &k):
		e.KernelError = *k
	case isKernels(err) && errors.As(err, &n) && errors.As(n.Err, &errno):
		e.KernelError = nldump.KernelError{Errno: errno, Message: n.Message, Offset: uint32(n.Offset)}
	default:
		return fmt.Errorf("%s: %w", o.name, err)
	}
	switch {
	case e.MissingType != 0 && e.MissingNest == 0:
		e.Attr = o.names[uint16(e.MissingType)].Name + " is missing"
	case e.Offset >= unix.SizeofNlMsghdr+genlHeaderLen && len(req) >= genlHeaderLen:
		e.Attr = attrAt(o.names, req[genlHeaderLen:], int(e.Offset)-unix.SizeofNlMsghdr-genlHeaderLen)
	}
	return e
}

// isKernels tells whether netlink's error is an errno in a message from the
// kernel. An errno of a system call is an *os.SyscallError.
func isKernels(err error) bool {
	var n *netlink.OpError
	if !errors.As(err, &n) {
		return false
	}
	_, ok := n.Err.(syscall.Errno)
	return ok
}

// attrAt names the innermost known attribute that starts at the offset or holds
// it. It returns "" if none does.
func attrAt(names map[uint16]uapi.Attr, b []byte, offset int) string {
	a := nldump.Parse(b)
	for at := 0; a.Next(); at += (attrHeaderLen + len(a.Bytes()) + 3) &^ 3 {
		n, ok := names[a.Type()]
		if end := at + attrHeaderLen + len(a.Bytes()); !ok || offset < at || offset >= end {
			continue
		}
		if in := attrAt(n.Nest, a.Bytes(), offset-at-attrHeaderLen); in != "" {
			return n.Name + "." + in
		}
		return n.Name
	}
	return ""
}
