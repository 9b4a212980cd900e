// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// checkFilter sends each attribute that the dump's policy has, with several values. An
// attribute that leaves out records is a filter, and is told (NLM_F_DUMP_FILTERED). One
// that is accepted with any value, and changes nothing, is ignored.
func checkFilter(r *run) {
	policy := r.dumpPolicy()
	if len(policy) == 0 {
		r.skip("no policy tells what attributes the dump takes")
		return
	}
	var ignored, applied []string
	for i, typ := range slices.Sorted(maps.Keys(policy)) {
		if r.late("attributes", i, len(policy)) {
			break
		}
		name := nameOf(r.Target, []uint16{typ})
		accepted, changed, fewer := 0, false, false
		for _, value := range r.values(typ, policy[typ]) {
			d, err := r.dump(r.With(target.Attr(typ, value)), large)
			if r.failed(err) {
				return
			}
			if refusal(d) {
				changed = true
				r.refused = r.With(target.Attr(typ, value)) // in start(), perhaps: see checkAbandoned
				continue
			}
			if !d.Whole() {
				r.broken("with %s (%x), it does not come to its end: %s", name, value, ending(d))
				changed = true
				break
			}
			accepted++
			missing, more := difference(r.keys(r.base), r.keys(d))
			changed = changed || missing+more > 0 || d.Bytes != r.base.Bytes
			if missing > 0 && more == 0 {
				fewer = true
				r.filtered = r.With(target.Attr(typ, value))
				r.flagged(d, name)
				if len(d.Records()) == 0 && r.comes(typ, value) && r.once(Broken, name+" leaves out the record that has its value, too") {
					r.breaks(10)
					r.compared()
				}
			}
		}
		switch {
		case fewer:
			applied = append(applied, name)
		case accepted > 0 && !changed && len(r.base.Records()) > 0:
			ignored = append(ignored, name)
		}
	}
	if ignored != nil {
		r.weak("accepted with any value, and without any effect: %s", strings.Join(ignored, ", "))
	}
	if applied != nil {
		r.info("a filter: %s", strings.Join(applied, ", "))
	}
}

// comes tells whether a record has an attribute with the value.
func (r *run) comes(typ uint16, value []byte) bool {
	return slices.ContainsFunc(r.base.Records(), func(m observe.Message) bool {
		a := m.Attrs(r.Header)
		return a.Find(typ) && bytes.Equal(a.Bytes(), value)
	})
}

// flagged looks for NLM_F_DUMP_FILTERED in a dump that was filtered.
func (r *run) flagged(d *observe.Dump, name string) {
	records := d.Records()
	without := 0
	var first *observe.Message
	for m := range d.Messages() {
		if m.Flags&unix.NLM_F_DUMP_FILTERED == 0 {
			if without++; first == nil {
				first = &m
			}
		}
	}
	if first != nil && !slices.ContainsFunc(r.result.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, name) }) {
		r.find(Weak, first, "%s leaves out %d of %d records, and %d of %d messages do not tell it (NLM_F_DUMP_FILTERED)",
			name, len(r.base.Records())-len(records), len(r.base.Records()), without, len(records)+1)
		r.compared()
	}
}

// values are some that the policy allows: that of the first record, and others.
func (r *run) values(typ uint16, p target.PolicyAttr) (values [][]byte) {
	if records := r.base.Records(); len(records) > 0 {
		if a := records[len(records)/2].Attrs(r.Header); a.Find(typ) && p.Type != target.TypeNested {
			values = append(values, slices.Clone(a.Bytes()))
		}
	}
	number := func(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }
	switch size := p.Size(); {
	case p.Type == target.TypeFlag:
		return [][]byte{{}}
	case size > 0:
		for _, n := range []uint64{0, 1, 2, 1 << 20, max(p.MinValue, 1), p.MaxValue} {
			// The last bytes are the least significant ones of a big-endian machine.
			b := number(n)
			if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
				b = b[8-size:]
			}
			values = append(values, b[:size])
		}
	case p.Type == target.TypeString || p.Type == target.TypeNulString:
		values = append(values, []byte("x\x00"))
	case p.Type == target.TypeBinary:
		values = append(values, make([]byte, max(p.MinLen, min(p.MaxLen, 64), 1)))
	}
	return values
}
