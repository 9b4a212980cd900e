// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// What is wrong with the attributes of records. Nests are known by NLA_F_NESTED
// alone.

// A text is an attribute that looks like a string in each record.
type text struct {
	n, unended int
	first      observe.Message
	value      string
}

// deepest is how many nests in one another are looked at.
const deepest = 8

const flags = unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER

func (f *form) attributes(t *target.Target, m observe.Message) {
	if t.Header < 0 {
		return // no attributes
	}
	if len(m.Data) < t.Header {
		f.fault(Broken, m, fmt.Sprintf("a record of %d bytes, want a header of %d", len(m.Data), t.Header))
		return
	}
	var path [deepest]uint16
	f.walk(t, m, m.Data[t.Header:], path[:0])
}

func (f *form) fault(s Severity, m observe.Message, what string) {
	f.add("attribute: "+what, &m).severity = s
}

func (f *form) walk(t *target.Target, m observe.Message, b []byte, path []uint16) {
	var types [4]uint16 // of those before, as a start
	before := types[:0]
	for len(b) > 0 {
		if len(b) < unix.SizeofNlAttr {
			f.fault(Broken, m, fmt.Sprintf("bytes behind the last attribute%s that are none", in(t, path)))
			return
		}
		n, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		here := append(path, typ&^flags)
		if n < unix.SizeofNlAttr || n > len(b) {
			f.fault(Broken, m, fmt.Sprintf("%s has a length of %d bytes, and %d are left", nameOf(t, here), n, len(b)))
			return
		}
		end := min((n+3)&^3, len(b))
		if slices.ContainsFunc(b[n:end], func(c byte) bool { return c != 0 }) {
			f.fault(Weak, m, nameOf(t, here)+": its padding is not 0, so nobody has initialised it")
		}
		if typ&unix.NLA_F_NESTED == 0 && len(path) == 0 && slices.Contains(before, typ) {
			f.fault(Note, m, nameOf(t, here)+" comes more than once in a record")
		}
		before = append(before, typ)
		if typ&unix.NLA_F_NESTED != 0 {
			if len(here) == deepest {
				return
			}
			f.walk(t, m, b[unix.SizeofNlAttr:n], here)
		} else {
			f.string(t, m, here, b[unix.SizeofNlAttr:n])
		}
		b = b[end:]
	}
}

// string counts whether a value looks like a string, and ends in a NUL.
func (f *form) string(t *target.Target, m observe.Message, path []uint16, value []byte) {
	if len(value) == 0 {
		return
	}
	var of [deepest]uint16
	copy(of[:], path)
	x := f.texts[of]
	if x == nil {
		if f.texts == nil {
			f.texts = map[[deepest]uint16]*text{}
		}
		x = &text{}
		f.texts[of] = x
	}
	x.n++
	if !slices.ContainsFunc(value, func(c byte) bool { return c < ' ' || c > '~' }) && len(value) > 2 {
		if x.unended++; x.unended == 1 {
			x.first, x.value = m, nameOf(t, path)+": "+strconv.Quote(string(value))
		}
	}
}

// nameOf is what an attribute is called, with the nests that it is in.
func nameOf(t *target.Target, path []uint16) string {
	names := make([]string, len(path))
	for i, typ := range path {
		if t.Names != nil {
			names[i] = t.Names.Attr(path[:i+1])
		}
		if names[i] == "" {
			names[i] = strconv.Itoa(int(typ))
		}
	}
	return "attribute " + strings.Join(names, ".")
}

func in(t *target.Target, path []uint16) string {
	if len(path) == 0 {
		return ""
	}
	return " in " + nameOf(t, path)
}

func checkAttributes(r *run) {
	if r.Header < 0 {
		r.skip("its records have no attributes")
		return
	}
	if len(r.form.faults) == 0 && r.nothing() {
		return
	}
	if x := r.form.faults["rest"]; x != nil {
		r.find(Broken, x.first, "%d pages end in bytes that are no message: a record that did not fit was left half done", x.n)
		r.breaks(23)
	}
	for _, what := range slices.Sorted(maps.Keys(r.form.faults)) {
		if text, ok := strings.CutPrefix(what, "attribute: "); ok {
			x := r.form.faults[what]
			r.find(x.severity, x.first, "%s, in %d of %d records", text, x.n, r.form.records)
			r.breaks(map[Severity]int{Broken: 23, Weak: 21, Note: 23}[x.severity])
		}
	}
	texts := slices.SortedFunc(maps.Values(r.form.texts), func(a, b *text) int { return strings.Compare(a.value, b.value) })
	for _, x := range texts {
		if x.unended == x.n && x.n > 1 {
			r.find(Note, &x.first, "%s: it looks like a string, and has no NUL", x.value)
			r.breaks(23)
		}
	}
}
