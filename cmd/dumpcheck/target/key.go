// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkdump/client/nldump"
)

// A Key is where a record has what tells it from all others: bytes of its header,
// attributes, or both. The zero Key is the record's whole content.
type Key struct {
	Header [][2]int   // bytes of the header, each from and to
	Attrs  [][]uint16 // attributes: the type of each, after those of the nests that it is in

	// Element is an attribute that comes several times in a record. Each is the key of an
	// element of the table, with the rest of this key: see Each. 0 is any type.
	Element []uint16
}

// IsZero tells whether no key is known.
func (k Key) IsZero() bool { return len(k.Header) == 0 && len(k.Attrs) == 0 && len(k.Element) == 0 }

// Of returns the key of a record, as a string to compare. That it lacks an attribute
// is a value like any other. If the record is too short, or its attributes are
// malformed, ok is false.
func (k Key) Of(m nldump.Message, header int) (key string, ok bool) {
	if k.IsZero() {
		return string(m.Data), true
	}
	if len(m.Data) < max(header, 0) {
		return "", false
	}
	var b []byte
	for _, r := range k.Header {
		if len(m.Data) < r[1] {
			return "", false
		}
		b = append(b, m.Data[r[0]:r[1]]...)
	}
	for _, path := range k.Attrs {
		value, has, err := find(m.Attrs(max(header, 0)), path)
		if err != nil {
			return "", false
		}
		if b = append(b, 0); has {
			b[len(b)-1] = 1
			b = append(binary.NativeEndian.AppendUint16(b, uint16(len(value))), value...)
		}
	}
	return string(b), true
}

// In tells whether a record has any part of the key.
func (k Key) In(m nldump.Message, header int) bool {
	if len(k.Header) > 0 {
		return true
	}
	for _, path := range k.Attrs {
		if _, has, _ := find(m.Attrs(max(header, 0)), path); has {
			return true
		}
	}
	return k.HasElements(m, header)
}

// find returns the value of an attribute, if it is there. Of several it is the first.
func find(a nldump.Attrs, path []uint16) (value []byte, has bool, err error) {
	for i, typ := range path {
		if !a.Find(typ) {
			return nil, false, a.Err()
		}
		if i == len(path)-1 {
			return a.Bytes(), true, nil
		}
		a = a.Nested()
	}
	return nil, false, nil
}

// Request returns the attributes of a record that are in its key, encoded, with the
// nests around them: what a do needs that asks for the record.
func (k Key) Request(m nldump.Message, header int) (attrs []byte) {
	return rebuild(k.Attrs, m.Attrs(max(header, 0)))
}

func rebuild(paths [][]uint16, a nldump.Attrs) (attrs []byte) {
	inner := map[uint16][][]uint16{}
	for _, path := range paths {
		if len(path) > 1 {
			inner[path[0]] = append(inner[path[0]], path[1:])
		}
	}
	done := map[uint16]bool{}
	for _, path := range paths {
		typ := path[0]
		if done[typ] || !a.Find(typ) {
			continue
		}
		done[typ] = true
		if inner[typ] == nil {
			attrs = append(attrs, Attr(typ, a.Bytes())...)
		} else {
			attrs = append(attrs, Nest(typ, rebuild(inner[typ], a.Nested()))...)
		}
	}
	return attrs
}

func (k Key) String() string { return k.Text(nil) }

// Text says what the key is, with the names of attributes, if they are known.
func (k Key) Text(names Names) string {
	if k.IsZero() {
		return "the whole record"
	}
	var parts []string
	for _, r := range k.Header {
		parts = append(parts, fmt.Sprintf("header[%d:%d]", r[0], r[1]))
	}
	for _, path := range k.Attrs {
		parts = append(parts, pathText(path, names))
	}
	if k.Element != nil {
		parts = append(parts, "each["+pathText(k.Element, names)+"]")
	}
	return strings.Join(parts, ",")
}

func pathText(path []uint16, names Names) string {
	words := make([]string, len(path))
	for i, typ := range path {
		if names != nil {
			words[i] = names.Attr(path[:i+1])
		}
		if words[i] == "" {
			words[i] = strconv.Itoa(int(typ))
		}
	}
	return strings.Join(words, ".")
}

// ParseKey parses what Text prints: attributes by number, or by name if names are
// known, and bytes of the header: "1,3.2,header[4:8]". "1,each[2.1]" is for records that
// have the nest 2 several times, each of which is an element of the table with attribute
// 1 as its key. Records without attributes, with header -1, are all header.
func ParseKey(text string, header int, set *AttrSet) (k Key, err error) {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if inside, ok := strings.CutPrefix(word, "header["); ok {
			var r [2]int
			inside, ok = strings.CutSuffix(inside, "]")
			from, to, colon := strings.Cut(inside, ":")
			var err1, err2 error
			r[0], err1 = strconv.Atoi(from)
			r[1], err2 = strconv.Atoi(to)
			if !ok || !colon || err1 != nil || err2 != nil {
				return Key{}, fmt.Errorf("key %q: want header[FROM:TO], such as header[4:8]", word)
			}
			if r[0] < 0 || r[1] <= r[0] || header >= 0 && r[1] > header {
				return Key{}, fmt.Errorf("key %q: the header of this dump's records has %d bytes", word, header)
			}
			k.Header = append(k.Header, r)
			continue
		}
		inside, each := strings.CutPrefix(word, "each[")
		if each {
			if inside, each = strings.CutSuffix(inside, "]"); !each || k.Element != nil {
				return Key{}, fmt.Errorf("key %q: want one each[ATTR]", text)
			}
			word = inside
		}
		path, _, err := parsePath(word, set, each)
		if err != nil {
			return Key{}, fmt.Errorf("key %q: %w", word, err)
		}
		if each {
			k.Element = path
			continue
		}
		if slices.ContainsFunc(k.Attrs, func(p []uint16) bool { return slices.Equal(p, path) }) {
			return Key{}, fmt.Errorf("key %q: %s comes twice", text, word)
		}
		k.Attrs = append(k.Attrs, path)
	}
	return k, nil
}

// mostCandidates bounds how many attributes FindKey combines.
const mostCandidates = 16

// FindKey guesses a key from records that are all there is of a table: the smallest
// set of attributes that no two records have alike, or bytes of the header and
// attributes, up to three of them. Attributes in nests are tried last. If it finds none,
// the key is zero.
func FindKey(records []nldump.Message, header int) Key {
	if len(records) < 2 || header < 0 {
		return Key{}
	}
	top, deep := candidates(records, header)
	heads := [][][2]int{nil}
	for _, r := range [][2]int{{4, 8}, {0, header}} {
		// struct genlmsghdr is the same in all records, and so are many headers.
		if k := (Key{Header: [][2]int{r}}); r[1] <= header && differ(records, header, k) {
			heads = append(heads, k.Header)
		}
	}
	for _, paths := range [][][]uint16{top, append(top, deep...)} {
		for size := range 4 { // attributes
			for _, head := range heads {
				if k, ok := combine(records, header, Key{Header: head}, paths, size); ok {
					return k
				}
			}
		}
	}
	return Key{}
}

// combine finds a key of so many more attributes.
func combine(records []nldump.Message, header int, k Key, paths [][]uint16, more int) (Key, bool) {
	if more == 0 {
		return k, !k.IsZero() && unique(records, header, k)
	}
	for i, path := range paths {
		with := Key{Header: k.Header, Attrs: append(slices.Clone(k.Attrs), path)}
		if found, ok := combine(records, header, with, paths[i+1:], more-1); ok {
			return found, true
		}
	}
	return Key{}, false
}

func unique(records []nldump.Message, header int, k Key) bool {
	seen := make(map[string]bool, len(records))
	for _, m := range records {
		key, ok := k.Of(m, header)
		if !ok || seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// differ reports whether any two records have another key.
func differ(records []nldump.Message, header int, k Key) bool {
	first, _ := k.Of(records[0], header)
	return slices.ContainsFunc(records, func(m nldump.Message) bool {
		key, _ := k.Of(m, header)
		return key != first
	})
}

// candidates are the attributes that may be in a key, those that most records have
// first: no long ones, and none that are the same in all records.
func candidates(records []nldump.Message, header int) (top, deep [][]uint16) {
	counts := map[string]int{}
	paths := map[string][]uint16{}
	var walk func(a nldump.Attrs, prefix []uint16)
	walk = func(a nldump.Attrs, prefix []uint16) {
		for a.Next() {
			path := append(slices.Clone(prefix), a.Type())
			switch n := len(a.Bytes()); {
			case a.IsNested() && len(path) < 3:
				walk(a.Nested(), path)
			case !a.IsNested() && n > 0 && n <= 64:
				s := fmt.Sprint(path)
				counts[s]++
				paths[s] = path
			}
		}
	}
	for _, m := range records {
		walk(m.Attrs(header), nil)
	}
	all := make([]string, 0, len(paths))
	for s := range paths {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return slices.Compare(paths[a], paths[b])
	})
	for _, s := range all {
		path := paths[s]
		if !differ(records, header, Key{Attrs: [][]uint16{path}}) {
			continue
		}
		switch {
		case len(path) == 1 && len(top) < mostCandidates:
			top = append(top, path)
		case len(path) > 1 && len(deep) < mostCandidates:
			deep = append(deep, path)
		}
	}
	return top, deep
}
