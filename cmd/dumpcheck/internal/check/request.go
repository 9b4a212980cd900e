// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// The checks of requests that a dump must refuse.

// An unknown attribute is of a type that no policy has.
const unknown = 3000

// checkStrict sends attributes that no dump knows.
func checkStrict(r *run) {
	if r.Header < 0 {
		r.skip("its request has no attributes")
		return
	}
	quiet := 0
	refused := func(what string, request nldump.Message) {
		d, err := r.dump(request, large)
		switch {
		case err != nil:
			r.skip("%v", err)
		case d.Whole():
			r.weak("%s is accepted", what)
		case d.Text == "":
			quiet++
		}
	}
	refused("an attribute that no policy has", r.With(target.Attr(unknown, make([]byte, 4))))
	refused("an attribute cut short", r.With([]byte{8, 0, 1, 0}))
	for _, typ := range slices.Sorted(maps.Keys(r.dumpPolicy())) {
		if a := r.dumpPolicy()[typ]; a.Type == target.TypeNested {
			what := fmt.Sprintf("an attribute that no policy has, in %s,", nameOf(r.Target, []uint16{typ}))
			refused(what, r.With(target.Attr(typ|unix.NLA_F_NESTED, target.Attr(unknown, make([]byte, 4)))))
		}
	}
	if quiet > 0 {
		r.note("a request with an unknown attribute is refused, and no text says why (extack)")
	}
}

// dumpPolicy is what the kernel exports; nil if it does not.
func (r *run) dumpPolicy() target.Policy {
	if r.Generic == nil {
		return nil
	}
	return r.Generic.Ops[r.Cmd].DumpPolicy
}

// checkRequest sends headers with what they cannot have.
func checkRequest(r *run) {
	accepted := func(s Severity, what string, request nldump.Message) {
		d, err := r.dump(request, large)
		if err != nil {
			r.skip("%v", err)
		} else if d.Whole() {
			r.find(s, nil, "%s is accepted", what)
		}
	}
	m := r.Request
	if r.Generic != nil {
		// Families from before 6.1 may be lax (resv_start_op).
		m.Data = bytes.Clone(m.Data)
		m.Data[2] = 1
		accepted(Note, "a request with bits in the reserved field of its genlmsghdr", m)
		m = r.Request
		m.Flags |= 1 << 15
		accepted(Note, "a request with unknown bits in nlmsg_flags", m)
		m.Flags = 0
	}
	m.Data = nil
	accepted(Weak, "a request without the family's header", m)
}

// checkShort sends a request, and attributes, shorter than the structure that the
// callback reads. What lies behind their end must not matter.
func checkShort(r *run) {
	tried, short := 0, 0
	for n := 1; n < len(r.Request.Data); n++ {
		if n > 4 && n != len(r.Request.Data)/2 && n != len(r.Request.Data)-1 {
			continue
		}
		tried++
		var answers [2]*observe.Dump
		for i, fill := range []byte{0, 0xff} {
			s, err := r.open(large)
			if r.failed(err) {
				return
			}
			m := r.Request
			m.Data = append(bytes.Clone(m.Data[:n]), bytes.Repeat([]byte{fill}, 64)...)
			answers[i] = s.DumpShort(m, n, r.limits())
			s.Close()
		}
		if r.differ(answers) {
			r.broken("the answer to a request of %d bytes depends on those behind its end: the callback reads a header of %d", n, len(r.Request.Data))
			r.compared()
			return
		}
		if answers[0].Whole() && len(answers[0].Records()) > 0 {
			short++
		}
	}
	if short > 0 {
		r.info("a request with a part of its header is answered, as that of old programs")
	}
	for _, typ := range slices.Sorted(maps.Keys(r.dumpPolicy())) {
		a := r.dumpPolicy()[typ]
		if a.Type != target.TypeBinary || a.MinLen > 1 {
			continue
		}
		tried++
		var answers [2]*observe.Dump
		for i, fill := range []byte{0, 0x7f} {
			// One byte, and padding that is ours.
			attr := target.Attr(typ, []byte{0})
			copy(attr[5:], []byte{fill, fill, fill})
			var err error
			if answers[i], err = r.dump(r.With(attr), large); r.failed(err) {
				return
			}
		}
		name := nameOf(r.Target, []uint16{typ})
		whole, err := r.dump(r.With(target.Attr(typ, make([]byte, min(a.MaxLen, 256)))), large)
		switch {
		case r.failed(err):
			return
		case r.differ(answers):
			r.broken("the answer depends on the bytes behind the end of %s: the callback reads more than the attribute has", name)
			r.compared()
		case answers[0].Whole() && whole.Whole() && a.MaxLen > 1 && a.MaxLen <= 256 && r.differ([2]*observe.Dump{answers[0], whole}):
			r.weak("%s with 1 byte, 0, is accepted, and is not answered as with %d bytes of 0: more is read than it has", name, a.MaxLen)
			r.compared()
		}
	}
	if tried == 0 {
		r.skip("its request has no structure that could be cut")
	}
}

// differ tells whether two answers differ that should be equal.
func (r *run) differ(d [2]*observe.Dump) bool {
	if d[0].End != d[1].End || d[0].Errno != d[1].Errno {
		return true
	}
	missing, more := difference(r.keys(d[0]), r.keys(d[1]))
	return missing+more > 0
}

// checkPolicy compares the policy that the kernel exports with what it accepts.
func checkPolicy(r *run) {
	if r.Generic == nil {
		r.skip("only generic netlink exports policies")
		return
	}
	policy := r.dumpPolicy()
	accepted := func(attr []byte) bool {
		d, err := r.dump(r.With(attr), large)
		return !r.failed(err) && d.Whole()
	}
	if len(policy) == 0 {
		if accepted(target.Attr(unknown, make([]byte, 4))) {
			r.note("no policy is exported for the dump, and attributes are accepted")
		} else {
			r.info("no attribute")
		}
		return
	}
	var beyond, size []string
	largest := uint16(0)
	for typ := range policy {
		largest = max(largest, typ)
	}
	for typ := uint16(1); typ <= largest+1; typ++ {
		if r.late("attributes", int(typ)-1, int(largest)) {
			break
		}
		a, known := policy[typ]
		name := nameOf(r.Target, []uint16{typ})
		switch {
		case !known || a.Type == 0:
			if accepted(target.Attr(typ, make([]byte, 4))) {
				beyond = append(beyond, name)
			}
		case a.Size() > 0:
			if accepted(target.Attr(typ, make([]byte, 3))) {
				size = append(size, name)
			}
		}
	}
	if beyond != nil {
		r.weak("the policy does not have what is accepted: %s", strings.Join(beyond, ", "))
	}
	if size != nil {
		r.weak("a number of 3 bytes is accepted as %s", strings.Join(size, ", "))
	}
	r.info("%d attributes", len(policy))
}
