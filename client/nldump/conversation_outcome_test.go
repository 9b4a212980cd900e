// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"fmt"
	"slices"

	"bulkdump/client/nldump"
)

// An outcome is what an operation gives: of the model what it should, of a reading
// what it did.
type outcome struct {
	records  []byte // all that was delivered
	pages    []int  // how many were in each page; nil if they came one by one
	fault    fault
	panicked bool
	sent     []byte // the requests
	foreign  []byte
	states   []state // after it, and after each Drain
}

// state is what the stream says of itself.
type state struct {
	stats nldump.Stats
	idle  bool
	fault fault // of Drain
}

// differs says in what the outcome is not as it should be.
func (o outcome) differs(want outcome) string {
	switch {
	case !bytes.Equal(o.records, want.records):
		return fmt.Sprintf("records % x, want % x", o.records, want.records)
	case !slices.Equal(o.pages, want.pages):
		return fmt.Sprintf("pages of %v records, want %v", o.pages, want.pages)
	case !o.fault.equal(want.fault):
		return fmt.Sprintf("error %v, want %v", o.fault, want.fault)
	case o.panicked != want.panicked:
		return fmt.Sprintf("panic %v, want %v", o.panicked, want.panicked)
	case !bytes.Equal(o.sent, want.sent):
		return fmt.Sprintf("sent %s, want %s", o.sent, want.sent)
	case !bytes.Equal(o.foreign, want.foreign):
		return fmt.Sprintf("foreign %s, want %s", o.foreign, want.foreign)
	}
	for i, s := range o.states {
		w := want.states[i]
		if s.stats != w.stats || s.idle != w.idle || !s.fault.equal(w.fault) {
			return fmt.Sprintf("after %d Drain: %+v, idle %v, error %v\nwant %+v, idle %v, error %v",
				i, s.stats, s.idle, s.fault, w.stats, w.idle, w.fault)
		}
	}
	return ""
}

func (f fault) equal(g fault) bool {
	return f.kinds == g.kinds && f.cut == g.cut && (f.kernel == nil) == (g.kernel == nil) && (f.kernel == nil || *f.kernel == *g.kernel)
}

// notes is how a request is written down.
func notes(sent []byte, m nldump.Message) []byte {
	return fmt.Appendf(sent, "%d %#x %x;", m.Type, m.Flags, m.Data)
}

// operate is what the model says of an operation.
func (m *model) operate(o operation) outcome {
	m.out = outcome{}
	m.answers, m.done = o.answers, o.over
	var f fault
	switch {
	case o.retry > 0:
		f = m.retry(o)
	case m.byPage:
		f = m.run(o.dump, m.pages(o))
	default:
		f = m.run(o.dump, m.records(o))
	}
	m.out.fault = f
	m.out.states = []state{{m.stats, m.idle(), fault{}}}
	m.done = o.undrain
	for range o.drain {
		f := fault{kinds: kindClosed}
		if !m.closed {
			f = m.drain()
		}
		m.out.states = append(m.out.states, state{m.stats, m.idle(), f})
	}
	return m.out
}

// records is a loop over records.
func (m *model) records(o operation) func([]received) (bool, fault) {
	n := 0
	return func(page []received) (stop bool, f fault) {
		for _, r := range page {
			if m.done {
				return false, fault{kinds: kindCanceled}
			}
			m.stats.Records++
			m.out.records = r.add(m.out.records)
			if n++; n == o.at && m.leave(o) {
				return true, fault{}
			}
		}
		return false, fault{}
	}
}

// pages is a loop over pages. It is left behind the page with the record.
func (m *model) pages(o operation) func([]received) (bool, fault) {
	n := 0
	return func(page []received) (stop bool, f fault) {
		m.stats.Records += uint64(len(page))
		m.out.pages = append(m.out.pages, len(page))
		reached := false
		for _, r := range page {
			m.out.records = r.add(m.out.records)
			n++
			reached = reached || n == o.at
		}
		return reached && m.leave(o), fault{}
	}
}

// leave does what the body of a loop does, and tells whether that ends the loop.
func (m *model) leave(o operation) (stop bool) {
	switch o.leave {
	case leaveCancel:
		m.done = true
		return false
	case leaveClose:
		m.closed = true
		return false
	case leavePanic:
		m.out.panicked = true
	}
	return o.leave != leaveNot
}

// retry is a Retry. Each pass begins with a mark among the records.
func (m *model) retry(o operation) fault {
	d := o.dump
	d.Resume = nil
	n := 0
	for attempt := 1; ; attempt++ {
		m.out.records = append(m.out.records, byte(attempt))
		failed, again := false, false
		f := m.run(d, func(page []received) (stop bool, f fault) {
			for _, r := range page {
				if m.done {
					return false, fault{kinds: kindCanceled}
				}
				m.stats.Records++
				if m.stats.Interrupted {
					if m.disconnect() {
						again = true
						return true, fault{}
					}
					continue // what is left is of no use
				}
				m.out.records = r.add(m.out.records)
				if n++; n != o.at {
					continue
				}
				switch o.leave {
				case leaveCancel:
					m.done = true
				case leaveNot:
				default:
					failed = true
					return true, fault{}
				}
			}
			return false, fault{}
		})
		switch {
		case failed:
			return fault{kinds: kindReader}
		case again:
			f = fault{kinds: kindInterrupted}
		case f.kinds&kindInterrupted != 0 || f.grown:
		case f.kinds&kindOverrun != 0 && f.kinds&kindMalformed == 0 && m.c.dials:
		default:
			return f
		}
		if f := m.release(); f.kinds != 0 {
			return f
		}
		if attempt == o.retry {
			return f
		}
	}
}

// tally counts how an operation ended.
func (f fault) tally(count map[string]int) {
	for i, k := range kindsOf {
		if f.kinds&(1<<i) != 0 {
			count[k.name]++
		}
	}
	if f.kinds == 0 {
		count["none"]++
	}
}
