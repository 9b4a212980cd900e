// SPDX-License-Identifier: BSD-3-Clause

package broken

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
)

// bugs show the bug of each command. The table is new for each.
var bugs = map[string]func(tester) bool{
	// ends.c
	"CUT":   func(t tester) bool { missing, more := compare(ids(t.dump(small))); return missing > 3900 && more == 0 },
	"ERRNO": func(t tester) bool { d := t.any(large); return d.End == observe.Done && d.Errno == unix.ENOBUFS },
	"LARGE": func(t tester) bool {
		missing, _ := compare(ids(t.dump(large)))
		return missing == 0 && len(t.dump(small).Records()) == 7
	},
	"ONE": func(t tester) bool { d := t.dump(large); return len(d.Pages) == objects },
	"EMPTY": func(t tester) bool {
		d := t.dump(small)
		return len(d.Records()) == objects && slices.ContainsFunc(d.Pages, func(p observe.Page) bool { return p.Len == 0 })
	},
	"NONE": func(t tester) bool {
		t.dump(small)
		setObjects(t, 0)
		d := t.any(small)
		return d.End == observe.Done && d.Errno == unix.ENOENT
	},
	"HALF": func(t tester) bool {
		return slices.ContainsFunc(t.dump(small).Pages, func(p observe.Page) bool { return len(p.Rest) > 0 })
	},
	"DONE": func(t tester) bool {
		dones := 0
		for m := range t.dump(small).Messages() {
			if m.Type == unix.NLMSG_DONE {
				dones++
			}
		}
		return dones == 2
	},
	"ALONE": func(t tester) bool {
		d := t.dump(small)
		return len(d.Pages[len(d.Pages)-1].Messages) == 1 && len(d.Records()) == objects
	},

	// cursors.c
	"LAST": func(t tester) bool { d := t.any(large); return repeats(d, 1) },
	"WRAP": func(t tester) bool {
		d := t.any(large)
		_, more := compare(ids(d))
		return d.End == observe.Endless && d.Cycle > 1 && more > objects
	},
	"EARLY": func(t tester) bool {
		d := t.dump(small)
		missing, more := compare(ids(d))
		return missing == len(d.Pages)-1 && more == 0
	},
	"REPEAT": func(t tester) bool {
		d := t.dump(small)
		missing, more := compare(ids(d))
		return missing == 0 && more == len(d.Pages)-1
	},
	"INNER": func(t tester) bool { missing, more := compare(ids(t.dump(small))); return missing > 1000 && more == 0 },
	"STUCK": func(t tester) bool {
		setObjects(t, 1000)
		a, b := t.any(small), t.any(large)
		setObjects(t, 10)
		return repeats(a, 1) && repeats(b, 1) && len(t.dump(small).Records()) == 1
	},
	"ORDER": func(t tester) bool {
		a, b := ids(t.dump(small)), ids(t.dump(small))
		missing, more := compare(b)
		return missing+more == 0 && !slices.Equal(a, b)
	},
	"COUNT": func(t tester) bool {
		missing, _ := compare(ids(t.during(1, func(*observe.Dump) { t.remove(0) })))
		t.add(0)
		t.remove(10)
		_, more := compare(ids(t.during(1, func(*observe.Dump) { t.add(10) })))
		return missing == 1 && more == 1
	},
	"UNTIL": func(t tester) bool {
		quiet := len(t.dump(small).Pages)
		s := t.dial(small)
		defer s.Close()
		l := limits
		l.Between = func(pages int) error {
			switch {
			case pages > 4*quiet: // and object 0 is there
			case pages%2 == 1:
				t.remove(0)
			default:
				t.add(0)
			}
			return nil
		}
		return len(t.whole(s.Dump(t.request(), l)).Pages) > 4*quiet
	},
	"SQUARE": func(t tester) bool {
		d := t.dump(small)
		n := len(d.Pages) / 4
		var first, last time.Duration
		for i := range n {
			first, last = first+d.Pages[1+i].Wait, last+d.Pages[len(d.Pages)-2-i].Wait
		}
		t.Logf("a quarter of the pages: %v, and %v", first, last)
		return last > 2*first
	},
	"OBJECT": func(t tester) bool {
		cursor := lastOf(t.dump(small), 2)
		d := t.during(2, func(*observe.Dump) { t.remove(cursor) })
		return d.Whole() && len(d.Pages) == 4 && len(d.Records()) < 400 && slices.Max(ids(d)) == cursor
	},
	"DEAD": func(t tester) bool {
		t.remove(100)
		dead, sound := ids(t.dump(small)), ids(t.is("SOUND").dump(small))
		t.remove(200)
		return slices.Contains(dead, 100) && !slices.Contains(sound, 100) && !slices.Contains(ids(t.dump(small)), 100)
	},

	// held.c
	"SCRATCH": func(t tester) bool {
		d := t.during(1, func(*observe.Dump) { t.dump(small, u32(attrFrom, largest)) })
		missing, _ := compare(ids(d))
		return missing > 3000
	},
	"GLOBAL": func(t tester) bool {
		missing, _ := compare(ids(t.during(2, func(*observe.Dump) { t.any(small) })))
		return missing > 1000
	},
	"LOCK": func(t tester) bool {
		t.dump(small)
		t.during(1, func(*observe.Dump) {
			begin := time.Now()
			d := t.any(small)
			if d.Errno != unix.EBUSY || time.Since(begin) < time.Second {
				t.Errorf("a dump that waits: %s %v", d.End, d.Errno)
			}
			t.is("NEW").do(unix.EBUSY, u32(attrID, 5))
		})
		t.leave(1)
		t.add(5)
		return true
	},
	"LEAK": func(t tester) bool {
		before := t.pages4k()
		t.leave(300)
		leaked := t.pages4k() - before
		for range 300 {
			t.dump(large)
		}
		whole := t.pages4k() - before
		setObjects(t, 0)
		t.Logf("%d pages leaked, %d after 300 whole dumps, %d at the end", leaked, whole, t.pages4k()-before)
		return leaked > 250 && whole < 350 && t.pages4k()-before < 50
	},
	"HELD": func(t tester) bool {
		before := t.references()
		t.leave(100)
		leaked := t.references() - before
		t.dump(small)
		whole := t.references() - before
		setObjects(t, 0)
		released := t.references() - before
		setObjects(t, objects)
		t.leave(1)
		for begin := time.Now(); t.references() > before && time.Since(begin) < 10*time.Second; {
			time.Sleep(50 * time.Millisecond)
		}
		return leaked == 100 && whole == 100 && released == 0 && t.references() == before
	},
	"UNWIND": func(t tester) bool {
		before := t.pages4k()
		for range 300 {
			if d := t.any(small, u32(attrFrom, 1)); d.Errno != unix.EOPNOTSUPP {
				t.Fatalf("a filter: %s %v", d.End, d.Errno)
			}
		}
		leaked := t.pages4k() - before
		t.leave(300)
		return leaked > 250 && t.pages4k()-before < 350
	},

	// changes.c
	"NEVER":   func(t tester) bool { return !t.told(1, t.set) && !t.told(1, t.removeOne) },
	"ALWAYS":  func(t tester) bool { return t.dump(small).Interrupted() },
	"CANCEL":  func(t tester) bool { return !t.told(1, t.set) && !t.told(1, t.removeOne) },
	"INPLACE": func(t tester) bool { return !t.told(1, t.set) && t.told(1, t.removeOne) },
	"TAIL": func(t tester) bool {
		pages := len(t.dump(small).Pages)
		return !t.told(pages-2, t.set) && t.told(1, t.set)
	},
	"XOR": func(t tester) bool {
		both := func() { t.removeOne(); t.add(1235) }
		return !t.told(1, both) && t.told(1, t.set) && t.told(1, func() { t.add(1245) }) && t.told(1, func() { t.remove(1245) })
	},
	"LATE": func(t tester) bool {
		wait := func() { t.set(); time.Sleep(700 * time.Millisecond) }
		return !t.told(1, t.set) && t.told(1, wait)
	},

	// headers.c
	"SINGLE": func(t tester) bool { return t.dump(small).Records()[5].Flags&unix.NLM_F_MULTI == 0 },
	"OTHER":  func(t tester) bool { return t.dump(small).Records()[5].Data[0] != t.cmd },
	"SEQ":    func(t tester) bool { d := t.dump(small); return d.Records()[5].Seq != d.Request.Seq },
	"PORT":   func(t tester) bool { d := t.dump(small); return d.Records()[5].PortID != d.Request.PortID },

	// attributes.c
	"NEST": func(t tester) bool {
		d := t.dump(128 << 10)
		r := d.Records()[0]
		a := attrs(r)
		for a.Next() {
		}
		return len(r.Data) > 66000 && len(value(r, attrList)) < 1000 && a.Err() != nil && len(d.Records()) == objects
	},
	"BYTES": func(t tester) bool {
		a, b := t.dump(small).Records()[5], t.dump(small).Records()[5]
		return !bytes.Equal(value(a, attrBlob), value(b, attrBlob)) && bytes.Equal(value(a, attrBlob)[:2], value(b, attrBlob)[:2])
	},
	"PADDING": func(t tester) bool { r := t.dump(small).Records()[5].Data; return r[len(r)-1] == 0x5a },
	"LENGTH": func(t tester) bool {
		a := attrs(t.dump(small).Records()[5])
		for a.Next() {
		}
		return a.Err() != nil
	},
	"TEXT": func(t tester) bool { return string(value(t.dump(small).Records()[5], attrName)) == "object" },
	"DROP": func(t tester) bool {
		without := func(m observe.Message) bool { return value(m, attrValue) == nil }
		return slices.ContainsFunc(t.dump(small).Records(), without) && len(t.dump(small).Records()) == objects
	},
	"TWICE": func(t tester) bool {
		n := 0
		for a := attrs(t.dump(small).Records()[5]); a.Next(); {
			if a.Type() == attrValue {
				n++
			}
		}
		return n == 2
	},
	"RESET": func(t tester) bool {
		first, second := t.dump(small).Records()[5], t.dump(small).Records()[5]
		return number(first, attrEvents) != 0 && number(second, attrEvents) == 0
	},
	"TALLY": func(t tester) bool {
		off := func(d *observe.Dump) (n int) {
			for _, r := range d.Records() {
				if int(number(r, attrCount))*8 != len(value(r, attrList)) {
					n++
				}
			}
			return n
		}
		idle := t.dump(small)
		missing := off(t.during(1, func(*observe.Dump) { t.remove(20010) }))
		more := off(t.during(1, func(*observe.Dump) { t.add(20015) }))
		return len(idle.Records()) == 256 && off(idle) == 0 && missing == 1 && more == 1
	},
	"FIXED": func(t tester) bool {
		long := value(t.do(0, u32(attrID, 50)).Records()[0], attrAddress)
		short := value(t.dump(small).Records()[5], attrAddress)
		return len(long) == 8 && bytes.Equal(long[:6], short)
	},
	"SMALL": func(t tester) bool {
		t.do(0, u32(attrID, 10*(objects-2)))
		t.do(unix.EMSGSIZE, u32(attrID, largest))
		return true
	},

	// requests.c
	"JUNK": func(t tester) bool { return len(t.dump(small, u32(3000, 1)).Records()) == objects },
	"LAX":  func(t tester) bool { return len(t.dump(small, u32(3000, 1)).Records()) == objects },
	"MUTE": func(t tester) bool { d := t.any(small, u32(3000, 1)); return d.Errno == unix.EINVAL && d.Text == "" },
	"IGNORE": func(t tester) bool {
		d := t.dump(small, u32(attrFrom, 39000))
		return len(d.Records()) == objects && !filtered(d, true) && !filtered(d, false)
	},
	"UNTOLD": func(t tester) bool {
		d := t.dump(small, u32(attrFrom, 39000))
		return len(d.Records()) == 100 && !filtered(d, true) && !filtered(d, false)
	},
	"PARTLY": func(t tester) bool {
		d := t.dump(small, u32(attrFrom, 30000))
		return len(d.Records()) == 1000 && filtered(d, true) && !filtered(d, false)
	},
	"BUDGET": func(t tester) bool {
		return len(t.dump(small, u32(attrID, 50)).Records()) == 1 && len(t.dump(small, u32(attrID, 5000)).Records()) == 0
	},
	"AGAIN": func(t tester) bool {
		d := t.any(large, u32(attrFrom, 10))
		return repeats(d, 1) && len(t.dump(small).Records()) == objects
	},
	"INSIDE": func(t tester) bool {
		d := t.dump(small, attr(attrWhere|unix.NLA_F_NESTED, slices.Concat(u32(attrFrom, 39000), u32(3000, 1))))
		return len(d.Records()) == 100 && filtered(d, true)
	},
	"SLEEP": func(t tester) bool {
		begin := time.Now()
		t.dump(small, u32(attrFrom, 39000))
		return time.Since(begin) > 2500*time.Millisecond
	},
	"WAITS": func(t tester) bool {
		d := t.any(small)
		return d.End == observe.Stalled && len(d.Pages) == 1
	},
	"SHORT": func(t tester) bool {
		if n := len(t.dump(small, attr(attrFilter, make([]byte, 8))).Records()); n != objects {
			t.Errorf("%d records from 0 on", n)
		}
		t.dump(small, attr(attrFilter, []byte{1}))
		return filtered(t.dump(small, attr(attrFilter, nil)), false)
	},
	"SILENT": func(t tester) bool { return len(t.do(0, u32(attrID, 50)).Records()) == 0 },
	"NEXT": func(t tester) bool {
		records := t.do(0, u32(attrID, 11)).Records()
		return len(records) == 1 && number(records[0], attrID) == 20
	},
	"HOLLOW": func(t tester) bool {
		t.do(unix.ENOENT, u32(attrID, 55))
		r := t.do(0, u32(attrID, 50)).Records()
		return len(r) == 1 && len(r[0].Data) == unix.GENL_HDRLEN
	},

	// rights.c
	"GATE": func(t tester) (shown bool) {
		t.do(0, u32(attrID, 50))
		t.asNobody(func() {
			t.do(unix.EPERM, u32(attrID, 50))
			shown = len(t.dump(small).Records()) == objects
		})
		return shown
	},
	"SECRET": func(t tester) (shown bool) {
		asRoot := value(t.do(0, u32(attrID, 50)).Records()[0], attrSecret)
		t.asNobody(func() {
			shown = asRoot != nil && value(t.do(0, u32(attrID, 50)).Records()[0], attrSecret) == nil &&
				bytes.Equal(value(t.dump(small).Records()[5], attrSecret), asRoot)
		})
		return shown
	},
	"NETNS": func(t tester) (shown bool) {
		t.inNamespace(func() { shown = len(t.dump(small).Records()) == objects })
		return shown
	},
	"CURRENT": func(t tester) (shown bool) {
		s := t.dial(small)
		l := limits
		l.Between = observe.LeaveAfter(2)
		d := s.Dump(t.request(), l)
		t.inNamespace(func() { d.Resume(s, limits) })
		missing, _ := compare(ids(t.whole(d)))
		return missing > 3000
	},
	"PID": func(t tester) bool { return t.inside(attrPID) },
	"UID": func(t tester) bool { return t.inside(attrUID) },
}

// repeats tells whether a dump without end repeats itself after so many pages.
func repeats(d *observe.Dump, cycle int) bool { return d.End == observe.Endless && d.Cycle == cycle }

// lastOf is the last record of a page. The kernel makes the next page when one is
// read, so when two were read, the cursor is behind the third, which is page 2.
func lastOf(d *observe.Dump, page int) uint32 {
	messages := d.Pages[page].Messages
	return number(messages[len(messages)-1], attrID)
}

// filtered tells whether all records, or all other messages, are flagged so.
func filtered(d *observe.Dump, records bool) bool {
	all := true
	for m := range d.Messages() {
		if m.Record() == records {
			all = all && m.Flags&unix.NLM_F_DUMP_FILTERED != 0
		}
	}
	return all
}

// told tells whether a change behind a page shows.
func (t tester) told(page int, change func()) bool {
	t.Helper()
	if t.dump(small).Interrupted() {
		t.Errorf("command %d is interrupted without a change", t.cmd)
	}
	return t.during(page, func(*observe.Dump) { change() }).Interrupted()
}

func (t tester) set() { t.add(20) }

// removeOne removes the object that has the smallest key but one.
func (t tester) removeOne() { t.remove(ids(t.is("SOUND").dump(small))[1]) }

func TestBugs(t *testing.T) {
	sound := []string{"SOUND", "NEW", "DEL"}
	for name := range commands {
		if bugs[name] == nil && !slices.Contains(sound, name) {
			t.Errorf("%s: nothing shows its bug", name)
		}
	}
	for name, shows := range bugs {
		t.Run(name, func(t *testing.T) {
			setObjects(t, 0)
			setObjects(t, objects)
			if !shows(tester{T: t}.is(name)) {
				t.Error("the bug does not show")
			}
		})
	}
}

func TestSound(t *testing.T) {
	setObjects(t, objects)
	s := tester{T: t}.is("SOUND")
	for _, size := range []int{small, 5 << 10, 6 << 10, 8 << 10, 16 << 10, large, 128 << 10} {
		d := s.dump(size)
		if !slices.Equal(ids(d), all()) || d.Interrupted() || filtered(d, true) {
			t.Errorf("buffer of %d bytes: %d records", size, len(d.Records()))
		}
	}
	for _, id := range []uint32{0, 20, largest} {
		d := s.dump(small, u32(attrID, id))
		if !slices.Equal(ids(d), []uint32{id}) || !filtered(d, true) || !filtered(d, false) {
			t.Errorf("a filter for %d: %v", id, ids(d))
		}
		if got, want := s.do(0, u32(attrID, id)).Records(), d.Records(); len(got) != 1 || !bytes.Equal(got[0].Data, want[0].Data) {
			t.Errorf("a do of %d: %v", id, got)
		}
	}
	for _, id := range []uint32{5, largest + 1} {
		if d := s.dump(small, u32(attrID, id)); len(d.Records()) != 0 || !filtered(d, false) {
			t.Errorf("a filter for %d: %v", id, ids(d))
		}
		s.do(unix.ENOENT, u32(attrID, id))
	}
	s.do(unix.EINVAL)
	for _, junk := range [][]byte{u32(3000, 1), u32(attrFrom, 1), attr(attrID, []byte{1}), {1, 2, 3}} {
		if d := s.any(small, junk); d.Errno == 0 || d.Text == "" {
			t.Errorf("%x is not refused: %s %v %q", junk, d.End, d.Errno, d.Text)
		}
	}
	for _, change := range []func(){s.set, s.removeOne, func() { s.add(15) }} {
		if !s.told(1, change) || !s.told(len(s.dump(small).Pages)-2, change) {
			t.Error("a change is not told")
		}
	}
	s.inNamespace(func() {
		if d := s.dump(small); len(d.Records()) != 0 || len(d.Pages) != 1 {
			t.Errorf("another namespace: %v", ids(d))
		}
		s.is("NEW").do(unix.EINVAL, u32(attrID, 1))
	})
	s.is("NEW").do(unix.ERANGE, u32(attrID, 1<<32-1))
	s.is("DEL").do(unix.ENOENT, u32(attrID, 7))
	s.asNobody(func() { s.is("NEW").do(unix.EPERM, u32(attrID, 1)) })
}

// Every attribute that the sound records have, and nothing but those.
func TestSoundRecord(t *testing.T) {
	setObjects(t, objects)
	s := tester{T: t}.is("SOUND")
	want := slices.Concat([]byte{s.cmd, 1, 0, 0}, u32(attrID, 50), u32(attrValue, ^uint32(5)), attr(attrName, []byte("object-50\x00")))
	if got := s.dump(small).Records()[5].Data; !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if binary.NativeEndian.Uint32(value(s.dump(small).Records()[objects-1], attrValue)) != 0 {
		t.Error("the value of the last object is not 0")
	}
}
