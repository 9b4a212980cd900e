// SPDX-License-Identifier: BSD-3-Clause

// Package loop shows the feedback loop of a dump: each read makes room, room
// makes the kernel build the next page, and that page is what a later read
// fetches (af_netlink.c:netlink_recvmsg, netlink_dump).
package loop

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
)

// Events are the trace events of the module that Build needs.
var Events = []string{"dump_start", "dump_page", "dump_done", "table_change"}

// A Trace is what happened, in order of time. All times are microseconds since the
// first event.
type Trace struct {
	Title   string   `json:"title"`
	Says    string   `json:"says,omitempty"` // what to look at
	Readers []Reader `json:"readers"`
	Calls   []Call   `json:"calls"`
	Pages   []Page   `json:"pages"`
	Changes []Change `json:"changes"`
	Ends    []End    `json:"ends"`
}

// A Reader is a socket on which a dump runs, and the thread that reads it.
type Reader struct {
	Name   string `json:"name"`
	PortID uint32 `json:"port_id"`
	Seq    uint32 `json:"seq"` // of the request
	TID    int    `json:"tid"`
}

// What a Call does.
const (
	Send = "send" // the request; the kernel builds the first page in it
	Read = "read"
	Peek = "peek" // a read with MSG_PEEK, which takes nothing away
)

// A Call is a system call of a reader.
type Call struct {
	Reader      int    `json:"reader"` // index in Readers
	What        string `json:"what"`
	From        uint64 `json:"from_us"`
	To          uint64 `json:"to_us"`
	Bytes       int    `json:"bytes"`
	Interrupted bool   `json:"interrupted"` // NLM_F_DUMP_INTR was in what came
	Error       string `json:"error,omitempty"`
	RMem        uint32 `json:"rmem"`              // of the socket after the call
	Page        *int   `json:"page,omitempty"`    // index in Pages of what it fetched; none for DONE alone
	SetOff      *int   `json:"set_off,omitempty"` // index in Pages of what the kernel built in it
}

// A Page is one call of the dump callback, and what it put into the page.
type Page struct {
	Reader  int    `json:"reader"`
	Nr      int    `json:"nr"` // of the reader's, from 1
	At      uint64 `json:"us"`
	Records uint32 `json:"records"`
	Bytes   uint32 `json:"bytes"`
	Scanned uint64 `json:"scanned"` // entries looked at for it
	Place   uint64 `json:"place"`   // where the cursor stands after it
	RMem    uint32 `json:"rmem"`    // with this page
	RcvBuf  uint32 `json:"rcvbuf"`
	Last    bool   `json:"last"`         // the callback has said that it is done
	By      *int   `json:"by,omitempty"` // index in Calls of what set it off
}

// A Change is one of the table.
type Change struct {
	At         uint64 `json:"us"`
	What       string `json:"what"`
	ID         uint32 `json:"id"`
	Generation uint64 `json:"generation"`
}

// An End is that of a dump.
type End struct {
	Reader    int    `json:"reader"`
	At        uint64 `json:"us"`
	Abandoned bool   `json:"abandoned"`
}

// Build combines what the readers noted and what the kernel traced in one network
// namespace, both with CLOCK_MONOTONIC. It leaves out the dumps of others.
func Build(readers []Reader, calls []Call, traced []tracefs.Event, netns uint32) (*Trace, error) {
	t := &Trace{Readers: readers, Calls: calls, Pages: []Page{}, Changes: []Change{}, Ends: []End{}}
	if len(calls) == 0 {
		return nil, errors.New("no reader has read")
	}
	slices.SortStableFunc(t.Calls, func(a, b Call) int { return cmp.Compare(a.From, b.From) })
	start := t.Calls[0].From
	for i := range t.Calls {
		t.Calls[i].From -= start
		t.Calls[i].To -= start
	}
	for _, e := range traced {
		if e.Micros+rounding < start {
			continue // before the first of ours
		}
		if err := t.add(e, max(e.Micros, start)-start, netns); err != nil {
			return nil, err
		}
	}
	return t, t.fetch()
}

// rounding is by how much the kernel may date an event too late: the kernel rounds,
// and the reader truncates.
const rounding = 1

func (t *Trace) add(e tracefs.Event, at uint64, netns uint32) error {
	r := e.Read()
	if r.Uint32("netns") != netns {
		return r.Err()
	}
	if e.Name == "table_change" {
		t.Changes = append(t.Changes, Change{at, r.Text("change"), r.Uint32("id"), r.Uint("generation", 64)})
		return r.Err()
	}
	port, seq := r.Uint32("portid"), r.Uint32("seq")
	reader := slices.IndexFunc(t.Readers, func(r Reader) bool { return r.PortID == port && r.Seq == seq })
	if reader < 0 {
		return r.Err()
	}
	switch e.Name {
	case "dump_page":
		p := Page{
			Reader: reader, Nr: 1, At: at,
			Records: r.Uint32("records"), Bytes: r.Uint32("bytes"), Scanned: r.Uint("scanned", 64), Place: r.Uint("place", 64),
			RMem: r.Uint32("rmem"), RcvBuf: r.Uint32("rcvbuf"), Last: r.Int("ret") <= 0,
		}
		for _, before := range t.Pages {
			if before.Reader == reader {
				p.Nr = before.Nr + 1
			}
		}
		if by := t.callAt(reader, e.TID, at); by >= 0 {
			i := len(t.Pages)
			p.By, t.Calls[by].SetOff = &by, &i
		}
		t.Pages = append(t.Pages, p)
	case "dump_done":
		t.Ends = append(t.Ends, End{reader, at, r.Bool("abandoned")})
	}
	return r.Err()
}

// callAt returns the call that the reader's thread was in at the time, or -1.
func (t *Trace) callAt(reader, tid int, at uint64) int {
	if t.Readers[reader].TID != tid {
		return -1
	}
	for i, c := range slices.Backward(t.Calls) {
		if c.Reader == reader && c.From <= at+rounding {
			if at > c.To+rounding {
				return -1
			}
			return i
		}
	}
	return -1
}

// fetch finds the page that each read fetched: a socket is a queue.
func (t *Trace) fetch() error {
	next := make([]int, len(t.Readers)) // index in Pages
	for i := range t.Calls {
		c := &t.Calls[i]
		if c.What == Send || c.Error != "" {
			continue
		}
		at := next[c.Reader]
		for at < len(t.Pages) && t.Pages[at].Reader != c.Reader {
			at++
		}
		if at == len(t.Pages) {
			continue // DONE, alone
		}
		p := t.Pages[at]
		if p.At > c.To+rounding || int64(p.Bytes) > int64(c.Bytes) {
			return fmt.Errorf("reader %s, page %d: the kernel traced %d bytes at %d us, and %d bytes were read until %d us",
				t.Readers[c.Reader].Name, p.Nr, p.Bytes, p.At, c.Bytes, c.To)
		}
		c.Page = &at
		if c.What == Read {
			next[c.Reader] = at + 1
		}
	}
	return nil
}

// A Step is a change of how much waits in a reader's socket.
type Step struct {
	At   uint64
	RMem uint32
}

// Queue returns the course of the memory of a reader's queue. A read takes a page
// away. If at most half of the receive buffer is in use then, the next one is built.
func (t *Trace) Queue(reader int) []Step {
	var steps []Step
	var sizes []uint32 // of what waits
	level := uint32(0)
	to := func(at uint64, rmem uint32) {
		level = rmem
		steps = append(steps, Step{at, rmem})
	}
	for _, c := range t.Calls {
		if c.Reader != reader {
			continue
		}
		if c.What == Read && c.Error == "" && len(sizes) > 0 {
			to(c.From, level-sizes[0])
			sizes = sizes[1:]
		}
		at := c.To
		if c.SetOff != nil {
			p := t.Pages[*c.SetOff]
			sizes = append(sizes, p.RMem-min(p.RMem, level))
			to(p.At, p.RMem)
			at = max(at, p.At)
		}
		switch { // DONE alone, of which no event tells
		case c.RMem > level:
			sizes = append(sizes, c.RMem-level)
			to(at, c.RMem)
		case c.RMem < level:
			sizes = nil
			to(at, c.RMem)
		}
	}
	return steps
}

// end is when the last event was.
func (t *Trace) end() uint64 {
	last := uint64(0)
	for _, c := range t.Calls {
		last = max(last, c.To)
	}
	for _, e := range t.Ends {
		last = max(last, e.At)
	}
	for _, c := range t.Changes {
		last = max(last, c.At)
	}
	return last
}
