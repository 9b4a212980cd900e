// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

var (
	fuzzRequests = flag.Uint64("requests", 6000, "how many requests the fuzz test makes")
	fuzzSeed     = flag.Uint64("requests-seed", 1, "another seed makes other requests")
)

const (
	fuzzEntries = 150 // max_entries
	fuzzBuried  = 20  // max_tombstones
	fuzzSockets = 3
	fuzzTable   = 500 // after that many requests, the table is compared with the model
	fuzzReport  = 20_000
)

// Requests that are valid, nearly valid and hostile, each with the answer that
// bulkdump.yaml asks for; after them, the table is what the accepted ones make of
// it. Each reply and each record is compared. Each worker has a namespace, so its table
// is its own. Some dumps are left open meanwhile, and must have what did not change. On a kernel with KCOV, what reaches new code is varied further
// (make fuzz-requests).
func TestFuzzRequests(t *testing.T) {
	reload(t, fmt.Sprintf("max_entries=%d max_tombstones=%d", fuzzEntries, fuzzBuried))
	workers := uint64(min(2, runtime.NumCPU()))
	var all sync.WaitGroup
	var sums [2]fuzzer
	for nr := range workers {
		all.Go(func() {
			// The thread ends with its namespace.
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Error(err)
				return
			}
			f := newFuzzer(t, *fuzzSeed<<8+nr)
			for range (*fuzzRequests + workers - 1) / workers {
				if t.Failed() {
					break
				}
				f.step()
				if f.made%fuzzReport == 0 {
					figures(t, "%d requests of worker %d, %d places", f.made, nr+1, len(f.seen))
				}
			}
			f.compare()
			f.close()
			sums[nr] = *f
		})
	}
	all.Wait()
	seen := make(map[uint64]bool)
	answers := make(map[string]int)
	requests, dumps, records := 0, 0, 0
	for _, f := range sums {
		requests += f.made
		dumps += f.compared
		records += f.records
		maps.Copy(seen, f.seen)
		for what, n := range f.answers {
			answers[what] += n
		}
	}
	figures(t, "%d requests, %d places in the module's code: %v; %d dumps with %d records", requests, len(seen), answers, dumps, records)
	if !t.Failed() && (answers["ok"] < requests/4 || dumps < requests/50 || records < 10*dumps) {
		t.Error("too little was accepted")
	}
}

// A fuzzer makes requests of one namespace and knows its table.
type fuzzer struct {
	t                 *testing.T
	seed              uint64
	c                 *client.Client
	sockets           []*rawSocket
	dumps             []*dumpModel // of each socket, if one is open
	model             tableModel
	cover             *kcov
	seen              map[uint64]bool
	grown             []uint32 // bases that reached new code
	made              int
	compared, records int // dumps that came to their end, and what they sent
	answers           map[string]int
	r                 *rand.Rand
}

func newFuzzer(t *testing.T, seed uint64) *fuzzer {
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{
		t: t, seed: seed, c: c, dumps: make([]*dumpModel, fuzzSockets), cover: openKCOV(t), seen: make(map[uint64]bool),
		model: tableModel{
			entries: make(map[uint32]client.Entry), most: fuzzEntries,
			tombstones: make(map[uint64]uint32), mostTombstones: fuzzBuried,
		},
		answers: make(map[string]int), r: rand.New(rand.NewPCG(seed, 0)),
	}
	s := state(t, c)
	f.model.generation, f.model.floor = s.Generation, s.LogFloor
	for range fuzzSockets {
		f.sockets = append(f.sockets, openRaw(t, client.FamilyName, 256<<10))
	}
	return f
}

func (f *fuzzer) close() {
	for _, s := range f.sockets {
		s.close()
	}
	_ = f.c.Close()
	f.cover.close()
}

// step makes one request. Its number says all of it: the upper half a base, the
// lower half how that is varied, or 0.
func (f *fuzzer) step() {
	number := uint64(f.r.Uint32()) << 32
	if len(f.grown) > 0 && f.r.IntN(2) == 0 {
		number = uint64(f.grown[f.r.IntN(len(f.grown))]) << 32
	}
	if f.r.IntN(3) == 0 {
		number |= uint64(f.r.Uint32())
	}
	flags, body := f.request(number)
	nr := f.r.IntN(fuzzSockets)
	s := f.sockets[nr]
	if f.dumps[nr] != nil && f.r.IntN(2) == 0 {
		f.drain(nr)
	}
	message := s.message(flags, body)
	want, o, attrs := f.model.judge(flags, body)
	what := func() string {
		return fmt.Sprintf("request %d of -requests-seed %d: command %+v, flags %#x, %x", number, f.seed>>8, o, flags, body[:min(len(body), 200)])
	}
	var next *dumpModel
	if o.dump && want == accepted {
		next = f.model.dump(attrs)
		next.seq = s.seq
	}
	busy := f.dumps[nr] != nil
	new := f.cover.during(f.seen, func() {
		if err := unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			f.t.Fatalf("%s: %v", what(), err)
		}
	})
	if new {
		f.grown = append(f.grown, uint32(number>>32))
	}
	f.made++
	got, replies, err := f.answer(nr, next)
	if err != nil {
		f.t.Fatalf("%s: %v", what(), err)
	}
	f.answers[cmp.Or(unix.ErrnoName(got), "ok")]++
	switch {
	case want == got, want == anyError && got != 0 && got != unix.EBUSY,
		got == unix.EBUSY && flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && busy:
	default:
		f.t.Fatalf("%s: %v, want %v", what(), got, want)
	}
	if !o.dump && attrs != nil {
		if err := f.follow(got, o, attrs, flags&unix.NLM_F_ECHO != 0, replies); err != nil {
			f.t.Fatalf("%s: %v", what(), err)
		}
	}
	if f.made%fuzzTable == 0 {
		f.compare()
	}
}

// follow does to the model what a request did to the table, and compares the reply. If
// the request wants an echo, the event of a change comes before it.
func (f *fuzzer) follow(got unix.Errno, o operation, attrs map[uint16][]byte, echo bool, replies []nldump.Message) error {
	m, reply := &f.model, nldump.Message{}
	if len(replies) > 0 {
		reply = replies[len(replies)-1]
	}
	var touched []uint32
	var err error
	switch count := uint64(len(m.entries)); {
	case o.cmd == cmdTableFill && got == unix.EEXIST:
		touched = m.undoFill(attrs)
	case got != 0:
		return nil
	case len(replies) != 1 && !(len(replies) == 2 && echo && o.cmd != cmdEntryGet && o.cmd != cmdTableGet):
		return fmt.Errorf("%d replies", len(replies))
	case o.cmd == cmdEntryGet:
		d := dumpModel{fields: client.FieldsAll}
		e := recordsOf(f.t, reply)[0]
		value, byID := attrs[attrID]
		if byID && e.ID != uint32(number(value)) || !byID && e.Name != cString(attrs[attrName]) || !reflect.DeepEqual(e, d.project(m.entries[e.ID])) {
			return fmt.Errorf("the reply has %+v, want %+v", e, m.entries[e.ID])
		}
		return nil
	case o.cmd == cmdTableGet:
		want := map[uint16]uint64{attrTableCount: count, attrTableGeneration: m.generation, attrTombstones: uint64(len(m.tombstones)), attrLogFloor: m.floor}
		return wantNumbers(reply, want)
	default:
		if touched, err = m.apply(o, attrs, func() []client.Entry { return collect(f.t, f.c, client.DumpOptions{}) }); err != nil {
			return err
		}
		want := map[uint16]uint64{attrGeneration: m.generation}
		if o.cmd == cmdTableFlush {
			want = map[uint16]uint64{attrTableCount: count, attrTableGeneration: m.generation}
		}
		if err := wantNumbers(reply, want); err != nil {
			return err
		}
	}
	for _, d := range f.dumps {
		if d != nil {
			d.touch(touched)
		}
	}
	return nil
}

const attrTableCount, attrLogFloor, attrTombstones = 1, 17, 18

// wantNumbers returns an error if a message has another number in an attribute.
func wantNumbers(m nldump.Message, want map[uint16]uint64) error {
	got := make(map[uint16]uint64)
	a := nldump.Parse(m.Data[4:])
	for a.Next() {
		if _, ok := want[a.Type()]; ok {
			got[a.Type()] = number(a.Bytes())
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the reply has %v, want %v", got, want)
	}
	return nil
}

// answer returns the errno of the answer that waits, and the replies before it.
// Netlink works within the system call, so all of it is there. A dump that has more
// pages stays open. Pages of an older one may come first.
func (f *fuzzer) answer(nr int, next *dumpModel) (errno unix.Errno, replies []nldump.Message, err error) {
	s := f.sockets[nr]
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT)
		if err != nil {
			return 0, nil, fmt.Errorf("no answer: %w", err)
		}
		ms := messages(f.t, slices.Clone(s.buf[:n]))
		if d := f.dumps[nr]; d != nil {
			d.made++
			if ms[0].Seq == d.seq {
				if err := f.take(nr, ms); err != nil {
					return 0, nil, err
				}
				continue
			}
		}
		m := ms[len(ms)-1]
		switch {
		case ms[0].Seq != s.seq:
			return 0, nil, fmt.Errorf("a message with sequence number %d, want %d", m.Seq, s.seq)
		case m.Type == unix.NLMSG_ERROR, m.Type == unix.NLMSG_DONE && next == nil:
			return verdictOf(f.t, m).errno, replies, nil
		case next == nil:
			replies = append(replies, ms...)
		default:
			f.dumps[nr] = next
			next.made++
			return 0, nil, f.take(nr, ms)
		}
	}
}

// take gives a page to the dump that is open, and closes it after the last one.
func (f *fuzzer) take(nr int, page []nldump.Message) error {
	d := f.dumps[nr]
	if page[0].Type != unix.NLMSG_DONE { // which may have found no room, and looks at nothing
		d.read++
	}
	for _, m := range page {
		if m.Seq != d.seq || f.dumps[nr] == nil {
			return fmt.Errorf("a message with sequence number %d after the dump's end", m.Seq)
		}
		done, err := d.take(f.t, m)
		if done {
			f.dumps[nr] = nil
			f.compared++
			f.records += len(d.got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// drain reads an open dump to its end.
func (f *fuzzer) drain(nr int) {
	for f.dumps[nr] != nil {
		f.dumps[nr].made++
		page, _ := f.sockets[nr].read()
		if err := f.take(nr, page); err != nil {
			f.t.Fatalf("after %d requests of -requests-seed %d: an open dump: %v", f.made, f.seed>>8, err)
		}
	}
}

// compare compares the table with the model, in whole and with a filter.
func (f *fuzzer) compare() {
	got := make(map[uint32]client.Entry)
	for _, e := range collect(f.t, f.c, client.DumpOptions{}) {
		got[e.ID] = e
	}
	same := func(a, b client.Entry) bool {
		return a.Name == b.Name && a.Flags == b.Flags && a.Value == b.Value && bytes.Equal(a.Payload, b.Payload)
	}
	for id, want := range f.model.entries {
		if e, there := got[id]; !there || !same(e, want) {
			f.t.Fatalf("after %d requests of -requests-seed %d: entry %d is %+v, want %+v", f.made, f.seed>>8, id, e, want)
		}
	}
	if len(got) != len(f.model.entries) {
		f.t.Fatalf("after %d requests of -requests-seed %d: %d entries, want %d", f.made, f.seed>>8, len(got), len(f.model.entries))
	}
	s := state(f.t, f.c)
	if open := uint64(len(slices.DeleteFunc(slices.Clone(f.dumps), func(d *dumpModel) bool { return d == nil }))); s.DumpsOpen > open {
		f.t.Fatalf("after %d requests of -requests-seed %d: %d dumps are open, want %d at most", f.made, f.seed>>8, s.DumpsOpen, open)
	}
}

var fuzzOps = slices.SortedFunc(maps.Keys(policies), func(a, b operation) int {
	switch {
	case a.cmd != b.cmd:
		return cmp.Compare(a.cmd, b.cmd)
	case a.dump:
		return 1
	}
	return -1
})

// request makes the request with a number.
func (f *fuzzer) request(number uint64) (flags uint16, body []byte) {
	r := rand.New(rand.NewPCG(f.seed, number>>32))
	o := fuzzOps[r.IntN(len(fuzzOps))]
	// A flush leaves little to find, and a fill takes as long as a hundred others.
	if o.cmd == cmdTableFlush && r.IntN(40) > 0 || o.cmd == cmdTableFill && r.IntN(8) > 0 {
		o.cmd = cmdEntryNew
	}
	flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK
	if o.dump {
		flags = flagDump
	}
	attrs := validAttrs(r, policies[o])
	if r.IntN(4) > 0 {
		attrs = f.sharpen(r, o, attrs)
	}
	header := []byte{o.cmd, 1, 0, 0}
	if vary := uint32(number); vary != 0 {
		r := rand.New(rand.NewPCG(f.seed, uint64(vary)))
		for range 1 + r.IntN(2) {
			flags, header, attrs = twist(r, flags, header, attrs)
		}
	}
	return flags, append(header, bytes.Join(attrs, nil)...)
}

// sharpen makes attributes that would be refused together fewer, and those that would
// find nothing better.
func (f *fuzzer) sharpen(r *rand.Rand, o operation, attrs [][]byte) (sharp [][]byte) {
	delta := o.dump && r.IntN(3) == 0
	for _, a := range attrs {
		switch typ := binary.NativeEndian.Uint16(a[2:]) & nlaTypeMask; {
		case o == operation{cmdEntryGet, false} && len(sharp) > 0: // either is enough
		case o.dump && !delta && typ == attrSince, delta && typ == attrCursor:
		case delta && typ == attrSince:
			since := f.model.floor + r.Uint64N(f.model.generation-f.model.floor+1)
			sharp = append(sharp, attr(attrSince, binary.NativeEndian.AppendUint64(nil, since)...))
		case o.dump && typ == attrFilter:
			sharp = append(sharp, f.filter(r, delta))
		default:
			sharp = append(sharp, a)
		}
	}
	return sharp
}

// filter returns a filter that lets one entry through, and perhaps others. That of a
// delta has ids only.
func (f *fuzzer) filter(r *rand.Rand, delta bool) []byte {
	ids := slices.Sorted(maps.Keys(f.model.entries))
	if len(ids) == 0 {
		return nest(attrFilter)
	}
	e := f.model.entries[ids[r.IntN(len(ids))]]
	mask := r.Uint32() & r.Uint32()
	var conditions [][]byte
	for i, c := range [][][]byte{
		{attrU32(attrIDFrom, e.ID-min(e.ID, r.Uint32N(100)))},
		{attrU32(attrIDTo, e.ID+min(math.MaxUint32-e.ID, r.Uint32N(100)))},
		{attrText(attrNamePrefix, e.Name[:1+r.IntN(len(e.Name))])},
		{attrU32(attrFlagsValue, e.Flags&mask), attrU32(attrFlagsMask, mask)},
	} {
		if r.IntN(2) == 0 && (!delta || i < 2) {
			conditions = append(conditions, c...)
		}
	}
	return nest(attrFilter, conditions...)
}

// validAttrs returns some of a policy's attributes, with values that it takes.
func validAttrs(r *rand.Rand, p policy) (attrs [][]byte) {
	for _, typ := range slices.Sorted(maps.Keys(p)) {
		if r.IntN(5) == 0 {
			continue
		}
		attrs = append(attrs, validAttr(r, typ, p[typ]))
	}
	return attrs
}

func validAttr(r *rand.Rand, typ uint16, a attrPolicy) []byte {
	switch a.kind {
	case kindU32, kindUint:
		n := aNumber(r)
		if a.mask != 0 {
			n &= a.mask
		}
		n = min(max(n, a.min), a.max)
		if a.kind == kindU32 || n <= math.MaxUint32 && r.IntN(2) == 0 {
			return attrU32(typ, uint32(n))
		}
		return attr(typ, binary.NativeEndian.AppendUint64(nil, n)...)
	case kindText:
		return attrText(typ, aText(r))
	case kindBinary:
		sizes := []int{0, 1, 3, 4, 100, 4000, payloadMax}
		return attr(typ, bytes.Repeat([]byte{byte(r.Uint32())}, sizes[min(r.IntN(40), len(sizes)-1)*r.IntN(2)])...)
	case kindFlag:
		return attr(typ)
	}
	return nest(typ, validAttrs(r, a.nested)...)
}

// aNumber is often the id of an entry, now and then a bound.
func aNumber(r *rand.Rand) uint64 {
	if r.IntN(4) > 0 {
		return r.Uint64N(300)
	}
	bounds := []uint64{0, 1, fuzzEntries, fuzzEntries + 1, payloadMax, math.MaxUint32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	return bounds[r.IntN(len(bounds))]
}

func aText(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return ""
	case 1:
		return string(bytes.Repeat([]byte("n"), 62+r.IntN(3)))
	case 2:
		return "n\x00m"
	}
	return fmt.Sprint("n", r.IntN(30))
}

// twist makes a request more or less wrong. It does not change the length of the
// message, which the kernel would take for another message.
func twist(r *rand.Rand, flags uint16, header []byte, attrs [][]byte) (uint16, []byte, [][]byte) {
	attrs = slices.Clone(attrs)
	at := -1
	if len(attrs) > 0 {
		at = r.IntN(len(attrs))
		attrs[at] = slices.Clone(attrs[at])
	}
	if at >= 0 && len(attrs[at]) < unix.SizeofNlAttr { // what an earlier twist left
		at = -1
	}
	switch n := r.IntN(16); {
	case n == 0:
		header = []byte{byte(r.IntN(20)), byte(r.Uint32()), 0, 0}
	case n == 1:
		header = []byte{header[0], 1, byte(r.IntN(2)), byte(r.IntN(2))}
	case n == 2:
		flags ^= 1 << r.IntN(16)
		flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK // or there may be no answer
	case n == 3:
		attrs = append(attrs, attr(uint16(r.IntN(20)), make([]byte, r.IntN(9))...))
	case n == 4:
		attrs = append(attrs, make([]byte, r.IntN(8)))
	case n == 5:
		attrs = append(attrs, nest(uint16(r.IntN(20)), attrU32(uint16(r.IntN(8)), r.Uint32())))
	case n == 6:
		attrs = append(attrs, attrU32(uint16(1+r.IntN(8)), uint32(aNumber(r))))
	case at < 0:
	case n == 7: // twice
		attrs = append(attrs, attrs[at])
	case n == 8:
		attrs = slices.Delete(attrs, at, at+1)
	case n == 9: // another type
		binary.NativeEndian.PutUint16(attrs[at][2:], uint16(r.IntN(20)))
	case n == 10: // flags of the type
		attrs[at][3] ^= byte(1+r.IntN(3)) << 6
	case n == 11: // length
		binary.NativeEndian.PutUint16(attrs[at], uint16(int(binary.NativeEndian.Uint16(attrs[at]))+r.IntN(17)-8))
	case n == 12:
		binary.NativeEndian.PutUint16(attrs[at], uint16(r.Uint32()))
	case n == 13 && len(attrs[at]) > 4: // bytes
		attrs[at][4+r.IntN(min(len(attrs[at])-4, 16))] ^= byte(1 + r.IntN(255))
	case n == 14: // the end is cut
		attrs[at] = attrs[at][:r.IntN(len(attrs[at]))&^3]
	default: // order
		r.Shuffle(len(attrs), func(i, j int) { attrs[i], attrs[j] = attrs[j], attrs[i] })
	}
	return flags, header, attrs
}

// kcov collects which code a thread executes (Documentation/dev-tools/kcov.rst):
// that of modules built with KCOV_INSTRUMENT := y.
type kcov struct {
	fd   int
	area []byte
}

const (
	kcovWords     = 64 << 10
	kcovInitTrace = 0x80086301
	kcovEnable    = 0x6364
)

// openKCOV returns nil if the kernel has none.
func openKCOV(t testing.TB) *kcov {
	fd, err := unix.Open("/sys/kernel/debug/kcov", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kcovInitTrace, kcovWords); errno != 0 {
		t.Fatal(errno)
	}
	area, err := unix.Mmap(fd, 0, 8*kcovWords, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kcovEnable, 0); errno != 0 {
		t.Fatal(errno)
	}
	return &kcov{fd, area}
}

// during calls fn, adds what this thread executes meanwhile to seen, and reports
// whether something is new.
func (k *kcov) during(seen map[uint64]bool, fn func()) (grown bool) {
	if k == nil {
		fn()
		return false
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(&k.area[0])), kcovWords)
	words[0] = 0
	fn()
	for _, pc := range words[1 : 1+min(words[0], kcovWords-1)] {
		if !seen[pc] {
			seen[pc] = true
			grown = true
		}
	}
	return grown
}

func (k *kcov) close() {
	if k != nil {
		_ = unix.Munmap(k.area)
		_ = unix.Close(k.fd)
	}
}
