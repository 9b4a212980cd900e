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
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

var (
	fuzzRequests = flag.Uint64("requests", 6000, "how many requests the fuzz test makes")
	fuzzSeed     = flag.Uint64("requests-seed", 1, "another seed makes other requests")
)

const (
	fuzzEntries = 400 // max_entries
	fuzzSockets = 3
	fuzzTable   = 500 // after that many requests, the table is compared with the model
	fuzzReport  = 20_000
)

// Requests that are valid, nearly valid and hostile, each with the answer that
// bulkdump.yaml asks for; after them, the table is what the accepted ones make of
// it. Each worker has a namespace, so its table is its own. Some dumps are left
// open meanwhile. On a kernel with KCOV, what reaches new code is varied further
// (make fuzz-requests).
func TestFuzzRequests(t *testing.T) {
	reload(t, fmt.Sprintf("max_entries=%d", fuzzEntries))
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
	requests := 0
	for _, f := range sums {
		requests += f.made
		maps.Copy(seen, f.seen)
		for what, n := range f.answers {
			answers[what] += n
		}
	}
	figures(t, "%d requests, %d places in the module's code: %v", requests, len(seen), answers)
	if !t.Failed() && answers["ok"] == 0 {
		t.Error("none was accepted")
	}
}

// A fuzzer makes requests of one namespace and knows its table.
type fuzzer struct {
	t       *testing.T
	seed    uint64
	c       *client.Client
	sockets []*rawSocket
	busy    []bool // a dump is open
	model   tableModel
	cover   *kcov
	seen    map[uint64]bool
	grown   []uint32 // bases that reached new code
	made    int
	answers map[string]int
	r       *rand.Rand
}

func newFuzzer(t *testing.T, seed uint64) *fuzzer {
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{
		t: t, seed: seed, c: c, busy: make([]bool, fuzzSockets), cover: openKCOV(t), seen: make(map[uint64]bool),
		model:   tableModel{entries: make(map[uint32]client.Entry), most: fuzzEntries},
		answers: make(map[string]int), r: rand.New(rand.NewPCG(seed, 0)),
	}
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
	if f.r.IntN(3) > 0 {
		number |= uint64(f.r.Uint32())
	}
	flags, body := f.request(number)
	nr := f.r.IntN(fuzzSockets)
	s := f.sockets[nr]
	if f.busy[nr] && f.r.IntN(2) == 0 {
		f.drain(nr)
	}
	message := s.message(flags, body)
	want, o, attrs := f.model.judge(flags, body)
	new := f.cover.during(f.seen, func() {
		if err := unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			f.t.Fatalf("request %d of -requests-seed %d: %v", number, f.seed>>8, err)
		}
	})
	if new {
		f.grown = append(f.grown, uint32(number>>32))
	}
	f.made++
	got := f.answer(nr, o)
	f.answers[cmp.Or(unix.ErrnoName(got), "ok")]++
	switch {
	case want == unsure, want == got, want == anyError && got != 0 && got != unix.EBUSY,
		got == unix.EBUSY && flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && f.busy[nr]:
	default:
		f.t.Errorf("request %d of -requests-seed %d: %v, want %v: command %+v, flags %#x, %x", number, f.seed>>8, got, want, o, flags, body[:min(len(body), 200)])
	}
	if got == 0 && !o.dump && attrs != nil {
		f.model.apply(o, attrs, func() []client.Entry { return collect(f.t, f.c, client.DumpOptions{}) })
	}
	if len(f.model.entries) > fuzzEntries/2 && f.r.IntN(200) == 0 {
		flush(f.t, f.c)
		clear(f.model.entries)
	}
	if f.made%fuzzTable == 0 {
		f.compare()
	}
}

// answer returns the errno of the answer that waits. Netlink works within the
// system call, so all of it is there. A dump that has more pages stays open, or is
// read and compared.
func (f *fuzzer) answer(nr int, o operation) unix.Errno {
	s := f.sockets[nr]
	was := f.busy[nr]
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return unix.EAGAIN // nobody answers: no request has that as its right answer
		}
		if err != nil {
			f.t.Fatal(err)
		}
		ms := messages(f.t, slices.Clone(s.buf[:n]))
		for _, m := range ms {
			switch {
			case m.Seq != s.seq: // a page of the dump that is open, read on the way
				if m.Type == unix.NLMSG_DONE {
					f.busy[nr], was = false, false
				}
			case m.Type == unix.NLMSG_DONE:
				f.busy[nr] = false
				return verdictOf(f.t, m).errno
			case m.Type == unix.NLMSG_ERROR:
				return verdictOf(f.t, m).errno
			case m.Flags&unix.NLM_F_MULTI != 0:
				if was {
					f.t.Fatal("two dumps on a socket")
				}
				f.busy[nr] = ms[len(ms)-1].Type != unix.NLMSG_DONE
				return 0
			}
		}
	}
}

// drain reads an open dump to its end.
func (f *fuzzer) drain(nr int) {
	s := f.sockets[nr]
	for f.busy[nr] {
		ms, _ := s.read()
		f.busy[nr] = ms[len(ms)-1].Type != unix.NLMSG_DONE
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
	f.compareFiltered()
	s := state(f.t, f.c)
	if open := uint64(len(slices.DeleteFunc(slices.Clone(f.busy), func(b bool) bool { return !b }))); s.DumpsOpen > open {
		f.t.Fatalf("after %d requests of -requests-seed %d: %d dumps are open, want %d at most", f.made, f.seed>>8, s.DumpsOpen, open)
	}
}

// compareFiltered compares a dump with some filter.
func (f *fuzzer) compareFiltered() {
	filter := bytes.Join(validAttrs(f.r, policies[operation{cmdEntryGet, true}][attrFilter].nested), nil)
	m, ok := filterOf(filter)
	if !ok {
		return
	}
	var want, got []uint32
	for id, e := range f.model.entries {
		if m.wants(e) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	s := openRaw(f.t, client.FamilyName, 128<<10)
	defer s.close()
	s.send(cmdEntryGet, flagDump, nest(attrFilter, filter))
	pages, _ := s.readDump()
	for _, page := range pages {
		for _, r := range page {
			switch r.Type {
			case unix.NLMSG_DONE:
			case unix.NLMSG_ERROR:
				f.t.Fatalf("after %d requests of -requests-seed %d: with filter %+v, %+v", f.made, f.seed>>8, m, verdictOf(f.t, r))
			default:
				got = append(got, idOf(f.t, r))
			}
		}
	}
	if !slices.Equal(got, want) {
		f.t.Fatalf("after %d requests of -requests-seed %d: with filter %+v, ids %v, want %v", f.made, f.seed>>8, m, got, want)
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
	if (o.cmd == cmdTableFlush || o.cmd == cmdTableFill) && r.IntN(8) > 0 {
		o.cmd = cmdEntryNew
	}
	flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK
	if o.dump {
		flags = flagDump
	}
	attrs := validAttrs(r, policies[o])
	header := []byte{o.cmd, 1, 0, 0}
	if vary := uint32(number); vary != 0 {
		r := rand.New(rand.NewPCG(f.seed, uint64(vary)))
		for range 1 + r.IntN(2) {
			flags, header, attrs = twist(r, flags, header, attrs)
		}
	}
	return flags, append(header, bytes.Join(attrs, nil)...)
}

// validAttrs returns some of a policy's attributes, with values that it takes.
func validAttrs(r *rand.Rand, p policy) (attrs [][]byte) {
	for _, typ := range slices.Sorted(maps.Keys(p)) {
		if r.IntN(3) == 0 {
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
