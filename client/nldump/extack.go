// SPDX-License-Identifier: BSD-3-Clause

package nldump

import (
	"encoding/binary"
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

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
