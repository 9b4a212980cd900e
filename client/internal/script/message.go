// SPDX-License-Identifier: BSD-3-Clause

package script

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// Type is the message type of the records that Record makes.
const Type = 0x20

// Message makes a netlink message, padded.
func Message(typ, flags uint16, data ...[]byte) []byte {
	m := make([]byte, unix.SizeofNlMsghdr)
	for _, d := range data {
		m = append(m, d...)
	}
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], typ)
	binary.NativeEndian.PutUint16(m[6:], flags)
	binary.NativeEndian.PutUint32(m[8:], Seq)
	binary.NativeEndian.PutUint32(m[12:], Port)
	return pad(m)
}

// Record makes a record of a dump; flags are added to NLM_F_MULTI.
func Record(flags uint16, data ...[]byte) []byte {
	return Message(Type, unix.NLM_F_MULTI|flags, data...)
}

// Done makes an NLMSG_DONE; flags are added to NLM_F_MULTI.
func Done(flags uint16, errno syscall.Errno, tlvs ...[]byte) []byte {
	return Message(unix.NLMSG_DONE, unix.NLM_F_MULTI|flags, append([][]byte{Errno(errno)}, tlvs...)...)
}

// Errno is the number that NLMSG_DONE and NLMSG_ERROR start with.
func Errno(e syscall.Errno) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e)))
}

// Attr makes an attribute, padded.
func Attr(typ uint16, value ...[]byte) []byte {
	a := make([]byte, unix.SizeofNlAttr)
	for _, v := range value {
		a = append(a, v...)
	}
	binary.NativeEndian.PutUint16(a, uint16(len(a)))
	binary.NativeEndian.PutUint16(a[2:], typ)
	return pad(a)
}

// U32 makes an attribute of 4 bytes.
func U32(typ uint16, v uint32) []byte {
	return Attr(typ, binary.NativeEndian.AppendUint32(nil, v))
}

// U64 makes an attribute of 8 bytes.
func U64(typ uint16, v uint64) []byte {
	return Attr(typ, binary.NativeEndian.AppendUint64(nil, v))
}

// Text makes an attribute of a text and its NUL.
func Text(typ uint16, s string) []byte { return Attr(typ, []byte(s), []byte{0}) }

// Poke returns b with the byte at i changed to v.
func Poke(b []byte, i int, v byte) []byte {
	b = append([]byte(nil), b...)
	b[i] = v
	return b
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
