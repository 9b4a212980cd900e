// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"cmp"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

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
	fuzzSlots   = 400 // log_slots
	fuzzSockets = 3
	fuzzTable   = 500 // after that many requests, the table is compared with the model
	fuzzReport  = 20_000
	fuzzJudged  = 6000 // the tables are empty at first; after that many, enough must be accepted
)

// Requests that are valid, nearly valid and hostile, each with the answer that
// bulkdump.yaml asks for; after them, the table is what the accepted ones make of
// it. Each reply and each record is compared. Each worker has a namespace, so its
// table is its own. Some dumps are left open meanwhile, and must have what did not
// change. On a kernel with KCOV, what reaches new code is varied further (make
// fuzz-requests).
func TestFuzzRequests(t *testing.T) {
	reload(t, fmt.Sprintf("max_entries=%d max_tombstones=%d log_slots=%d", fuzzEntries, fuzzBuried, fuzzSlots))
	workers := uint64(min(2, runtime.NumCPU()))
	var all sync.WaitGroup
	var sums [2]fuzzer
	for nr := range workers {
		all.Go(func() {
			// The thread ends with its namespace, and with its rights.
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Error(err)
				return
			}
			f := newFuzzer(t, *fuzzSeed, nr)
			for !t.Failed() && uint64(f.made)*workers < *fuzzRequests {
				before := f.made
				f.step()
				if before/fuzzReport < f.made/fuzzReport {
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
	if t.Failed() || requests < fuzzJudged {
		return
	}
	if answers["ok"] < requests/4 {
		t.Errorf("%d of %d requests were accepted", answers["ok"], requests)
	}
	if dumps < requests/50 || records < 10*dumps {
		t.Errorf("%d requests made %d dumps with %d records", requests, dumps, records)
	}
}

// A fuzzer makes requests of one namespace and knows its table.
type fuzzer struct {
	t        *testing.T
	seed     uint64 // that of all workers
	worker   uint64
	c        *client.Client
	sockets  []*rawSocket
	dumps    []*dumpModel // of each socket, if one is open
	model    tableModel
	cover    *kcov
	seen     map[uint64]bool
	grown    []uint32 // bases that reached new code
	made     int
	recvs    int // since the last datagram was sent
	compared int // dumps that came to their end
	records  int // of those
	answers  map[string]int
	r        *rand.Rand
}

func newFuzzer(t *testing.T, seed, worker uint64) *fuzzer {
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{
		t: t, seed: seed, worker: worker, c: c, dumps: make([]*dumpModel, fuzzSockets), cover: openKCOV(t), seen: make(map[uint64]bool),
		model: tableModel{
			entries: make(map[uint32]client.Entry), most: fuzzEntries,
			tombstones: make(map[uint64]uint32), mostTombstones: fuzzBuried, slots: fuzzSlots,
		},
		answers: make(map[string]int), r: rand.New(rand.NewPCG(seed, worker)),
	}
	s := state(t, c)
	f.model.generation, f.model.floor = s.Generation, s.LogFloor
	for range fuzzSockets {
		s := openRaw(t, client.FamilyName, 256<<10)
		// A datagram may have several large requests, and their errors repeat them.
		for _, option := range []int{unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE} {
			if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, option, 4<<20); err != nil {
				t.Fatal(err)
			}
		}
		f.sockets = append(f.sockets, s)
	}
	// What a socket asks of errors, and that it asks for no strict checks, changes no
	// answer: generic netlink always checks strictly.
	for nr, options := range [][]int{1: {unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK}, 2: {unix.NETLINK_GET_STRICT_CHK}} {
		for _, option := range options {
			if err := unix.SetsockoptInt(f.sockets[nr].fd, unix.SOL_NETLINK, option, 0); err != nil {
				t.Fatal(err)
			}
		}
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

// A fuzzed request is one of a datagram.
type fuzzedRequest struct {
	number uint64 // it and the table say all: the upper half is a base, the lower half how that is varied, or 0
	flags  uint16
	body   []byte
	seq    uint32
}

func (q fuzzedRequest) fills() bool { return len(q.body) > 0 && q.body[0] == cmdTableFill }

// next makes a request.
func (f *fuzzer) next() fuzzedRequest {
	q := fuzzedRequest{number: uint64(f.r.Uint32()) << 32}
	if len(f.grown) > 0 && f.r.IntN(2) == 0 {
		q.number = uint64(f.grown[f.r.IntN(len(f.grown))]) << 32
	}
	if f.r.IntN(3) == 0 {
		q.number |= uint64(f.r.Uint32())
	}
	q.flags, q.body = f.request(q.number)
	return q
}

// step makes the requests of a datagram: one, or several that the kernel takes one
// after the other. Some changes want no acknowledgement. Then another request comes
// behind them, so that the end of their answer is known.
func (f *fuzzer) step() {
	nr := f.r.IntN(fuzzSockets)
	s := f.sockets[nr]
	if f.dumps[nr] != nil && f.r.IntN(2) == 0 {
		f.drain(nr)
	}
	requests := []fuzzedRequest{f.next()}
	// What a fill made is read from the table, so no change may come behind it.
	for f.r.IntN(4) == 0 && !requests[len(requests)-1].fills() {
		requests = append(requests, f.next())
	}
	for i := range requests {
		if q := &requests[i]; f.r.IntN(8) == 0 && q.flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP {
			q.flags &^= unix.NLM_F_ACK
		}
	}
	if requests[len(requests)-1].flags&unix.NLM_F_ACK == 0 {
		requests = append(requests, fuzzedRequest{flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK, body: request(cmdTableGet)})
	}
	var datagram []byte
	for i := range requests {
		q := &requests[i]
		datagram = append(datagram, make([]byte, -len(datagram)&3)...)
		datagram = append(datagram, s.message(q.flags, q.body)...)
		q.seq = s.seq
	}
	f.recvs = 0
	may := f.r.IntN(16) > 0
	new := f.cover.during(f.seen, func() {
		if !may {
			withRight(f.t, false)
			defer withRight(f.t, true)
		}
		if err := unix.Sendto(s.fd, datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			f.t.Fatalf("%d requests: %v", len(requests), err)
		}
	})
	if new {
		f.grown = append(f.grown, uint32(requests[0].number>>32))
	}
	before := f.made
	for _, q := range requests {
		f.judge(nr, q, may)
		f.made++
	}
	if before/fuzzTable < f.made/fuzzTable {
		f.compare()
	}
}

// judge reads the answer to a request, and compares it with the model's. The sender
// may or may not change the table.
func (f *fuzzer) judge(nr int, q fuzzedRequest, may bool) {
	want, o, attrs := f.model.judge(q.flags, q.body)
	if !may && attrs != nil && needsRight(o, attrs) {
		if want == accepted {
			want = unix.EPERM
		} else {
			want = anyError
		}
		attrs = nil
	}
	what := func() string {
		return fmt.Sprintf("request %d of -requests-seed %d: command %+v, flags %#x, %x", q.number, f.seed, o, q.flags, q.body[:min(len(q.body), 200)])
	}
	var next *dumpModel
	if o.dump && want == accepted {
		next = f.model.dump(attrs)
		next.seq = q.seq
	}
	busy := f.dumps[nr] != nil
	got, replies, err := f.answer(nr, q, next)
	if err != nil {
		f.t.Fatalf("%s: %v", what(), err)
	}
	f.answers[cmp.Or(unix.ErrnoName(got), "ok")]++
	switch {
	case want == got, want == anyError && got != 0 && got != unix.EBUSY,
		got == unix.EBUSY && q.flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP && busy:
	default:
		f.t.Fatalf("%s: %v, want %v", what(), got, want)
	}
	if !o.dump && attrs != nil {
		if err := f.follow(got, o, attrs, q.flags&unix.NLM_F_ECHO != 0, replies); err != nil {
			f.t.Fatalf("%s: %v", what(), err)
		}
	}
}

// needsRight reports whether a request needs CAP_NET_ADMIN.
func needsRight(o operation, attrs map[uint16][]byte) bool {
	cursor, ok := attrs[attrCursor]
	return o.dump && ok && client.Cursor(number(cursor)) != client.CursorKey || !o.dump && o.cmd != cmdEntryGet && o.cmd != cmdTableGet
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
		e := recordsOf(f.t, reply)[0]
		value, byID := attrs[attrID]
		if byID && e.ID != uint32(number(value)) || !byID && e.Name != cString(attrs[attrName]) || !reflect.DeepEqual(e, m.entries[e.ID]) {
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

// answer returns the errno of the answer to a request, and the replies before it.
// Netlink works within the system call, so all of it is there. A dump that has more
// pages stays open. Pages of an older one may come first. A request without an
// acknowledgement was accepted if the answer to the next one follows its replies.
func (f *fuzzer) answer(nr int, q fuzzedRequest, next *dumpModel) (errno unix.Errno, replies []nldump.Message, err error) {
	s := f.sockets[nr]
	for {
		if q.flags&unix.NLM_F_ACK == 0 && next == nil {
			n, err := f.recv(nr, unix.MSG_PEEK) // which makes a page of a dump, too
			if err == nil && f.isLater(nr, q, binary.NativeEndian.Uint32(s.buf[8:min(n, 12)])) {
				return 0, replies, nil
			}
		}
		n, err := f.recv(nr, 0)
		if err != nil {
			return 0, nil, fmt.Errorf("no answer: %w", err)
		}
		ms := messages(f.t, slices.Clone(s.buf[:n]))
		if d := f.dumps[nr]; d != nil && ms[0].Seq == d.seq {
			if err := f.take(nr, ms); err != nil {
				return 0, nil, err
			}
			continue
		}
		m := ms[len(ms)-1]
		switch {
		case ms[0].Seq != q.seq:
			return 0, nil, fmt.Errorf("a message with sequence number %d, want %d", ms[0].Seq, q.seq)
		case m.Type == unix.NLMSG_ERROR, m.Type == unix.NLMSG_DONE && next == nil:
			return verdictOf(f.t, m).errno, replies, nil
		case next == nil:
			replies = append(replies, ms...)
		default:
			f.dumps[nr] = next
			next.made += f.recvs
			return 0, nil, f.take(nr, ms)
		}
	}
}

// recv reads a datagram that waits. If a dump is open, the kernel makes a page of it.
func (f *fuzzer) recv(nr, flags int) (n int, err error) {
	f.recvs++
	if d := f.dumps[nr]; d != nil {
		d.made++
	}
	n, _, err = unix.Recvfrom(f.sockets[nr].fd, f.sockets[nr].buf, unix.MSG_DONTWAIT|flags)
	return n, err
}

// isLater reports whether a message is about a later request of the same datagram.
func (f *fuzzer) isLater(nr int, q fuzzedRequest, seq uint32) bool {
	return seq > q.seq && (f.dumps[nr] == nil || seq != f.dumps[nr].seq)
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
			f.t.Fatalf("after %d requests of -requests-seed %d: an open dump: %v", f.made, f.seed, err)
		}
	}
}

// compare compares the whole table with the model.
func (f *fuzzer) compare() {
	d := f.model.dump(nil)
	d.got = withoutStats(collect(f.t, f.c, client.DumpOptions{}))
	if err := d.judge(0); err != nil {
		f.t.Fatalf("after %d requests of -requests-seed %d: %v", f.made, f.seed, err)
	}
	s := state(f.t, f.c)
	if open := uint64(len(slices.DeleteFunc(slices.Clone(f.dumps), func(d *dumpModel) bool { return d == nil }))); s.DumpsOpen > open {
		f.t.Fatalf("after %d requests of -requests-seed %d: %d dumps are open, want %d at most", f.made, f.seed, s.DumpsOpen, open)
	}
}
