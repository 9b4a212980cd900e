// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"encoding/binary"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// What a kernel may answer: first a sound dump, then whatever is wrong with it.

// A maker makes answers.
type maker struct {
	*choices
	wild   int  // how much is wrong: 0 nothing, 5 most
	size   int  // of the page buffer
	spread bool // pages that look alike may be anywhere
	alike  bool // some are to come, but none of them twice

	key, generation, fill byte

	room []byte // for the bodies of records
}

// odd is true if something is to be wrong that is, at its worst, once in n times.
func (c *maker) odd(n int) bool { return c.wild > 0 && c.once(n) && c.of(5) < c.wild }

// answer makes the answer to one request.
func (c *maker) answer(d nldump.Dump) (a answer) {
	if c.odd(100) {
		a.refused = unix.ENOBUFS
		if c.once(2) {
			a.refused = unix.EIO
		}
		return a
	}
	c.key = byte(c.of(3))
	if c.once(3) {
		c.generation++
	}
	n := c.of(12)
	if c.once(4) {
		n += c.of(64)
	}
	a.events = make([]event, 0, n+2)
	for range n {
		a.events = append(a.events, event{sheet: c.sheet(d)})
	}
	a.events = c.end(a.events, d)
	if c.wild > 0 {
		for range c.of(2 + c.wild) {
			a.events = c.spoil(a.events)
		}
	}
	if c.alike {
		a.events = slices.Insert(slices.Clone(a.events), len(a.events)/2, c.three()...)
		c.alike = false
	}
	for i := range a.events {
		a.events[i].sheet.made = new(made)
	}
	return a
}

// sheet makes a page of records.
func (c *maker) sheet(d nldump.Dump) (s sheet) {
	flags := uint16(unix.NLM_F_MULTI)
	if c.once(4) || d.Do && c.once(2) {
		flags = 0
	}
	n := c.of(6)
	if c.once(20) {
		n += 20
	}
	s.messages = make([]message, 0, n+1)
	for range n {
		if c.odd(12) {
			s.messages = append(s.messages, c.oddMessage(d))
			continue
		}
		m := c.record(flags)
		if c.odd(12) {
			m = c.altered(m)
		}
		s.messages = append(s.messages, m)
	}
	switch {
	case c.odd(12):
		c.tail(&s)
	case c.odd(10) || c.once(200):
		c.large(&s)
	case c.once(10) && len(s.messages) > 0:
		s.unpadded = true
	}
	return s
}

// record makes a sound one.
func (c *maker) record(flags uint16) message {
	c.key++
	c.fill++
	const most = 12
	if len(c.room) < most {
		c.room = make([]byte, 256*most)
	}
	body := append(c.room[:0:most], c.key, c.generation, c.fill, 0xff)
	c.room = c.room[most:]
	switch c.of(12) {
	case 1:
		body = append(body, c.fill)
	case 2:
		body = append(body, script.U32(1, uint32(c.fill))...)
	case 3:
		body = append(body, c.fill, 0, c.fill)
	}
	return message{typ: script.Type, flags: flags, port: script.Port, body: body}
}

// altered makes a record with something else in its header or body.
func (c *maker) altered(m message) message {
	switch c.of(12) {
	case 0:
		m.flags |= intr
	case 1:
		m.flags |= filtered
	case 2:
		m.flags ^= unix.NLM_F_MULTI
	case 3:
		m.of = oneOf(c.choices, before, older, later, nobody, another)
	case 4:
		m.port = oneOf[uint32](c.choices, 0, 66)
	case 5:
		m.port = oneOf[uint32](c.choices, 0, 66)
		m.of = oneOf(c.choices, before, older, later, nobody, another)
	case 6:
		m.typ = oneOf[uint16](c.choices, unix.NLMSG_MIN_TYPE, 0xffff, script.Type+1)
	case 7:
		m.typ = oneOf[uint16](c.choices, unix.NLMSG_MIN_TYPE-1, 0, 5, 9)
	case 8:
		m.body = m.body[:c.of(4)] // too short for a key, or for a generation
	case 9:
		m.body[1]++ // another generation
	case 10:
		m.body[0] -= byte(c.of(4)) // the key does not rise
	case 11:
		m.body[c.of(2)] = failing
	}
	return m
}

// oddMessage makes one that is no record of the dump.
func (c *maker) oddMessage(d nldump.Dump) message {
	m := message{port: script.Port, flags: unix.NLM_F_MULTI}
	switch c.of(8) {
	case 0, 1:
		m.typ = unix.NLMSG_NOOP
	case 2:
		m.typ = unix.NLMSG_OVERRUN
	case 3:
		m = c.record(m.flags)
		m.of = oneOf(c.choices, before, older, later, nobody, another)
	case 4, 5:
		m = ending(unix.NLMSG_ERROR, 0, 0, 4, explanation{}, 0)
		m.of = oneOf(c.choices, mine, before, before, older)
	case 6:
		m = c.errorMessage(unix.NLMSG_ERROR)
	case 7:
		m = c.errorMessage(unix.NLMSG_DONE)
	}
	if c.once(8) {
		m.port = oneOf[uint32](c.choices, 0, 66)
	}
	if c.once(8) {
		m.of = oneOf(c.choices, before, older, later, nobody, another)
	}
	return m
}

// errorMessage makes a DONE or ERROR that says anything.
func (c *maker) errorMessage(typ uint16) message {
	flags := oneOf[uint16](c.choices, 0, tlvs, capped, tlvs|capped)
	if typ == unix.NLMSG_DONE {
		flags |= unix.NLM_F_MULTI
	}
	if c.once(8) {
		flags |= intr
	}
	var why explanation
	if c.once(2) {
		why = explanation{[]string{"", "why", "no"}[c.of(3)], uint32(c.of(20)), uint32(c.of(3)), uint32(c.of(30))}
	}
	cut := 0
	if c.once(4) && len(why.bytes()) > 0 {
		cut = 1 + c.of(4) // of the text's padding, too
		if why.text != "" {
			cut += 3
		}
	}
	n := oneOf[int32](c.choices, -int32(unix.EINVAL), 0, -int32(unix.ENOBUFS), -int32(unix.EMSGSIZE), -4097, -int32(unix.EBUSY), 1, math.MinInt32, math.MaxInt32)
	m := ending(typ, flags, n, 4*c.of(4), why, cut)
	if c.once(6) {
		m.body = m.body[:c.of(4)]
		m.bad, m.err = len(m.body) > 0 || typ == unix.NLMSG_ERROR, nil
	}
	return m
}

// tail puts something behind the messages that is none.
func (c *maker) tail(s *sheet) {
	m := c.record(unix.NLM_F_MULTI)
	if c.once(3) {
		m = c.altered(m)
	}
	if c.once(3) {
		m = ending(unix.NLMSG_DONE, unix.NLM_F_MULTI, 0, 0, explanation{}, 0)
	}
	s.tail, s.header = m.bytes(nil, 0), nil
	if short := c.of(3); short == 0 || len(s.tail) == unix.SizeofNlMsghdr {
		s.tail = s.tail[:1+c.of(unix.SizeofNlMsghdr-1)]
		return
	} else if short == 1 {
		s.tail = s.tail[:unix.SizeofNlMsghdr+c.of(len(s.tail)-unix.SizeofNlMsghdr)]
	} else {
		binary.NativeEndian.PutUint32(s.tail, oneOf(c.choices, unix.SizeofNlMsghdr-1, 0, uint32(len(s.tail)+1), 0x7fffffff, 0x80000000, 0xffffffff))
	}
	s.header = &m
}

// large makes it larger than the buffer, or exactly as large.
func (c *maker) large(s *sheet) {
	if len(s.tail) > 0 {
		return
	}
	size := c.size + oneOf(c.choices, 0, 1, 4, 900, 4092, 4096, 5000, -1)
	m := c.record(unix.NLM_F_MULTI)
	if missing := size - s.size() - unix.SizeofNlMsghdr; missing >= 4 {
		m.body = append(m.body[:4], make([]byte, missing-4)...)
		s.messages = append(s.messages, m)
		s.unpadded = true
	}
}

// end ends the answer as it is right.
func (c *maker) end(events []event, d nldump.Dump) []event {
	if d.Do && d.NoAck && c.once(2) {
		return events // a message without NLM_F_MULTI is the end
	}
	m := ending(unix.NLMSG_DONE, unix.NLM_F_MULTI, 0, 0, explanation{}, 0)
	if c.once(12) {
		m.flags |= intr
	}
	if c.once(12) {
		m.body = nil
	}
	if c.odd(8) {
		m = c.errorMessage(unix.NLMSG_DONE)
	}
	if !d.Do || d.NoAck || c.once(6) {
		events = put(events, m, c.once(2))
	}
	if d.Do && !d.NoAck && !c.once(12) {
		m = ending(unix.NLMSG_ERROR, capped, 0, 0, explanation{}, 0)
		if c.odd(6) {
			m = c.errorMessage(unix.NLMSG_ERROR)
		}
		events = put(events, m, c.once(4))
	}
	return events
}

// put puts a message at the end of the last page, or into one of its own.
func put(events []event, m message, alone bool) []event {
	if alone || len(events) == 0 || len(events[len(events)-1].sheet.tail) > 0 {
		return append(events, event{sheet: sheet{messages: []message{m}}})
	}
	last := &events[len(events)-1].sheet
	last.messages, last.unpadded = append(last.messages, m), false
	return events
}

// spoil does something wrong to an answer.
func (c *maker) spoil(events []event) []event {
	if len(events) == 0 {
		return events
	}
	i := c.of(len(events))
	j := c.of(len(events))
	insert := func(e ...event) []event { return slices.Insert(slices.Clone(events), i, e...) }
	s := events[i].sheet
	s.messages = slices.Clone(s.messages)
	switch c.of(17) {
	case 0: // empty datagrams
		return insert(make([]event, 1+c.of(4))...)
	case 1: // the same page again
		return insert(slices.Repeat([]event{events[i]}, 1+c.of(5))...)
	case 2: // another order
		events[i], events[j] = events[j], events[i]
	case 3: // one is missing
		return slices.Delete(slices.Clone(events), i, i+1)
	case 4: // the end is missing
		return events[:i]
	case 5: // not from the kernel
		return insert(event{sheet: events[j].sheet, from: 66, group: uint32(c.of(2))})
	case 6: // of a multicast group
		return insert(event{sheet: events[j].sheet, group: 3})
	case 7: // a page of another request
		of := oneOf(c.choices, before, older, later, nobody, another)
		s = events[j].sheet
		s.messages = slices.Clone(s.messages)
		for k := range s.messages {
			s.messages[k].of = of
		}
		return insert(event{sheet: s})
	case 8:
		return insert(event{err: os.NewSyscallError("recvmsg", unix.ENOBUFS)})
	case 9:
		return insert(event{err: oneOf[error](c.choices, unix.EINTR, unix.EAGAIN, unix.EIO, unix.ENOBUFS)})
	case 10:
		return insert(event{silence: true})
	case 11:
		c.tail(&s)
		s.unpadded = false
		return insert(event{sheet: s})
	case 12:
		c.large(&s)
		events[i].sheet = s
	case 13: // a page twice in one datagram: DONE is not the last one
		s.messages, s.unpadded = append(s.messages, events[j].sheet.messages...), false
		if len(s.tail) == 0 {
			events[i].sheet = s
		}
	case 14: // a message of another kind
		if len(s.tail) == 0 {
			s.messages = slices.Insert(s.messages, c.of(len(s.messages)+1), c.oddMessage(nldump.Dump{}))
			events[i].sheet = s
		}
	case 15: // a page that is like the one before but for its middle
		if c.spread {
			return insert(c.three()...)
		}
		c.alike = true
	case 16: // INTR anywhere
		if len(s.messages) > 0 {
			s.messages[c.of(len(s.messages))].flags |= intr
			events[i].sheet = s
		}
	}
	return events
}

// three makes three pages that look alike. The reader compares each with the one
// before only once two have looked alike; so if one of them came twice, it would
// reach a low limit a page early.
func (c *maker) three() []event {
	return []event{{sheet: c.long(0)}, {sheet: c.long(1)}, {sheet: c.long(2)}}
}

// long makes a page whose middle alone differs.
func (c *maker) long(middle byte) (s sheet) {
	for i := range byte(61) {
		m := message{typ: script.Type, flags: unix.NLM_F_MULTI, port: script.Port, body: []byte{i, c.generation, 7, 0xff}}
		if i == 30 {
			m.body[2] = middle
		}
		s.messages = append(s.messages, m)
	}
	return s
}
