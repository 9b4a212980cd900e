// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// A wire is one of the sockets of a conversation. It numbers the requests, and
// each puts its answer into the queue, behind what was not read.
type wire struct {
	*script.Socket
	*exchange
	seq   uint32
	queue []script.Step
}

// exchange is what the sockets of a stream share.
type exchange struct {
	c       *conversation
	answers []answer // to the next requests
	left    int      // how many sockets can be opened
	sent    []nldump.Message
	reads   int

	cancel func()         // ends the context of the operation
	stream *nldump.Stream // to be closed
}

// dial opens a socket.
func (x *exchange) dial() (nldump.Socket, error) {
	if x.left == 0 {
		return nil, unix.EMFILE
	}
	x.left--
	w := &wire{Socket: script.New(), exchange: x, seq: firstSeq}
	w.Next = w.step
	if x.c.blind {
		return blind{w}, nil
	}
	return w, nil
}

// firstSeq is the sequence number before the first one of a socket. The numbers wrap.
const firstSeq = 0xfffffffd

// answer is the answer to the next request.
func (x *exchange) answer() answer {
	if len(x.answers) == 0 {
		return answer{}
	}
	a := x.answers[0]
	x.answers = x.answers[1:]
	return a
}

// Send implements nldump.Socket.
func (w *wire) Send(m nldump.Message) (nldump.Message, error) {
	a := w.answer()
	if a.refused != nil {
		return m, a.refused
	}
	m, err := w.Socket.Send(m)
	if err != nil {
		return m, err
	}
	w.sent = append(w.sent, m)
	w.seq++
	m.Seq = w.seq
	w.queue = slices.Grow(w.queue, len(a.events))
	for _, e := range a.events {
		w.queue = append(w.queue, e.step(w.seq))
	}
	return m, nil
}

// step is the event in the answer to request seq.
func (e event) step(seq uint32) script.Step {
	if e.silence || e.err != nil {
		return script.Step{Wait: e.silence, Err: e.err}
	}
	return script.Step{Page: e.sheet.bytes(seq), From: e.from, Group: e.group}
}

// step takes the next one from the queue.
func (w *wire) step() script.Step {
	if len(w.queue) == 0 {
		return script.Step{Wait: true}
	}
	step := w.queue[0]
	w.queue = w.queue[1:]
	if !step.Wait && step.Err == nil {
		w.reads++
	}
	return step
}

// Recv implements nldump.Socket. Nobody waits in real time: where the reader must
// wait, what ends its wait comes at once.
func (w *wire) Recv(buf []byte) (nldump.Datagram, error) {
	if !w.Closed() && (len(w.queue) == 0 || w.queue[0].Wait) {
		switch {
		case w.c.stalls:
			_ = w.SetReadDeadline(time.Unix(1, 0)) // the stall timeout is over
		case w.c.wake == wakeCancel:
			w.cancel()
		case w.c.wake == wakeClose:
			_ = w.stream.Close()
		default:
			_ = w.step()
			return nldump.Datagram{}, unix.EIO
		}
	}
	return w.Socket.Recv(buf)
}
