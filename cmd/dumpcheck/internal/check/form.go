// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// A form is what is wrong with the messages of dumps: what one sees without knowing
// the table. It looks at each dump that is taken before it is reported, so at pages of
// many sizes, because much goes wrong where a page ends.
type form struct {
	told    bool // the checks that report it have run
	records int
	typ     uint16            // of the first record
	faults  map[string]*fault // by what is wrong
	texts   map[[deepest]uint16]*text
	done    struct{ shared, alone, early int }
}

// A fault is what is wrong with some messages.
type fault struct {
	severity Severity // of an attribute
	n        int
	first    *observe.Message
}

func (f *form) add(what string, m *observe.Message) *fault {
	if f.faults == nil {
		f.faults = map[string]*fault{}
	}
	x := f.faults[what]
	if x == nil {
		x = &fault{first: m}
		f.faults[what] = x
	}
	x.n++
	return x
}

// see looks at a dump.
func (f *form) see(t *target.Target, d *observe.Dump) {
	if f.told || d.End == observe.Endless || d.End == observe.Limited || d.End == observe.Cut {
		return
	}
	dones, largest := 0, 0
	for i, p := range d.Pages {
		if p.Len == 0 {
			f.add("empty", nil)
		}
		if len(p.Rest) > 0 {
			m := observe.Message{Raw: p.Rest}
			if n := len(p.Messages); n > 0 {
				m.Raw = p.Data[p.Messages[n-1].Offset:]
			}
			f.add("rest", &m)
		}
		largest = max(largest, p.Len)
		for j, m := range p.Messages {
			switch {
			case m.Type == unix.NLMSG_DONE:
				if dones++; dones == 1 && i > 0 {
					f.place(j, d.Pages[i-1].Len, largest)
				}
				if len(m.Data) < 4 {
					f.add("short", &m)
				}
			case !m.Record():
			case dones > 0:
				f.add("behind", &m)
			default:
				f.record(t, d, m)
			}
		}
	}
	for _, p := range d.After {
		for _, m := range p.Messages {
			if m.Type == unix.NLMSG_DONE {
				dones++
			} else if m.Record() {
				f.add("behind", &m)
			}
		}
	}
	if d.End == observe.Done && dones > 1 {
		f.add("dones", nil)
	}
}

// place notes where NLMSG_DONE is: its number in its page, how long the page before
// is, and how long the longest.
func (f *form) place(number, before, largest int) {
	switch {
	case number > 0:
		f.done.shared++
	case before+unix.SizeofNlMsghdr+4 <= largest:
		f.done.early++ // there was room for it
	default:
		f.done.alone++
	}
}

func (f *form) record(t *target.Target, d *observe.Dump, m observe.Message) {
	f.records++
	if m.Flags&unix.NLM_F_MULTI == 0 {
		f.add("single", &m)
	}
	if m.Seq != d.Request.Seq {
		f.add("sequence", &m)
	}
	if m.PortID != d.Request.PortID {
		f.add("port", &m)
	}
	if f.typ == 0 {
		f.typ = m.Type
	}
	if m.Type != f.typ {
		f.add("type", &m)
	}
	if t.Generic != nil && len(m.Data) > 0 && m.Data[0] != t.Cmd {
		f.add("command", &m)
	}
	f.attributes(t, m)
}

// The checks that report it.

// nothing tells whether no record came, so that nothing can be wrong with any.
func (r *run) nothing() bool {
	if r.form.records == 0 {
		r.skip("the table is empty")
	}
	return r.form.records == 0
}

func checkDone(r *run) {
	if x := r.form.faults["dones"]; x != nil {
		r.broken("more than one NLMSG_DONE in a dump: the callback sends its own")
	}
	if x := r.form.faults["behind"]; x != nil {
		r.find(Broken, x.first, "%s behind NLMSG_DONE: the answer to the next request on the socket has it in front", count(x.n, "record"))
	}
	if x := r.form.faults["short"]; x != nil {
		r.find(Weak, x.first, "NLMSG_DONE of %d bytes: its errno takes 4", len(x.first.Data))
	}
	switch d := r.form.done; {
	case d.early > 0:
		r.note("NLMSG_DONE is alone in its page, even if there is room in the one before")
	case d.alone > 0 && d.shared > 0:
		r.info("in the page of the last record, or alone if there is no room")
	case d.alone > 0:
		r.info("alone in its page")
	case d.shared > 0:
		r.info("in the page of the last record")
	}
}

func checkMulti(r *run) {
	if r.nothing() {
		return
	}
	if x := r.form.faults["single"]; x != nil {
		r.find(Weak, x.first, "%d of the %d records that came are without NLM_F_MULTI", x.n, r.form.records)
		r.at(6, 8) // nlmsg_flags
	}
}

func checkAddress(r *run) {
	if r.nothing() {
		return
	}
	if x := r.form.faults["sequence"]; x != nil {
		r.find(Weak, x.first, "%d of the %d records that came have another sequence number than the request, such as %d", x.n, r.form.records, x.first.Seq)
		r.at(8, 12) // nlmsg_seq
	}
	if x := r.form.faults["port"]; x != nil {
		r.find(Weak, x.first, "%d of the %d records that came have another port id than the socket, such as %d", x.n, r.form.records, x.first.PortID)
		r.at(12, 16) // nlmsg_pid
	}
}

func checkCommand(r *run) {
	if r.nothing() {
		return
	}
	if x := r.form.faults["type"]; x != nil {
		r.find(Note, x.first, "records are of more than one type: %d, and %d in %d of %d", r.form.typ, x.first.Type, x.n, r.form.records)
	}
	if x := r.form.faults["command"]; x != nil {
		r.find(Note, x.first, "%d of the %d records that came have another command than the request: %d, not %d", x.n, r.form.records, x.first.Data[0], r.Cmd)
		r.at(16, 17) // genlmsghdr.cmd
	}
}

func checkEmpty(r *run) {
	r.form.told = true // this is the last of them
	if x := r.form.faults["empty"]; x != nil {
		r.weak("%d empty datagrams", x.n)
	}
	// A table is empty in a new network namespace, as a rule.
	if d, err := r.inNewNamespace(); err == nil && len(d.Records()) == 0 && d.End == observe.Done && d.Errno != 0 {
		r.weak("an empty table is an error: NLMSG_DONE with %v%s, in a new network namespace", d.Errno, quoted(d.Text))
	}
}
