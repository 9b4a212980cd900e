// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// The model says what a reader must give, by the documentation. It has the
// messages as they were meant, so it decodes nothing, and it is slow and simple.

// A model is what is known of one stream.
type model struct {
	c      *conversation
	byPage bool
	size   int // of the page buffer

	answers []answer
	left    int         // sockets that can be opened
	sock    *modelWire  // nil: the next dump opens one
	closed  bool        // the stream is
	open    bool        // the kernel may have more of the last dump
	doubt   fault       // what may have hidden the end
	over    bool        // the end was seen, but something is left to be read
	done    bool        // the context is
	last    nldump.Dump // the last one
	stats   nldump.Stats

	// Of the dump.
	started, single bool
	key             []byte
	keyed           bool
	generation      uint64
	dated           bool

	// Of the pages before.
	held     int // records in the last page
	page     []byte
	repeated int // records in the pages that repeat it
	empty    int // in a row

	good []received // of the page at hand
	out  outcome
}

// modelWire is a socket.
type modelWire struct {
	seq   uint32
	asked bool // there was a request before the last one
	queue []modelEvent
}

type modelEvent struct {
	event
	seq uint32
}

// want is what a conversation must give.
func (v *conversation) want(byPage bool) (all []outcome) {
	m := newModel(v, byPage)
	for _, o := range v.operations {
		all = append(all, m.operate(o))
	}
	return all
}

func newModel(c *conversation, byPage bool) *model {
	m := &model{c: c, byPage: byPage, left: c.sockets, size: cmp.Or(c.cfg.BufferSize, nldump.DefaultBufferSize)}
	m.connect() // Dial and New have one
	return m
}

func (m *model) connect() fault {
	if m.sock != nil {
		return fault{}
	}
	if m.left == 0 {
		return fault{kinds: kindNoSocket}
	}
	m.left--
	m.sock = &modelWire{seq: firstSeq}
	return fault{}
}

// disconnect closes the socket, if another one can be opened.
func (m *model) disconnect() bool {
	if !m.c.dials {
		return false
	}
	m.sock, m.open = nil, false
	return true
}

func (m *model) idle() bool { return !m.open && !m.closed }

// send sends a request; its answer is in the queue then.
func (m *model) send(req nldump.Message) fault {
	var a answer
	if len(m.answers) > 0 {
		a, m.answers = m.answers[0], m.answers[1:]
	}
	if a.refused != nil {
		return socketFault(a.refused)
	}
	flags := req.Flags | unix.NLM_F_REQUEST
	if !m.last.Do {
		flags |= unix.NLM_F_DUMP
	}
	if !m.last.NoAck {
		flags |= unix.NLM_F_ACK
	}
	m.out.sent = notes(m.out.sent, nldump.Message{Type: req.Type, Flags: flags, Data: req.Data})
	m.sock.asked = m.sock.seq != firstSeq
	m.sock.seq++
	m.sock.queue = slices.Grow(m.sock.queue, len(a.events))
	for _, e := range a.events {
		m.sock.queue = append(m.sock.queue, modelEvent{e, m.sock.seq})
	}
	m.open, m.over, m.doubt, m.started, m.single = true, false, fault{}, false, false
	m.page, m.empty = nil, 0
	return fault{}
}

// run is one dump. Its records go to use, a page after the other, which says
// whether to stop, and with what error.
func (m *model) run(d nldump.Dump, use func([]received) (stop bool, f fault)) fault {
	switch {
	case d.Resume != nil && d.Key == nil:
		return fault{kinds: kindOther}
	case m.closed:
		return fault{kinds: kindClosed}
	case m.open:
		return fault{kinds: kindBusy}
	}
	m.last, m.stats = d, nldump.Stats{}
	m.keyed, m.dated = false, false
	stop, f := m.part(d.Request, use)
	for d.Resume != nil && f.grown {
		req := d.Request
		if f = m.release(); f.kinds != 0 {
			break
		}
		if m.keyed {
			if m.key[0]%16 == 15 {
				f = fault{kinds: kindReader}
				break
			}
			req = nldump.Message{Type: script.Type, Data: append([]byte("after "), m.key...)}
		}
		m.stats.Resumed++
		stop, f = m.part(req, use)
	}
	m.abandon(stop)
	if !stop && f.kinds == 0 && (m.stats.Interrupted || m.stats.Resumed > 0) {
		return fault{kinds: kindInterrupted}
	}
	if f.kernel != nil {
		k := *f.kernel // shared by all models
		k.Records = m.stats.Records
		f.kernel = &k
		if m.doubt.kernel != nil {
			m.doubt.kernel = &k // Drain gives the same error
		}
	}
	return f
}

// abandon is what happens to a dump that is not read to its end.
func (m *model) abandon(left bool) {
	switch {
	case !m.open:
	case m.c.cfg.Abandon == nldump.AbandonClose:
		m.disconnect()
	case m.c.cfg.Abandon == nldump.AbandonDrain && left:
		m.drain()
	}
}

// release ends a dump before another one.
func (m *model) release() fault {
	if !m.open || m.disconnect() {
		return fault{}
	}
	return m.drain()
}

// part is what one request brings.
func (m *model) part(req nldump.Message, use func([]received) (bool, fault)) (stop bool, f fault) {
	if m.done {
		return false, fault{kinds: kindCanceled}
	}
	if f := m.connect(); f.kinds != 0 {
		return false, f
	}
	if f := m.send(req); f.kinds != 0 {
		return false, f
	}
	for m.open {
		e, f := m.receive()
		if f.kinds != 0 || e == nil {
			return false, f
		}
		records, f := m.walk(e, true)
		if m.open {
			if stuck := m.repeats(e); stuck.kinds != 0 {
				return false, stuck
			}
		}
		if len(records) > 0 {
			m.stats.Pages++
			if stop, f := use(records); stop || f.kinds != 0 {
				return stop, f
			}
		}
		if f.kinds != 0 {
			return false, f
		}
	}
	return false, fault{}
}

// drain reads what is left of the dump. It fails only if it cannot reach the end.
// A dump whose end may be lost is over when nothing more comes.
func (m *model) drain() fault {
	for m.open {
		if m.doubt.kinds != 0 && (m.c.blind || m.last.NoAck) {
			return m.doubt
		}
		e, f := m.receive()
		if f.kinds&kindTruncated != 0 {
			continue // dropped, as all are
		}
		if f.kinds != 0 {
			return f
		}
		if e == nil {
			continue // nothing more comes
		}
		_, f = m.walk(e, false)
		if !m.open {
			return fault{}
		}
		if f.kinds&(kindOverrun|kindProtocol) == 0 {
			f = m.repeats(e) // whatever the page says is dropped
		}
		if f.kinds != 0 {
			return f
		}
	}
	return fault{}
}

// receive is the next datagram that answers; nil: the dump is over, as nothing
// more comes.
func (m *model) receive() (*modelEvent, fault) {
	look := !m.c.blind && (m.doubt.kinds != 0 || m.over) // without waiting
	for {
		switch {
		case m.done:
			return nil, fault{kinds: kindCanceled}
		case m.closed:
			return nil, fault{kinds: kindClosed}
		}
		e := modelEvent{event: event{silence: true}}
		if queue := &m.sock.queue; len(*queue) > 0 {
			e, *queue = (*queue)[0], (*queue)[1:]
		}
		switch {
		case look && (e.silence || e.err == unix.EAGAIN):
			return nil, m.nothing()
		case e.silence:
			return nil, m.wait()
		case e.err != nil:
			f := socketFault(e.err)
			if f.kinds&kindNoBuffers != 0 {
				f.kinds |= kindOverrun
				m.lose(f)
			}
			return nil, f
		}
		m.stats.Reads++
		b := e.sheet.bytes(e.seq)
		if m.foreign(e) {
			m.stats.Foreign++
			if m.last.Foreign != nil {
				d := nldump.Datagram{Len: len(b), From: e.from, Group: e.group}
				m.out.foreign = append(m.out.foreign, fmt.Sprintf("%v %x;", d, b[:min(len(b), m.size)])...)
			}
			continue
		}
		if len(b) > m.size {
			return nil, m.truncated(len(b))
		}
		m.stats.Bytes += uint64(len(b))
		m.stats.LargestPage = max(m.stats.LargestPage, len(b))
		if len(b) == 0 {
			m.stats.EmptyPages++
		}
		return &e, fault{}
	}
}

// foreign tells whether it does not answer. What NLM_F_ECHO asks for does.
func (m *model) foreign(e modelEvent) bool {
	if e.from != 0 || e.group == 0 {
		return e.from != 0
	}
	first := e.sheet.first()
	return m.last.Request.Flags&unix.NLM_F_ECHO == 0 || first == nil || first.of.number(e.seq) != m.sock.seq || first.port != script.Port
}

// nothing is what it means that there is nothing to read.
func (m *model) nothing() fault {
	if !m.over && m.doubt.kinds&kindOverrun != 0 {
		return m.doubt // the rest may be parked
	}
	m.open = false
	return fault{}
}

// wait is what ends a wait.
func (m *model) wait() fault {
	switch {
	case m.c.stalls:
		return fault{kinds: kindStalled | kindDeadline}
	case m.c.wake == wakeCancel:
		m.done = true
		return fault{kinds: kindCanceled}
	case m.c.wake == wakeClose:
		m.closed = true
		return fault{kinds: kindClosed}
	}
	return fault{kinds: kindIO}
}

func (m *model) truncated(size int) fault {
	limit := cmp.Or(m.c.cfg.MaxBufferSize, max(nldump.DefaultMaxBufferSize, m.c.cfg.BufferSize))
	f := fault{kinds: kindTruncated, cut: nldump.TruncatedError{Size: size, Buffer: m.size, Grown: size <= limit}}
	if f.grown = f.cut.Grown; f.grown {
		m.size = min((size+4095)/4096*4096, limit)
	}
	m.lose(f)
	return f
}

// lose notes what may have hidden the end. The first overrun stays: after it, the
// dump may be parked.
func (m *model) lose(f fault) {
	if m.doubt.kinds&kindOverrun == 0 {
		m.doubt = f
	}
}

// repeats tells whether the page came too often: it repeats the one before, and as
// many records as may have come in such pages already. Empty pages are counted by
// themselves.
func (m *model) repeats(e *modelEvent) fault {
	limit := cmp.Or(m.c.cfg.RepeatLimit, nldump.DefaultRepeatLimit)
	stuck := false
	switch b := e.sheet.bytes(e.seq); {
	case limit < 0:
	case len(b) == 0:
		m.empty++
		stuck = m.empty >= min(limit, 4096)
	case bytes.Equal(b, m.page):
		m.empty = 0
		stuck = m.repeated >= limit
		m.repeated += max(m.held, 1)
	default:
		m.page, m.repeated, m.empty = b, 0, 0
	}
	if stuck {
		return fault{kinds: kindNoProgress}
	}
	return fault{}
}
