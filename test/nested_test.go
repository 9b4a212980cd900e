// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// These tests also work for each family that started as a copy of
// minimal/nested.
var (
	nestedModule = cmp.Or(minimalCopy, "bulkdump_nested")
	nestedFamily = cmp.Or(minimalCopy, "bulkdump_nested")
)

const (
	nestedCmdGet     = 1
	nestedID         = 1
	nestedChild      = 2
	nestedChildID    = 1
	nestedChildValue = 2
	nestedKeyMax     = 1<<32 - 2
)

// threePages is how many children do not fit in three pages.
var threePages = smallPages(1000)

func loadNested(t testing.TB) {
	t.Helper()
	loadCopied(t, nestedModule, "")
}

// setParent gives a parent count children, whose ids start at from.
func setParent(t testing.TB, id, from, count uint32) {
	t.Helper()
	writeParent(t, fmt.Sprint(id, from, count))
}

func removeParent(t testing.TB, id uint32) {
	t.Helper()
	writeParent(t, fmt.Sprint(id))
}

func writeParent(t testing.TB, text string) {
	t.Helper()
	writeFile(t, "/sys/module/"+nestedModule+"/parameters/parent", text)
}

// A part is a message: a parent, and some of its children.
type part struct {
	id       uint32
	children []uint32
}

// dumpNested reads a dump and calls between after each message. It returns the
// messages, how many of them reported a change, and how the dump ended.
func dumpNested(t testing.TB, between func(part)) (parts []part, marked int, last error) {
	t.Helper()
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{BufferSize: smallBuffer, RepeatLimit: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{Type: getFamily(t, nestedFamily).ID, Data: request(nestedCmdGet)}
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			return parts, marked, err
		}
		if m.Data[0] != nestedCmdGet || m.Flags&unix.NLM_F_MULTI == 0 {
			t.Fatalf("message %d: command %d, flags %#x", len(parts), m.Data[0], m.Flags)
		}
		parts = append(parts, readPart(t, m.Data[4:]))
		if m.Flags&flagIntr != 0 {
			marked++
		}
		between(parts[len(parts)-1])
	}
	return parts, marked, nil
}

func readPart(t testing.TB, data []byte) (p part) {
	t.Helper()
	a := nldump.Parse(data)
	for a.Next() {
		switch a.Type() {
		case nestedID:
			p.id = a.Uint32()
		case nestedChild:
			var id, value uint32
			for typ, n := range a.Nest() {
				switch typ {
				case nestedChildID:
					id = n.Uint32()
				case nestedChildValue:
					value = n.Uint32()
				}
			}
			if value != p.id^^id {
				t.Fatalf("parent %d: child %d has value %d", p.id, id, value)
			}
			p.children = append(p.children, id)
		}
	}
	if a.Err() != nil {
		t.Fatal(a.Err())
	}
	return p
}

// wantParents compares the messages with the existing parents: one after the
// other, in the order of their ids, each with its children in the order of
// theirs.
func wantParents(t testing.TB, parts []part, want ...part) {
	t.Helper()
	var got []part
	for _, p := range parts {
		if n := len(got) - 1; n >= 0 && got[n].id == p.id {
			if len(p.children) == 0 || len(got[n].children) == 0 {
				t.Errorf("parent %d goes on without a child", p.id)
			}
			got[n].children = append(got[n].children, p.children...)
		} else {
			got = append(got, p)
		}
	}
	equal := func(a, b part) bool { return a.id == b.id && slices.Equal(a.children, b.children) }
	if !slices.EqualFunc(got, want, equal) {
		t.Errorf("parents, and how many children: %v, want %v", short(got), short(want))
	}
}

func short(parts []part) (s []string) {
	for _, p := range parts {
		if len(p.children) == 0 {
			s = append(s, fmt.Sprintf("%d: none", p.id))
		} else {
			s = append(s, fmt.Sprintf("%d: %d from %d to %d", p.id, len(p.children), p.children[0], p.children[len(p.children)-1]))
		}
	}
	return s
}

func children(id, from, count uint32) part {
	return part{id, above(from, count)}
}

// A parent whose children fill several pages comes with each of them once,
// wherever the pages end.
// Rules 3, 23.
func TestNestedDump(t *testing.T) {
	loadNested(t)
	var want []part
	check := func(what string) (parts []part) {
		t.Helper()
		parts, marked, err := dumpNested(t, func(part) {})
		if err != nil || marked != 0 {
			t.Errorf("%s: %d messages marked, error %v", what, marked, err)
		}
		wantParents(t, parts, want...)
		return parts
	}
	add := func(p part) {
		t.Helper()
		from := uint32(0)
		if len(p.children) > 0 {
			from = p.children[0]
		}
		setParent(t, p.id, from, uint32(len(p.children)))
		want = append(want, p)
	}
	check("no parent")
	add(children(0, 0, 0))
	check("a parent without children")
	wantOnePage(t, nestedFamily, 1)
	add(children(1, 0, 1))
	add(children(5, 7, threePages))
	if parts := check("children of several pages"); len(parts) < 5 {
		t.Errorf("%d messages, want at least three of the last parent", len(parts))
	}
	for id := range uint32(300) { // messages with one child or none, and pages that end with them
		add(children(100+id, id, id%2))
	}
	add(children(nestedKeyMax, nestedKeyMax, 1))
	check("all")
	step := uint32(31)
	if watcher() != "" { // five times as slow
		step = 151
	}
	for id := range uint32(3 * threePages) { // each place at which a page may be full
		if id%step == 0 {
			setParent(t, 5, 7, id)
			want[2] = children(5, 7, id)
			check("a parent that grows")
		}
	}
}

// No matter what happens to a parent and its children during a dump, all others
// come exactly once, and the change is reported.
func TestNestedDumpInterrupted(t *testing.T) {
	loadNested(t)
	rest := threePages - 2
	for _, tt := range []struct {
		name   string
		change func()
		want   func(sent uint32) part // parent 5, after that many of its children were sent
	}{
		{"the parent is removed", func() { removeParent(t, 5) }, func(sent uint32) part { return children(5, 0, sent) }},
		{"all children are removed", func() { setParent(t, 5, 0, 0) }, func(sent uint32) part { return children(5, 0, sent) }},
		{"children that were sent are removed", func() { setParent(t, 5, 2, rest) }, func(uint32) part { return children(5, 0, threePages) }},
		{"children that were not are removed", func() { setParent(t, 5, 0, rest) }, func(uint32) part { return children(5, 0, rest) }},
		{"children come", func() { setParent(t, 5, 0, threePages+2) }, func(uint32) part { return children(5, 0, threePages+2) }},
		{"a parent before it is removed", func() { removeParent(t, 4) }, func(uint32) part { return children(5, 0, threePages) }},
	} {
		setParent(t, 4, 0, 3)
		setParent(t, 5, 0, threePages)
		setParent(t, 6, 0, 0)
		setParent(t, 7, 0, threePages)
		changed := false
		parts, marked, err := dumpNested(t, func(p part) {
			if p.id == 5 && !changed {
				changed = true
				tt.change()
			}
		})
		if !errors.Is(err, nldump.ErrInterrupted) || marked == 0 {
			t.Errorf("%s: %d messages marked, error %v, want %v", tt.name, marked, err, nldump.ErrInterrupted)
		}
		// The page before the change has been read, so the page after it has
		// already been built.
		sent, pages := 0, 0
		for _, p := range parts {
			if p.id == 5 && pages < 2 {
				sent += len(p.children)
				pages++
			}
		}
		if sent == 0 || sent >= int(rest)/2 {
			t.Fatalf("%s: two pages have %d children", tt.name, sent)
		}
		t.Log(tt.name)
		wantParents(t, parts, children(4, 0, 3), tt.want(uint32(sent)), children(6, 0, 0), children(7, 0, threePages))
	}
}

// A writer waits until a page is made, and a parent that was not there before comes
// with all of its children.
func TestNestedPageIsOneState(t *testing.T) {
	loadNested(t)
	wantOneState(t, nestedFamily, nestedModule, "parent", "7", "7 0 50", func(m nldump.Message) int {
		return len(readPart(t, m.Data[4:]).children)
	})
}

func TestNestedDumpChangedEarly(t *testing.T) {
	loadNested(t)
	setParent(t, 5, 0, 3)
	wantEarlyChangeTold(t, nestedFamily, func() { setParent(t, 6, 0, 3) })
}

func TestNestedDumpParked(t *testing.T) {
	loadNested(t)
	setParent(t, 5, 0, threePages)
	s := openRaw(t, nestedFamily, smallBuffer)
	s.send(nestedCmdGet, flagDump)
	if err := unload(nestedModule); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("unload during a dump: %v, want EAGAIN", err)
	}
	s.read()
	s.close() // so that loadNested can unload the module
}

// A parent of which no child fits the page begins on the next one, whatever becomes of
// its children until then.
// Rule 3.
func TestNestedParentBeginsOnce(t *testing.T) {
	loadNested(t)
	const first, second = 1, 2
	park := func() *rawSocket {
		s := openRaw(t, nestedFamily, 64<<10)
		s.send(nestedCmdGet, flagDump)
		return s
	}
	rest := func(s *rawSocket) (parts []part) {
		defer s.close()
		pages, _ := s.readDump()
		for _, ms := range pages {
			for _, m := range ms {
				if m.Type != unix.NLMSG_DONE {
					parts = append(parts, readPart(t, m.Data[4:]))
				}
			}
		}
		return parts
	}
	setParent(t, first, 0, threePages)
	fit := uint32(len(rest(park())[0].children))
	begun := make(map[int]bool)
	for n := fit; n > fit-4; n-- {
		setParent(t, first, 0, n)
		setParent(t, second, 5, 3)
		s := park()
		setParent(t, second, 0, 0)
		parts := rest(s)
		if len(parts) != 2 || len(parts[0].children) != int(n) || parts[1].id != second || len(parts[1].children) > 3 {
			t.Fatalf("beside %d children: %v, want the first parent with them, and the second one once", n, short(parts))
		}
		begun[len(parts[1].children)] = true
	}
	if !begun[0] || !begun[1] {
		t.Errorf("the second parent began with %v children, want none in one dump and 1 in another", begun)
	}
}

func TestNestedDumpRefusesAttributes(t *testing.T) {
	loadNested(t)
	wantAttributesRefused(t, nestedFamily, nestedID, nestedChild)
}

func TestNestedParameterRefusesNonsense(t *testing.T) {
	loadNested(t)
	for _, text := range []string{"", "x", "1 2", "4294967295", "1 4294967295 0", "1 4294967294 2", "-1", "1x", "1 x", "1 0 3 4",
		"4294967301", "4294967301 0 1", "5 4294967296 1", "5 0 4294967296", "5 0 18446744073709551617", "18446744073709551621 0 1"} {
		err := os.WriteFile("/sys/module/"+nestedModule+"/parameters/parent", []byte(text), 0)
		if text != "" && !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %v, want EINVAL", text, err)
		}
	}
	removeParent(t, 5) // it does not exist
	parts, _, err := dumpNested(t, func(part) {})
	if err != nil {
		t.Error(err)
	}
	wantParents(t, parts)
}
