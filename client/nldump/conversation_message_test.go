// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// What a scripted kernel says, with what it means. The model looks only at the
// meaning, the reader sees only the bytes.

// A message is one netlink message.
type message struct {
	typ, flags uint16
	of         request32 // whose answer it is
	port       uint32
	body       []byte

	// Of DONE and ERROR.
	bad bool                // the errno cannot be read
	err *nldump.KernelError // nil: success
}

// request32 is the sequence number of a message.
type request32 int

const (
	mine    request32 = iota // of the request that is answered
	before                   // of the one before on that socket
	older                    // of an earlier one
	later                    // of one that was not sent yet
	nobody                   // 0
	another                  // any other
)

// number is the sequence number in the answer to request seq.
func (r request32) number(seq uint32) uint32 {
	return [...]uint32{seq, seq - 1, seq - 7, seq + 1, 0, 0xdeadbeef}[r]
}

func (m message) isRecord() bool { return m.typ >= unix.NLMSG_MIN_TYPE }

// bytes is the message in the answer to request seq, without padding.
func (m message) bytes(b []byte, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(m.body)))
	b = binary.NativeEndian.AppendUint16(b, m.typ)
	b = binary.NativeEndian.AppendUint16(b, m.flags)
	b = binary.NativeEndian.AppendUint32(b, m.of.number(seq))
	b = binary.NativeEndian.AppendUint32(b, m.port)
	return append(b, m.body...)
}

func (m message) String() string {
	name := fmt.Sprintf("record %d", m.typ)
	switch {
	case m.isRecord() && len(m.body) > 1:
		name = fmt.Sprintf("record(key %d, generation %d)", m.body[0], m.body[1])
	case m.typ == unix.NLMSG_DONE:
		name = "DONE"
	case m.typ == unix.NLMSG_ERROR:
		name = "ERROR"
	case m.typ < unix.NLMSG_MIN_TYPE:
		name = fmt.Sprintf("type %d", m.typ)
	}
	of := [...]string{"", " of the request before", " of an older request", " of a later request", " of nobody", " of another"}[m.of]
	s := fmt.Sprintf("%s%s +%d", name, of, len(m.body))
	if m.flags != unix.NLM_F_MULTI {
		s += fmt.Sprintf(" flags %#x", m.flags)
	}
	if m.port != script.Port {
		s += fmt.Sprintf(" port %d", m.port)
	}
	if m.bad {
		s += " bad errno"
	}
	if m.err != nil {
		s += fmt.Sprintf(" %+v", *m.err)
	}
	return s
}

// A sheet is what a datagram holds: messages, and something behind them that is
// none. (A page is what is good of it.)
type sheet struct {
	messages []message
	tail     []byte   // no message: too short, or of an impossible length
	header   *message // what the tail's header says, if it has one
	unpadded bool     // the last message lacks its padding
	made     *made    // what bytes made last, to be made once for all who ask
}

// made is a datagram in the answer to a request.
type made struct {
	seq uint32
	b   []byte
}

// bytes is the datagram in the answer to request seq.
func (s sheet) bytes(seq uint32) []byte {
	if s.made == nil {
		return s.encode(seq)
	}
	if s.made.b == nil || s.made.seq != seq {
		*s.made = made{seq, s.encode(seq)}
	}
	return s.made.b
}

func (s sheet) encode(seq uint32) []byte {
	b := make([]byte, 0, 128)
	for i, m := range s.messages {
		b = m.bytes(b, seq)
		for len(b)%4 != 0 && (i < len(s.messages)-1 || !s.unpadded) {
			b = append(b, 0)
		}
	}
	tail := len(b)
	b = append(b, s.tail...)
	if s.header != nil {
		binary.NativeEndian.PutUint32(b[tail+8:], s.header.of.number(seq))
	}
	return b
}

// first is the first header in it, or nil.
func (s sheet) first() *message {
	if len(s.messages) > 0 {
		return &s.messages[0]
	}
	return s.header
}

func (s sheet) size() int { return len(s.encode(0)) }

func (s sheet) String() string {
	var all []string
	for _, m := range s.messages {
		all = append(all, m.String())
	}
	text := "[" + strings.Join(all, ", ") + "]"
	if len(s.tail) > 0 {
		text += fmt.Sprintf(" and % x", s.tail)
	}
	if s.unpadded {
		text += " unpadded"
	}
	return text
}

// An event is what one read gives: a datagram, an error, or nothing, so that the
// reader waits.
type event struct {
	sheet       sheet
	from, group uint32
	err         error
	silence     bool
}

func (e event) String() string {
	switch {
	case e.silence:
		return "silence"
	case e.err != nil:
		return fmt.Sprintf("error %v", e.err)
	case e.from != 0 || e.group != 0:
		return fmt.Sprintf("from %d to group %d: %v", e.from, e.group, e.sheet)
	}
	return e.sheet.String()
}

// errnoIs is how the reader knows an errno in the kernel's answer.
func errnoIs(n int32) (bad bool, err *nldump.KernelError) {
	switch {
	case n > 0 || n == math.MinInt32:
		return true, nil
	case n < 0:
		return false, &nldump.KernelError{Errno: syscall.Errno(-n)}
	}
	return false, nil
}

// ending makes a DONE or ERROR with this errno and what explains it. An ERROR has
// the request behind the errno: its header alone if capped, else with that many
// bytes. cut leaves the last bytes of the attributes out.
func ending(typ, flags uint16, errno int32, echo int, why explanation, cut int) message {
	m := message{typ: typ, flags: flags, port: script.Port}
	m.body = binary.NativeEndian.AppendUint32(nil, uint32(errno))
	if typ == unix.NLMSG_ERROR {
		request := script.Message(script.Type, 0x301, make([]byte, echo)) // its length is said even if it is capped
		if flags&capped != 0 {
			request = request[:unix.SizeofNlMsghdr]
		}
		m.body = append(m.body, request...)
	}
	attrs := why.bytes()
	m.body = append(m.body, attrs[:len(attrs)-min(cut, len(attrs))]...)
	if m.bad, m.err = errnoIs(errno); m.err != nil {
		m.err.Done = typ == unix.NLMSG_DONE
		if flags&tlvs != 0 {
			why.tell(m.err, cut)
		}
	}
	return m
}

// An explanation is an extended acknowledgement. Zero: not said.
type explanation struct {
	text                  string
	offset, missing, nest uint32
}

func (w explanation) attrs() (all [][]byte) {
	if w.offset != 0 {
		all = append(all, script.U32(unix.NLMSGERR_ATTR_OFFS, w.offset))
	}
	if w.missing != 0 {
		all = append(all, script.U32(5, w.missing))
	}
	if w.nest != 0 {
		all = append(all, script.U32(6, w.nest))
	}
	if w.text != "" {
		all = append(all, script.Text(unix.NLMSGERR_ATTR_MSG, w.text))
	}
	return all
}

func (w explanation) bytes() []byte { return slices.Concat(w.attrs()...) }

// tell is what it tells if its end is cut: all attributes but the last.
func (w explanation) tell(e *nldump.KernelError, cut int) {
	if cut > 0 {
		switch {
		case w.text != "":
			w.text = ""
		case w.nest != 0:
			w.nest = 0
		case w.missing != 0:
			w.missing = 0
		default:
			w.offset = 0
		}
	}
	e.Message, e.Offset, e.MissingType, e.MissingNest = w.text, w.offset, w.missing, w.nest
}
