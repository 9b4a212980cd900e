// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"slices"

	"bulkdump/client/nldump"
)

// A record may be an object with many children, or a part of one: what does not fit
// its page comes in the next record, with the object's key again. Such a table has a
// key for each child.

// Each calls a function with the key of each element of a record: the record's own if
// it has no elements.
func (k Key) Each(m nldump.Message, header int, f func(key string)) {
	key, _ := k.Of(m, header)
	if len(k.Element) == 0 {
		f(key)
		return
	}
	n := 0
	k.elements(m.Attrs(max(header, 0)), k.Element, func(a nldump.Attrs) {
		n++
		f(key + "\x00" + string(a.Bytes()))
	})
	if n == 0 {
		f(key)
	}
}

// HasElements tells whether a record has any element.
func (k Key) HasElements(m nldump.Message, header int) bool {
	has := false
	if k.Element != nil {
		k.elements(m.Attrs(max(header, 0)), k.Element, func(nldump.Attrs) { has = true })
	}
	return has
}

func (k Key) elements(a nldump.Attrs, path []uint16, f func(nldump.Attrs)) {
	for a.Next() {
		switch {
		case a.Type() != path[0] && path[0] != 0:
		case len(path) == 1:
			f(a)
		default:
			k.elements(a.Nested(), path[1:], f)
		}
	}
}

// FindElement guesses the key of a table whose records have elements: an attribute of
// the record, and one that comes several times in it. The key is zero if there is
// none.
func FindElement(records []nldump.Message, header int) Key {
	paths := repeated(records, header)
	top, _ := candidates(records, header)
	for _, element := range paths {
		for _, attrs := range append([][]uint16{nil}, top...) {
			k := Key{Element: element}
			if attrs != nil {
				k.Attrs = [][]uint16{attrs}
			}
			if k.Unique(records, header) {
				return k
			}
		}
	}
	return Key{}
}

// Unique tells whether no two elements of the records have the same key.
func (k Key) Unique(records []nldump.Message, header int) bool {
	seen := map[string]bool{}
	twice := false
	for _, m := range records {
		k.Each(m, header, func(key string) {
			twice = twice || seen[key]
			seen[key] = true
		})
		if twice {
			return false
		}
	}
	return true
}

// repeated are the attributes that come several times in a record, or in a nest of it.
// Before one that is a nest comes its first attribute, which may be its key: what else is
// in it may change.
func repeated(records []nldump.Message, header int) (paths [][]uint16) {
	add := func(path []uint16) {
		if !slices.ContainsFunc(paths, func(p []uint16) bool { return slices.Equal(p, path) }) {
			paths = append(paths, path)
		}
	}
	var walk func(a nldump.Attrs, prefix []uint16)
	walk = func(a nldump.Attrs, prefix []uint16) {
		var before []uint16
		for a.Next() {
			path := append(slices.Clone(prefix), a.Type())
			if slices.Contains(before, a.Type()) {
				if in := a.Nested(); a.IsNested() && in.Next() {
					add(append(slices.Clone(path), in.Type()))
				}
				add(path)
				continue
			}
			before = append(before, a.Type())
			if a.IsNested() && len(path) < 3 {
				walk(a.Nested(), path)
			}
		}
	}
	for _, m := range records {
		walk(m.Attrs(header), nil)
	}
	return paths
}
