// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// How the model judges each message of a page.

// A received record, as the reader must deliver it.
type received struct {
	typ, flags uint16
	seq, port  uint32
	data       []byte
}

// walk looks at each message of a page. It returns the records up to the first
// message that is wrong. options: Dump.Key and Dump.Generation apply.
func (m *model) walk(e *modelEvent, options bool) (records []received, f fault) {
	sound := true
	m.held = 0
	records = m.good[:0]
	defer func() { m.good = records }()
	for _, msg := range e.sheet.messages {
		if !m.open {
			return records, f.or(kindMalformed) // behind the end
		}
		got := received{msg.typ, msg.flags, msg.of.number(e.seq), msg.port, msg.body}
		record, wrong := m.judge(msg, got)
		if sound = sound && wrong.kinds == 0; record && sound {
			m.held++
		}
		if record && options && f.kinds == 0 {
			wrong = m.options(got)
		}
		switch {
		case f.kinds != 0: // something before was wrong
		case wrong.kinds != 0:
			f = wrong
		case record:
			records = append(records, got)
		}
	}
	if len(e.sheet.tail) > 0 && !m.open {
		return records, f.or(kindMalformed)
	}
	if len(e.sheet.tail) > 0 {
		m.lose(fault{kinds: kindMalformed}) // the end may have been there
		f.kinds |= kindMalformed
	}
	if m.single {
		m.open = false
	}
	return records, f
}

// judge tells what one message is.
func (m *model) judge(msg message, got received) (record bool, f fault) {
	last := m.sock.seq
	switch {
	case msg.typ == unix.NLMSG_NOOP:
		return false, fault{}
	case msg.typ == unix.NLMSG_OVERRUN:
		f = fault{kinds: kindOverrun}
		m.lose(f)
		return false, f
	case msg.typ == unix.NLMSG_ERROR && got.seq == last-1 && m.sock.asked && !msg.bad && msg.err == nil:
		return false, fault{} // the request before is acknowledged late
	}
	sure := got.seq == last && got.port == script.Port
	lax := m.last.Unaddressed && (got.seq == last || msg.isRecord()) && (got.port == script.Port || got.port == 0)
	if !sure && !lax {
		return false, fault{kinds: kindProtocol}
	}
	m.stats.Interrupted = m.stats.Interrupted || msg.flags&intr != 0
	m.stats.Filtered = m.stats.Filtered || msg.flags&filtered != 0
	said := fault{}
	if msg.bad {
		said.kinds = kindMalformed
	} else if msg.err != nil {
		said = fault{kinds: kindKernel | kindsOfError(msg.err.Errno), kernel: msg.err}
	}
	switch {
	case msg.isRecord():
		m.started = true
		if m.last.Do && m.last.NoAck && msg.flags&unix.NLM_F_MULTI == 0 {
			m.single = true
		}
		return true, fault{}
	case msg.typ == unix.NLMSG_DONE:
		if m.last.Do && !m.last.NoAck {
			m.over = true // the acknowledgement follows
		} else {
			m.end()
		}
		return false, said
	case msg.typ != unix.NLMSG_ERROR:
		return false, fault{kinds: kindProtocol} // a reserved type
	case m.last.Do:
		m.end()
		return false, said
	case msg.err != nil && msg.err.Errno == unix.ENOBUFS:
		said.kinds |= kindOverrun // no memory for the first page: the dump stays
		m.lose(said)
		return false, said
	case said.kinds == 0 && m.started:
		return false, fault{} // TIPC acknowledges a dump behind its first page
	}
	m.end()
	if said.kinds == 0 {
		return false, fault{kinds: kindProtocol} // the request was ignored
	}
	return false, said
}

// end is the end of the dump. After an overrun, the queue is read on.
func (m *model) end() {
	m.over = m.doubt.kinds&kindOverrun != 0
	m.open = m.over
}

// options are the reader's own looks at a record.
func (m *model) options(got received) fault {
	msg := nldump.Message{Data: got.data}
	if m.last.Generation != nil {
		g, err := generationOrFail(msg)
		if err != nil {
			return fault{kinds: kindReader}
		}
		m.stats.Interrupted = m.stats.Interrupted || m.dated && g != m.generation
		m.generation, m.dated = g, true
	}
	if m.last.Key != nil {
		key, err := keyOrFail(nil, msg)
		if err != nil {
			return fault{kinds: kindReader}
		}
		if m.keyed && bytes.Compare(key, m.key) <= 0 {
			return fault{kinds: kindNoProgress}
		}
		m.key, m.keyed = key, true
	}
	return fault{}
}

// What a reader may know of its family.

var errReader = errors.New("the reader's own error")

const (
	failing = 0xee // a key or a generation that cannot be had
	forever = time.Hour
)

func keyOrFail(dst []byte, m nldump.Message) ([]byte, error) {
	if len(m.Data) < 1 || m.Data[0] == failing {
		return dst, errReader
	}
	return append(dst, m.Data[0]), nil
}

func generationOrFail(m nldump.Message) (uint64, error) {
	if len(m.Data) < 2 || m.Data[1] == failing {
		return 0, errReader
	}
	return uint64(m.Data[1]), nil
}

// resumeOrFail cannot go on after each sixteenth key.
func resumeOrFail(key []byte) (nldump.Message, error) {
	if key[0]%16 == 15 {
		return nldump.Message{}, errReader
	}
	return after(key)
}

// A fault is what can be known of an error.
type fault struct {
	kinds  kinds
	kernel *nldump.KernelError
	cut    nldump.TruncatedError
	grown  bool // the next dump has room for what did not fit
}

// or is the fault, or else one of the kind.
func (f fault) or(k kinds) fault {
	if f.kinds == 0 {
		f.kinds = k
	}
	return f
}

func (f fault) String() string {
	var all []string
	for i, k := range kindsOf {
		if f.kinds&(1<<i) != 0 {
			all = append(all, k.name)
		}
	}
	if f.kernel != nil {
		all = append(all, fmt.Sprintf("%+v", *f.kernel))
	}
	if f.cut.Size != 0 {
		all = append(all, fmt.Sprintf("%+v", f.cut))
	}
	return strings.Join(all, " ")
}

// kinds are all that errors.Is says of an error.
type kinds uint32

const (
	kindInterrupted kinds = 1 << iota
	kindTruncated
	kindOverrun
	kindMalformed
	kindProtocol
	kindNoProgress
	kindStalled
	kindBusy
	kindKernel
	kindClosed
	kindDeadline
	kindCanceled
	kindReader
	kindNoSocket
	kindNoBuffers
	kindIO
	kindEINTR
	kindEAGAIN
	kindInvalid
	kindOther
)

var kindsOf = [...]struct {
	name string
	err  error
}{
	{"interrupted", nldump.ErrInterrupted}, {"truncated", nldump.ErrTruncated}, {"overrun", nldump.ErrOverrun},
	{"malformed", nldump.ErrMalformed}, {"protocol", nldump.ErrProtocol}, {"no progress", nldump.ErrNoProgress},
	{"stalled", nldump.ErrStalled}, {"busy", nldump.ErrBusy}, {"kernel", io.EOF}, {"closed", os.ErrClosed},
	{"deadline", os.ErrDeadlineExceeded}, {"canceled", context.Canceled}, {"reader", errReader}, {"no socket", unix.EMFILE},
	{"ENOBUFS", unix.ENOBUFS}, {"EIO", unix.EIO}, {"EINTR", unix.EINTR}, {"EAGAIN", unix.EAGAIN}, {"EINVAL", unix.EINVAL}, {"other", io.EOF},
}

// kindsOfError are those that errors.Is knows.
func kindsOfError(err error) (k kinds) {
	for i, kind := range kindsOf {
		if errors.Is(err, kind.err) {
			k |= 1 << i
		}
	}
	return k
}

// socketFault is an error of the socket.
func socketFault(err error) fault { return fault{kinds: kindsOfError(err)} }

// faultOf is what can be known of an error of the reader.
func faultOf(err error) (f fault) {
	if err == nil {
		return f
	}
	_ = err.Error() // does not panic
	f.kinds = kindsOfError(err)
	if errors.As(err, &f.kernel) {
		f.kinds |= kindKernel
	}
	var cut *nldump.TruncatedError
	if errors.As(err, &cut) {
		f.cut = *cut
	}
	return f.or(kindOther)
}

// add appends a record to a log of all that was delivered.
func (r received) add(log []byte) []byte {
	log = binary.NativeEndian.AppendUint16(log, r.typ)
	log = binary.NativeEndian.AppendUint16(log, r.flags)
	log = binary.NativeEndian.AppendUint32(log, r.seq)
	log = binary.NativeEndian.AppendUint32(log, r.port)
	log = binary.NativeEndian.AppendUint32(log, uint32(len(r.data)))
	return append(log, r.data...)
}
