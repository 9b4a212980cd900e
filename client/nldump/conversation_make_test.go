// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// A conversation is all that a stream is asked to do, and all that the kernel
// answers. It is made from choices.
type conversation struct {
	cfg        nldump.Config
	dials      bool // the stream opens its own sockets
	sockets    int  // how many it can open
	blind      bool // they cannot look without waiting
	stalls     bool // a wait without an answer is too long
	wake       wake // and what ends it otherwise
	shared     bool // a stream with larger pages had the pool before
	operations []operation
}

// wake is what ends a wait for a kernel that is silent.
type wake int

const (
	wakeFail   wake = iota // the socket fails
	wakeCancel             // the context is cancelled
	wakeClose              // the stream is closed
)

// An operation is a dump, or what else is done with a stream.
type operation struct {
	dump    nldump.Dump
	short   bool // by Records or Do, which take a request alone
	retry   int  // attempts of a Retry; 0: none
	over    bool // its context is done from the start
	leave   leave
	at      int // behind that record
	drain   int // how often Drain is called afterwards
	undrain bool
	answers []answer
}

// leave is what the body of the loop does.
type leave int

const (
	leaveNot leave = iota
	leaveBreak
	leaveCancel
	leaveClose
	leavePanic
)

// An answer is what one request gets.
type answer struct {
	refused error // by Send
	events  []event
}

// choices are bytes that decide what comes next. Behind the last one, each choice
// is the simplest.
type choices struct {
	next func() byte
	used []byte
}

// fromSeed returns choices without end.
func fromSeed(seed uint64) *choices {
	r := rand.New(rand.NewPCG(seed, 0))
	return &choices{next: func() byte { return byte(r.Uint32()) }}
}

// fromBytes returns the choices that a fuzzer made.
func fromBytes(b []byte) *choices {
	return &choices{next: func() (v byte) {
		if len(b) > 0 {
			v, b = b[0], b[1:]
		}
		return v
	}}
}

// of chooses one of n, up to 256; 0 is the simplest.
func (c *choices) of(n int) int {
	v := c.next()
	c.used = append(c.used, v)
	return int(v) % n
}

// once is true once in n times.
func (c *choices) once(n int) bool { return c.of(n) == n-1 }

func oneOf[T any](c *choices, all ...T) T { return all[c.of(len(all))] }

// converse makes a conversation.
func converse(c *choices) *conversation {
	v := &conversation{}
	v.cfg.BufferSize = oneOf(c, nldump.MinBufferSize, nldump.MinBufferSize, nldump.MinBufferSize, 4100, 6000, 8192)
	if c.once(64) {
		v.cfg.BufferSize = 0
	}
	size := cmp.Or(v.cfg.BufferSize, nldump.DefaultBufferSize)
	if c.once(3) {
		v.cfg.MaxBufferSize = max(size, oneOf(c, 0, 4100, 5000, 8192, 9000))
	}
	v.cfg.RepeatLimit = oneOf(c, 0, 0, 0, -1, 1, 2, 3, 5, 12)
	v.dials = c.once(2)
	v.cfg.Abandon = oneOf(c, nldump.AbandonPark, nldump.AbandonDrain, nldump.AbandonClose)
	if v.cfg.Abandon == nldump.AbandonClose {
		v.dials = true
	}
	v.sockets = 1
	if v.dials {
		v.sockets = oneOf(c, 100, 100, 100, 1, 2, 3)
	}
	v.blind = c.once(6)
	v.wake = oneOf(c, wakeFail, wakeCancel, wakeCancel, wakeFail, wakeCancel, wakeClose)
	if v.stalls = c.once(4); v.stalls {
		v.cfg.StallTimeout = forever
	}
	m := &maker{choices: c, wild: oneOf(c, 0, 0, 1, 2, 5), size: size, spread: v.cfg.RepeatLimit <= 0}
	for range 1 + c.of(5) {
		v.operations = append(v.operations, m.operation())
	}
	v.shared = c.once(8)
	return v
}

// operation makes one thing to do, and what the kernel answers.
func (c *maker) operation() operation {
	d := nldump.Dump{Request: nldump.Message{Type: script.Type, Data: []byte{1, 2, 3, 4}[:c.of(5)]}}
	o := operation{}
	d.Do = c.once(4)
	d.NoAck = c.once(8)
	if d.Do && c.once(3) {
		d.NoAck = true
	}
	d.Unaddressed = c.once(6)
	if c.once(6) {
		d.Request.Flags |= unix.NLM_F_ECHO
	}
	if c.once(3) {
		d.Key = keyOrFail
		if c.once(2) {
			d.Resume = resumeOrFail
		}
	} else if c.once(200) {
		d.Resume = resumeOrFail
	}
	if c.once(4) {
		d.Generation = generationOrFail
	}
	if c.once(3) {
		d.Foreign = func(nldump.Datagram, []byte) {} // the reading has its own
	}
	o.short = d.Key == nil && d.Resume == nil && d.Generation == nil && d.Foreign == nil && !d.NoAck && !d.Unaddressed
	o.dump = d
	if c.once(6) {
		o.retry = 1 + c.of(3)
	}
	o.over = c.once(60)
	o.leave = oneOf(c.choices, leaveNot, leaveNot, leaveNot, leaveNot, leaveNot, leaveNot, leaveNot, leaveNot, leaveBreak, leaveBreak, leaveCancel, leaveClose, leavePanic)
	if o.leave != leaveNot {
		if o.leave == leaveClose && !c.once(6) {
			o.leave = leaveBreak
		}
		o.at = 1 + c.of(20)
	}
	o.drain = oneOf(c.choices, 1, 0, 1, 1, 2)
	o.undrain = c.once(50)
	n := 1
	if d.Resume != nil || o.retry > 0 {
		n += c.of(4)
	}
	for range n {
		o.answers = append(o.answers, c.answer(d))
	}
	return o
}

// String describes it for whoever reads of a failure.
func (v *conversation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\ndials %v, sockets %d, blind %v, stalls %v, wake %d, shared %v\n",
		v.cfg, v.dials, v.sockets, v.blind, v.stalls, v.wake, v.shared)
	for i, o := range v.operations {
		d := o.dump
		fmt.Fprintf(&b, "%d: do %v, no ack %v, unaddressed %v, key %v, resume %v, generation %v, foreign %v, flags %#x, data % x\n"+
			"   short %v, retry %d, over %v, leave %d at %d, drain %d, undrain %v\n",
			i, d.Do, d.NoAck, d.Unaddressed, d.Key != nil, d.Resume != nil, d.Generation != nil, d.Foreign != nil,
			d.Request.Flags, d.Request.Data, o.short, o.retry, o.over, o.leave, o.at, o.drain, o.undrain)
		for n, a := range o.answers {
			fmt.Fprintf(&b, "   answer %d: send %v\n", n, a.refused)
			for _, e := range a.events {
				fmt.Fprintf(&b, "      %v (%d bytes)\n", e, e.sheet.size())
			}
		}
	}
	return b.String()
}
