// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Which dumps report a change that happens while they run. Each family gets
// objects for several pages. After the first page of its dump, an object is
// changed in place, removed or added: one that was already sent, the next one,
// or the last one. The error at the end of the loop shows whether the family
// reports the change.

// A tellFamily is a row of the table.
type tellFamily struct {
	name    string
	modules []string // modules of the kernel, which some kernels lack
	since   string   // the first kernel that has it
	older   string   // why older kernels cannot be tested, if they have it
	never   string   // why there cannot be a change during a dump
	netlink int      // the netlink family
	request func(t *testing.T) nldump.Message
	global  bool // it does not belong to a network namespace
	alone   bool // its files must not be inherited by another test's programs
	prepare op   // once
	base    op   // once for each object
	count   int
	mark    func(i int) []byte // bytes that only the records of the i-th object have
	add     op
	remove  op
	cleanup op // removes what does not end with the network namespace
	changes []tellChange

	generation  func(m nldump.Message) (uint64, error) // in each record
	unaddressed bool                                   // records have no port id
}

// A tellChange changes an object in place.
type tellChange struct {
	what  string
	since string // the first kernel that has it
	op
	undo op
}

// An op is an operation on objects: either command lines, in which expand
// inserts the object, or a function.
type op struct {
	lines []string
	do    func(t *testing.T, i int)
}

func lines(l ...string) op                        { return op{lines: l} }
func do(f func(t *testing.T, i int)) op           { return op{do: f} }
func inPlace(what string, l ...string) tellChange { return tellChange{what: what, op: lines(l...)} }

func (o op) run(t *testing.T, objects ...int) {
	t.Helper()
	var all []string
	for _, l := range o.lines {
		for _, i := range objects {
			all = append(all, expand(l, i))
		}
	}
	runLines(t, all)
	if o.do != nil {
		for _, i := range objects {
			o.do(t, i)
		}
	}
}

func (o op) is() bool { return o.lines != nil || o.do != nil }

// The values of a cell.
const (
	told   = "told"
	some   = "some" // reported at some places in the dump, not at others
	silent = "no"   // never reported
	none   = "-"    // there is no such change
)

// A tellTest is a family under test.
type tellTest struct {
	*tellFamily
	sock   *changeSocket
	stream *nldump.Stream
	req    nldump.Message
}

// A changeSocket calls a function before it reads the next datagram. By then,
// the kernel has built only the first page of a dump. It records and removes
// NLM_F_DUMP_INTR, to show what else reports the change.
type changeSocket struct {
	nldump.PollSocket
	change      func()
	interrupted bool
}

func (s *changeSocket) Recv(buf []byte) (nldump.Datagram, error) {
	if change := s.change; change != nil {
		s.change = nil
		change()
	}
	d, err := s.PollSocket.Recv(buf)
	for b := buf[:min(d.Len, len(buf))]; len(b) >= unix.SizeofNlMsghdr; {
		flags := binary.NativeEndian.Uint16(b[6:])
		s.interrupted = s.interrupted || flags&unix.NLM_F_DUMP_INTR != 0
		binary.NativeEndian.PutUint16(b[6:], flags&^unix.NLM_F_DUMP_INTR)
		b = b[min(int(binary.NativeEndian.Uint32(b)+3)&^3, len(b)):]
	}
	return d, err
}

func (f *tellFamily) start(t *testing.T) *tellTest {
	t.Helper()
	conn, err := netlink.Dial(f.netlink, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := nldump.Config{BufferSize: nldump.MinBufferSize}
	sock, err := nldump.Open(conn, cfg)
	if err != nil {
		t.Fatal(err)
	}
	test := &tellTest{f, &changeSocket{PollSocket: sock}, nil, f.request(t)}
	if test.stream, err = nldump.New(test.sock, cfg); err != nil {
		t.Fatal(err)
	}
	return test
}

// pages dumps and calls change after the first page. It returns whether the
// kernel reports the dump as interrupted, and whether the generation does.
func (f *tellTest) pages(t *testing.T, change func()) (pages [][]byte, flag, generation bool, err error) {
	t.Helper()
	f.sock.change, f.sock.interrupted = change, false
	d := nldump.Dump{Request: f.req, Unaddressed: f.unaddressed, Generation: f.generation}
	for p, err := range f.stream.Pages(t.Context(), d) {
		if errors.Is(err, nldump.ErrInterrupted) {
			return pages, f.sock.interrupted, true, nil
		}
		if err != nil {
			return pages, false, false, err
		}
		pages = append(pages, bytes.Clone(p.Messages()))
		p.Release()
	}
	return pages, f.sock.interrupted, false, nil
}

// places returns the objects at three places, if the dump has objects of ours
// there: sent in the first page, in the next one, and last. It dumps without a
// change, so nothing may be reported.
func (f *tellTest) places(t *testing.T) (objects []int) {
	t.Helper()
	pages, flag, generation, err := f.pages(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if flag || generation {
		t.Fatalf("told of a change, and there was none: by the flag %v, by the generation %v", flag, generation)
	}
	if len(pages) < 2 {
		t.Fatal("one page: nothing changes in mid-dump")
	}
	first := map[int]int{} // object, by page
	var last, lastAt int
	for n, p := range pages {
		firstAt := len(p)
		for i := range f.count {
			at := bytes.Index(p, f.mark(i))
			if at < 0 {
				continue
			}
			if at < firstAt {
				first[n], firstAt = i, at
			}
			if whole := n<<16 + at + 1; whole > lastAt {
				last, lastAt = i, whole
			}
		}
	}
	if lastAt == 0 {
		t.Fatal("none of the objects is in the dump")
	}
	for _, n := range []int{0, 1} {
		if i, ok := first[n]; ok {
			objects = append(objects, i)
		}
	}
	if !slices.Contains(objects, last) {
		objects = append(objects, last)
	}
	return objects
}

// tell changes an object at each place during a dump, and returns whether the
// change is reported, by the flag and by the generation.
func (f *tellTest) tell(t *testing.T, what string, o, before, after op) (flag, generation string) {
	t.Helper()
	if !o.is() {
		return none, none
	}
	var flags, generations, tries int
	for place := range f.places(t) {
		// The places move when objects are removed or added.
		objects := f.places(t)
		if place >= len(objects) {
			break
		}
		i := objects[place]
		before.run(t, i)
		_, interrupted, moved, err := f.pages(t, func() { o.run(t, i) })
		if err != nil {
			t.Fatalf("%s, object %d: %v", what, i, err)
		}
		after.run(t, i)
		tries++
		if interrupted {
			flags++
		}
		if moved {
			generations++
		}
		t.Logf("%s, object %d at place %d: by the flag %v, by the generation %v", what, i, place, interrupted, moved)
	}
	cell := func(n int) string {
		switch n {
		case 0:
			return silent
		case tries:
			return told
		}
		return some
	}
	return cell(flags), cell(generations)
}

// run makes the family's row.
func (f *tellFamily) run(t *testing.T) tellRow {
	r := tellRow{name: f.name, added: none, removed: none, changed: none, generation: none}
	if r.note = f.lacking(t); r.note != "" {
		return r
	}
	if !f.global {
		ownNetNS(t)
	}
	defer f.cleanup.run(t, 0)
	f.prepare.run(t, 0)
	all := make([]int, f.count)
	for i := range all {
		all[i] = i
	}
	f.base.run(t, all...)
	f.add.run(t, all...)
	test := f.start(t)
	defer test.stream.Close()
	// A socket's first page may be smaller than the others.
	for range 2 {
		var refused *nldump.KernelError
		if _, _, _, err := test.pages(t, nil); errors.As(err, &refused) {
			r.note = "no second page: " + refused.Errno.Error()
			return r
		} else if err != nil {
			t.Fatal(err)
		}
	}

	// A generation must report all changes, or it is not one.
	cell := func(to *string, what string, o, before, after op) {
		flag, generation := test.tell(t, what, o, before, after)
		if flag == none {
			return
		}
		same := func(to *string, got string) {
			if *to != none && *to != got {
				t.Errorf("%s: %s, and %s of another change", what, got, *to)
			}
			*to = got
		}
		same(to, flag)
		if f.generation != nil {
			same(&r.generation, generation)
		}
	}
	var what []string
	for _, c := range f.changes {
		if c.since == "" || !tooOld(t, c.since) {
			cell(&r.changed, c.what, c.op, op{}, c.undo)
			what = append(what, c.what)
		}
	}
	r.note = strings.Join(what, ", ")
	if f.remove.is() {
		cell(&r.removed, "removed", f.remove, op{}, f.add)
		cell(&r.added, "added", f.add, f.remove, op{})
	}
	return r
}

// lacking returns why a family cannot be tested on this kernel.
func (f *tellFamily) lacking(t *testing.T) string {
	if f.never != "" {
		return f.never
	}
	if f.since != "" && tooOld(t, f.since) {
		return cmp.Or(f.older, "new in "+f.since)
	}
	for _, m := range f.modules {
		if _, err := os.Stat("/sys/module/" + m); err != nil {
			return noModule + m
		}
	}
	return ""
}

// tooOld reports whether the kernel is older than a release such as "6.3".
func tooOld(t *testing.T, release string) bool {
	t.Helper()
	major, minor := kernelVersion(release)
	return olderThan(t, major, minor)
}

// It tries all families in turn, and compares the result with the
// documentation.
func TestWhichDumpsTell(t *testing.T) {
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make vm-tools")
	}
	release := kernelRelease(t)
	major, minor := kernelVersion(release)
	kernel := fmt.Sprintf("%d.%d", major, minor)
	families := tellFamilies()
	rows := make([]tellRow, len(families))
	t.Run("of", func(t *testing.T) {
		for i, f := range families {
			t.Run(f.name, func(t *testing.T) {
				if !f.alone {
					t.Parallel() // each in a network namespace of its own
				}
				rows[i] = tellRow{name: f.name, added: failed, removed: failed, changed: failed, generation: failed}
				rows[i] = f.run(t)
			})
		}
	})
	rows = slices.DeleteFunc(rows, func(r tellRow) bool { return r.name == "" }) // did not run
	for i := range rows {
		rows[i].kernels = []string{kernel}
	}
	t.Logf("what tells of a change on %s\n%s", release, formatTold(rows))
	documented := slices.DeleteFunc(readTold(t, "/nldump/doc.go"), func(r tellRow) bool { return !slices.Contains(r.kernels, kernel) })
	if len(documented) == 0 {
		t.Logf("%s is not documented", kernel)
		return
	}
	wantDocumented(t, rows, documented, strings.HasSuffix(release, "-amd64"), len(rows) == len(families))
}
