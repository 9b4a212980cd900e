// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// Faults makes allocations of this thread fail, one per system call
// (Documentation/fault-injection in the kernel's source: fail-nth).
type faults struct {
	t  testing.TB
	fd int
}

const debugfs, failSlab, failPages = "/sys/kernel/debug/", "failslab", "fail_page_alloc"

// needFaults skips the test if the kernel cannot inject faults. The kernel
// "debug" can.
func needFaults(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(debugfs + failSlab); err != nil {
		t.Skip("the kernel has no failslab")
	}
}

// setFault changes a setting of fault injection until the test ends.
func setFault(t testing.TB, file, value string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, value)
	t.Cleanup(func() { _ = os.WriteFile(file, old, 0) })
}

// injectFaults binds the test to its thread.
func injectFaults(t *testing.T) *faults {
	t.Helper()
	kinds, err := filepath.Glob(debugfs + "fail*/verbose")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		dir := filepath.Dir(kind)
		setFault(t, kind, "0") // a message in the log would fail the run
		if name := filepath.Base(dir); name != failSlab && name != failPages {
			// No other kind of fault may happen. These settings limit them to
			// callers at an address without code.
			setFault(t, dir+"/require-start", "1")
			setFault(t, dir+"/require-end", "1")
		}
	}
	// Include allocations that may sleep, and single pages, but not the memory
	// of processes.
	setFault(t, debugfs+failSlab+"/ignore-gfp-wait", "N")
	setFault(t, debugfs+failPages+"/ignore-gfp-wait", "N")
	setFault(t, debugfs+failPages+"/min-order", "0")
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	fd, err := unix.Open("/proc/thread-self/fail-nth", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return &faults{t, fd}
}

// injectByChance returns what runs a system call in which each of this thread's
// allocations fails with a probability in percent, so many times at most; -1 is no
// limit.
func injectByChance(t *testing.T, probability, times string) (failing func(call func())) {
	t.Helper()
	injectFaults(t) // restores all at the end
	// In this order, so that no other thread's allocation fails at any time.
	for _, f := range [][2]string{{"times", "0"}, {"task-filter", "Y"}, {"interval", "1"}, {"probability", probability}, {"times", times}} {
		setFault(t, debugfs+failSlab+"/"+f[0], f[1])
	}
	task, err := os.OpenFile("/proc/thread-self/make-it-fail", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = task.Close() })
	set := func(on string) {
		t.Helper()
		if _, err := task.WriteAt([]byte(on), 0); err != nil {
			t.Fatal(err)
		}
	}
	return func(call func()) {
		set("1")
		call()
		set("0")
	}
}

// in runs a system call in which the nth allocation fails, and reports whether
// there were that many.
func (f *faults) in(nth int, call func()) bool {
	f.t.Helper()
	if _, err := unix.Pwrite(f.fd, strconv.AppendInt(nil, int64(nth), 10), 0); err != nil {
		f.t.Fatal(err)
	}
	call()
	left := make([]byte, 20)
	n, err := unix.Pread(f.fd, left, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := unix.Pwrite(f.fd, []byte("0"), 0); err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(string(left[:n])) == "0"
}

// each runs fn with a fault at the first place, the second and so on, until
// there is no other. It returns the number of places.
func (f *faults) each(fn func(nth int) (reached bool)) (places int) {
	f.t.Helper()
	for nth := 1; fn(nth); nth++ {
		places = nth
		if nth > 5000 {
			f.t.Fatal("faults without end")
		}
	}
	return places
}

// eachUntil is each, and then tries again until the wanted outcome was seen.
func (f *faults) eachUntil(heard func() bool, fn func(nth int) (reached bool)) (places int) {
	f.t.Helper()
	places = f.each(fn)
	again(heard, places, func(place int) { fn(1 + place) })
	return places
}

// verdicts count how calls ended.
type verdicts map[string]int

func (v verdicts) add(err error) {
	what := "done"
	if err != nil {
		what = err.Error()
	}
	v[what]++
}

// report prints a line of the table of make faults.
func (v verdicts) report(t testing.TB, op string, places int) {
	t.Helper()
	var all []string
	for _, what := range slices.Sorted(maps.Keys(v)) {
		all = append(all, fmt.Sprintf("%d %s", v[what], what))
	}
	figures(t, "%-40s %4d places: %s", op, places, strings.Join(all, ", "))
}

// askFailing makes a request, with failures while it is sent, and returns its
// outcome.
func askFailing(t testing.TB, request []byte, failing func(send func())) (text string, err error) {
	t.Helper()
	s := openRaw(t, client.FamilyName, 64<<10)
	defer s.close()
	message := s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK, request)
	var sent error
	failing(func() {
		sent = unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	return s.outcome(sent)
}

// outcome returns how a request with a failure ended: with a message of the
// kernel, or with an error of the system call or of the socket.
func (s *rawSocket) outcome(sent error) (text string, err error) {
	s.t.Helper()
	if sent != nil {
		return "", sent
	}
	n, err := s.recv(0)
	if err != nil {
		return "", err
	}
	ms := messages(s.t, s.buf[:n])
	if m := ms[0]; m.Type == unix.NLMSG_ERROR {
		if v := verdictOf(s.t, m); v.errno != 0 {
			return v.text, v.errno
		}
	}
	return "", nil
}

// Each allocation of each change fails once. The request is refused or done
// completely, and the kernel says which.
func TestFaultsInChanges(t *testing.T) {
	needFaults(t)
	c := setup(t)
	ntf := listen(t) // so that there are events to allocate
	const many = 12  // in the fill, each is in an XArray node of its own
	for _, op := range []struct {
		name    string
		request []byte
		prepare func(t *testing.T)
		count   uint64 // of entries, if it was done
		// The object for which the kernel reports a lack of memory. For an
		// XArray one failure is not enough, because it tries again.
		lacked []string
	}{
		{"new", request(cmdEntryNew, attrU32(attrID, 1<<30), attrText(attrName, "n")), nil, 1,
			[]string{"the reply", "the entry"}},
		{"set", request(cmdEntrySet, attrU32(attrID, 5), attrText(attrName, "m")),
			func(*testing.T) { makeEntry(t, c, client.Entry{ID: 5}) }, 1, []string{"the reply", "the entry"}},
		{"del", request(cmdEntryDel, attrU32(attrID, 5)),
			func(*testing.T) { makeEntry(t, c, client.Entry{ID: 5}) }, 0, []string{"the reply"}},
		{"fill", request(cmdTableFill, attrU32(attrCount, many), attrU32(attrFillStart, 1000), attrU32(attrFillStride, 100)), nil, many,
			[]string{"the reply", "the entries"}},
		{"flush", request(cmdTableFlush),
			func(t *testing.T) { fill(t, c, client.FillOptions{Count: many}) }, 0, []string{"the reply"}},
	} {
		t.Run(op.name, func(t *testing.T) {
			f := injectFaults(t)
			outcomes := make(verdicts)
			lacked := make(map[string]bool)
			missed := 0
			sweep := func(nth int) bool {
				flush(t, c)
				if op.prepare != nil {
					op.prepare(t)
				}
				ntf.heard()
				before := state(t, c)
				reached := false
				text, err := askFailing(t, op.request, func(send func()) { reached = f.in(nth, send) })
				lacked[strings.TrimPrefix(text, "no memory for ")] = true
				after := state(t, c)
				outcomes.add(err)
				changed := after.Generation != before.Generation && after.Count == op.count
				same := after.Count == before.Count && after.Bytes == before.Bytes && (after.Generation == before.Generation || op.name == "fill")
				switch {
				case err == nil && !changed:
					t.Errorf("fault %d: no error, and from %+v to %+v", nth, before, after)
				case errors.Is(err, unix.ENOMEM) && !same:
					t.Errorf("fault %d: refused, but from %+v to %+v", nth, before, after)
				case errors.Is(err, unix.ENOBUFS) && !same && !changed: // the reply was lost
					t.Errorf("fault %d: half done: from %+v to %+v", nth, before, after)
				case err != nil && !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.ENOBUFS):
					t.Errorf("fault %d: %v", nth, err)
				}
				// A listener has the event, or learns that it missed one.
				switch heard := ntf.heard(); {
				case heard == 0 && changed:
					t.Errorf("fault %d: the change was done, and a listener has neither an event nor an error", nth)
				case heard > 0 && !changed:
					t.Errorf("fault %d: nothing was changed, and a listener has %d events", nth, heard)
				case heard < 0:
					missed++
				}
				// The remaining entries can be dumped and deleted.
				if n := len(collect(t, c, client.DumpOptions{})); uint64(n) != after.Count {
					t.Errorf("fault %d: %d records of %d entries", nth, n, after.Count)
				}
				return reached
			}
			unheard := func() []string {
				return slices.DeleteFunc(slices.Clone(op.lacked), func(what string) bool { return lacked[what] })
			}
			places := f.eachUntil(func() bool { return len(unheard()) == 0 && missed > 0 }, sweep)
			if places < 2 {
				t.Errorf("only %d allocations were failed", places)
			}
			outcomes.report(t, op.name, places)
			for _, what := range unheard() {
				t.Errorf("nothing said that there was no memory for %s: %v", what, lacked)
			}
			if missed == 0 {
				t.Error("no event was without memory")
			}
		})
	}
}

// again tries random places until the wanted outcome was seen. Now and then,
// the kernel also allocates for its own checks, which shifts the places. A
// sweep may skip one, and the next sweep might skip the same one.
func again(heard func() bool, places int, try func(place int)) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := 0; n < 20*places && !heard(); n++ {
		try(r.IntN(places))
	}
}

// heard reads everything that waits, and counts the datagrams; -1 if some were lost.
func (s *rawSocket) heard() (n int) {
	lost := false
	for {
		switch _, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT); err {
		case nil:
			n++
		case unix.ENOBUFS:
			lost = true
		case unix.EAGAIN:
			if lost {
				return -1
			}
			return n
		}
	}
}

// Each allocation of a dump fails once, in its start and on each of its pages.
// The dump is refused, or continues at the same place, and frees all its
// memory.
// Rule 7.
func TestFaultsInDump(t *testing.T) {
	needFaults(t)
	f := injectFaults(t)
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 2000, PayloadMax: 40})
	want := withoutStats(collect(t, c, client.DumpOptions{}))
	for _, cursor := range cursors {
		for _, encoding := range encodings {
			for call := range 3 { // sendmsg, and two reads
				name := fmt.Sprintf("%v, %v, call %d", cursor, encoding, call)
				outcomes := make(verdicts)
				places := f.each(func(nth int) bool {
					s := openRaw(t, client.FamilyName, 64<<10)
					defer s.close()
					clear(s.buf) // its memory is already mapped
					message := s.message(flagDump, request(cmdEntryGet, attrU32(attrCursor, uint32(cursor)), attrU32(attrEncoding, uint32(encoding))))
					calls, reached := 0, false
					do := func(fn func() error) (err error) {
						if calls == call {
							reached = f.in(nth, func() { err = fn() })
						} else {
							err = fn()
						}
						calls++
						return err
					}
					records, err := s.dumpWith(do, message)
					outcomes.add(err)
					if err != nil {
						if !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.ENOBUFS) {
							t.Errorf("%s, fault %d: %v", name, nth, err)
						}
					} else if byID(records); !reflect.DeepEqual(records, want) {
						t.Errorf("%s, fault %d: %d records without an error, want %d, or they differ", name, nth, len(records), len(want))
					}
					s.close()
					if after := checkCounters(t, c); after.DumpsMemory != 0 {
						t.Fatalf("%s, fault %d: %d bytes are left", name, nth, after.DumpsMemory)
					}
					return reached
				})
				outcomes.report(t, "dump: "+name, places)
				if least := []int{6, 1, 1}[call]; places < least {
					t.Errorf("%s: only %d allocations were failed", name, places)
				}
			}
		}
	}
}

func byID(records []client.Entry) {
	slices.SortFunc(records, func(a, b client.Entry) int { return cmp.Compare(a.ID, b.ID) })
}

// dumpWith runs each call of a dump through do. If a read finds no memory for
// the next page, it returns an error, and the dump may go on.
func (s *rawSocket) dumpWith(do func(func() error) error, message []byte) (records []client.Entry, err error) {
	s.t.Helper()
	err = do(func() error {
		return unix.Sendto(s.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	lost := 0
	for err == nil {
		n := 0
		err = do(func() (err error) {
			n, err = s.recv(0)
			return err
		})
		if err == unix.ENOBUFS && lost == 0 {
			lost++
			err = nil
			continue
		}
		if err != nil {
			break
		}
		for _, m := range messages(s.t, slices.Clone(s.buf[:n])) {
			switch m.Type {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if v := verdictOf(s.t, m); v.errno != 0 {
					return records, v.errno
				}
				return records, nil
			default:
				records = append(records, recordsOf(s.t, m)...)
			}
		}
	}
	return records, err
}
