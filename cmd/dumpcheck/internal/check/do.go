// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
)

// canDo tells whether a record can be asked for by a do, with its key.
func (r *run) canDo() bool {
	switch {
	case r.Generic == nil || !r.Generic.Ops[r.Cmd].Can(unix.GENL_CMD_CAP_DO):
		r.skip("the command has no do")
	case len(r.base.Records()) == 0:
		r.skip("the table is empty")
	case len(r.Key.Attrs) == 0:
		r.skip("no attribute is known to ask for a record with: give one with --key")
	default:
		return true
	}
	return false
}

// doFor is a do that asks for a record.
func (r *run) doFor(m observe.Message) nldump.Message {
	return r.With(r.Key.Request(m.Message, r.Header))
}

// some are a few records: the first and the last, the shortest and the longest, and
// those behind them.
func (r *run) some() []observe.Message {
	records := r.base.Records()
	shortest, longest := 0, 0
	for i, m := range records {
		if len(m.Data) < len(records[shortest].Data) {
			shortest = i
		}
		if len(m.Data) > len(records[longest].Data) {
			longest = i
		}
	}
	var some []observe.Message
	at := []int{0, 1, 2, shortest, longest, len(records) - 1}
	slices.Sort(at)
	for _, i := range slices.Compact(at) {
		if i < len(records) {
			some = append(some, records[i])
		}
	}
	return some
}

// checkDo asks for single records: the same ones come.
func checkDo(r *run) {
	if !r.canDo() {
		return
	}
	s, err := r.open(large)
	if r.failed(err) {
		return
	}
	defer s.Close()
	answered, refused := 0, 0
	var why string
	for _, want := range r.some() {
		d := s.Do(r.doFor(want), r.Wait)
		switch records := d.Records(); {
		case d.End == observe.Stalled:
			r.weak("a do is neither answered nor acknowledged")
			return
		case d.End == observe.Refused:
			refused++
			why = d.Errno.Error() + quoted(d.Text)
		case len(records) == 0:
			r.weak("a do is acknowledged, and nothing answers it")
			return
		case len(records) == 1:
			answered++
			r.asDumped(records[0], want, r.current(want))
		}
	}
	if answered > 0 {
		r.absent(s)
	}
	switch {
	case answered > 0 && refused > 0:
		r.weak("a do is answered for %d records, and refused for %d: %s", answered, refused, why)
		r.breaks(29)
		r.compared()
	case refused > 0:
		r.info("a do with the record's key is refused: %s", why)
	}
}

// absent asks for a record that is not there: another one's key is no answer.
func (r *run) absent(s *observe.Socket) {
	m := r.base.Records()[0]
	m.Data = slices.Clone(m.Data)
	attrs := m.Attrs(r.Header)
	if len(r.Key.Header)+len(r.Key.Element) > 0 || len(r.Key.Attrs) != 1 || len(r.Key.Attrs[0]) != 1 || !attrs.Find(r.Key.Attrs[0][0]) || len(attrs.Bytes()) != 4 {
		return // no number to count up
	}
	there := counts(r.keys(r.base))
	value := attrs.Bytes()
	for range len(there) + 1 { // one of so many is not there, unless the key moves by itself
		if there[r.key(m)] == 0 {
			break
		}
		binary.NativeEndian.PutUint32(value, binary.NativeEndian.Uint32(value)+1)
	}
	d := s.Do(r.doFor(m), r.Wait)
	for _, got := range d.Records() {
		if there[r.key(got)] > 0 { // and m is not there
			r.find(Weak, &got, "a do for %s = %d, which no record has, is answered with another record",
				nameOf(r.Target, r.Key.Attrs[0]), binary.NativeEndian.Uint32(value))
			return
		}
	}
}

// current is a record as it is dumped now: to ask for it may have changed it.
func (r *run) current(m observe.Message) observe.Message {
	d, err := r.dump(r.Request, large)
	if err != nil {
		return m
	}
	for _, now := range d.Records() {
		if r.key(now) == r.key(m) {
			return now
		}
	}
	return m
}

// asDumped compares the answer to a do with the record as it was dumped before, and
// afterwards.
func (r *run) asDumped(got, want, after observe.Message) {
	if min(len(got.Data), len(want.Data), len(after.Data)) < r.Header {
		return
	}
	mine, theirs, later := split(got.Data[r.Header:]), split(want.Data[r.Header:]), split(after.Data[r.Header:])
	lacks := func(a, b []attribute) (names []string) {
		for _, x := range a {
			if !slices.ContainsFunc(b, func(y attribute) bool { return x.typ == y.typ }) {
				names = append(names, nameOf(r.Target, []uint16{x.typ &^ flags}))
			}
		}
		return names
	}
	if len(mine) == 0 && len(theirs) > 0 {
		r.weakOnce("a do is answered without any attribute")
		return
	}
	if names := lacks(mine, theirs); names != nil {
		r.noteOnce("a do has what the dump has not: " + strings.Join(names, ", "))
	}
	if names := lacks(theirs, mine); names != nil {
		r.noteOnce("the dump has what a do has not: " + strings.Join(names, ", "))
	}
	for _, x := range mine {
		same := func(y attribute) bool { return x.typ == y.typ && bytes.Equal(x.value, y.value) }
		there := func(y attribute) bool { return x.typ == y.typ }
		if slices.ContainsFunc(theirs, there) && !slices.ContainsFunc(theirs, same) && !slices.ContainsFunc(later, same) && !r.moves([]uint16{x.typ &^ flags}) {
			r.noteOnce("a do and the dump differ in " + nameOf(r.Target, []uint16{x.typ &^ flags}))
		}
	}
}
