// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// filtered returns the ids that remain after a filter.
func filtered(all []client.Entry, o client.DumpOptions) (ids []uint32) {
	for _, e := range all {
		if (o.IDFrom == nil || e.ID >= *o.IDFrom) && (o.IDTo == nil || e.ID <= *o.IDTo) &&
			strings.HasPrefix(e.Name, o.NamePrefix) && e.Flags&o.FlagsMask == o.Flags {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Filters, alone and together, with every cursor that has the order of ids.
// Rule 10.
func TestFilters(t *testing.T) {
	c := setup(t)
	r := rand.New(rand.NewPCG(5, 6))
	for id := range uint32(1000) {
		makeEntry(t, c, client.Entry{ID: id * 7, Name: fmt.Sprintf("%c%c%d", 'a'+rune(r.IntN(3)), 'a'+rune(r.IntN(3)), id), Flags: r.Uint32N(16)})
	}
	all := collect(t, c, client.DumpOptions{})
	some := 0
	for i := range 120 {
		o := client.DumpOptions{Cursor: []client.Cursor{client.CursorKey, client.CursorIndex}[i%2], Encoding: encodings[i%3]}
		if r.IntN(2) == 0 {
			o.IDFrom = ptr(r.Uint32N(5000))
		}
		if r.IntN(2) == 0 {
			o.IDTo = ptr(5000 + r.Uint32N(2500))
		}
		if r.IntN(2) == 0 {
			o.NamePrefix = []string{"a", "ab", "abc", "b1", "c", "ca12"}[r.IntN(6)]
		}
		if r.IntN(2) == 0 {
			o.FlagsMask = 1 + r.Uint32N(15)
			o.Flags = r.Uint32() & o.FlagsMask
		}
		got, want := mustDump(t, c, o), filtered(all, o)
		if fmt.Sprint(got.ids) != fmt.Sprint(want) {
			t.Errorf("%+v: %d records, want %d", o, len(got.ids), len(want))
		}
		if narrow := o.IDFrom != nil || o.IDTo != nil || o.NamePrefix != "" || o.FlagsMask != 0; got.stats.Filtered != narrow {
			t.Errorf("%+v: NLM_F_DUMP_FILTERED: %v", o, got.stats.Filtered)
		}
		if n := len(want); n > 0 && n < len(all) {
			some++
		}
	}
	if some < 40 {
		t.Errorf("only %d filters left some entries and not all", some)
	}
}

// Without a mask, all 32 bits count. The client always sends one.
func TestFilterOfFlagsWithoutMask(t *testing.T) {
	c := setup(t)
	for id, flags := range []uint32{0, 1, 3, 1 << 31, 1} {
		makeEntry(t, c, client.Entry{ID: uint32(id), Flags: flags})
	}
	for flags, want := range map[uint32][]uint32{0: {0}, 1: {1, 4}, 2: nil, 3: {2}, 1 << 31: {3}} {
		s := openRaw(t, client.FamilyName, 64<<10)
		s.send(cmdEntryGet, flagDump, nest(attrFilter, attrU32(attrFlagsValue, flags)))
		if got := (&parked{s: s}).ids(); !slices.Equal(got, want) {
			t.Errorf("flags %#x: ids %v, want %v", flags, got, want)
		}
		s.close()
	}
}

// A dump from an id starts there, and a dump up to an id ends there.
func TestFilterByIDDoesNotScan(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000})
	before := state(t, c).Scanned
	d := mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(7000)), IDTo: ptr(uint32(7099))})
	scanned := state(t, c).Scanned - before
	if len(d.ids) != 100 || scanned < 100 || scanned > 110 { // at each page, one entry is looked at again
		t.Errorf("%d records, %d entries looked at", len(d.ids), scanned)
	}
}

// A filter that matches nothing makes no page, so the kernel scans the whole
// table in one system call. The scan can be killed.
// Rule 16.
func TestFilteredScanCanBeKilled(t *testing.T) {
	c := setup(t)
	count := uint64(large())
	fill(t, c, client.FillOptions{Count: uint32(count)})
	eachCursor(t, func(t *testing.T, cursor client.Cursor) {
		whole := count
		if cursor == client.CursorIndex {
			// After each pause, that is every 4096 entries, it counts again
			// what it has passed.
			whole = count * count / (2 * 4096)
		}
		var scanned uint64
		for range 10 { // a scan may end before the signal comes
			before := state(t, c)
			scan := startScan(t, c, cursor, pin(t))
			if err := scan.Process.Signal(unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = scan.Wait()
			after := checkCounters(t, c)
			if scanned = after.Scanned - before.Scanned; scanned > 0 && scanned < whole {
				return
			}
		}
		t.Errorf("%d entries were looked at, the whole scan is %d", scanned, whole)
	})
}

// A filter matches nothing, or only the last entry, of more entries than one
// scan looks at. There is no empty page, which would look like the end.
// Rule 2.
func TestFilterThatLeavesLittle(t *testing.T) {
	const count = 9000
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	eachKind(t, func(t *testing.T, k kind) {
		if k.delta {
			t.Skip("a delta has a filter on ids only")
		}
		last := fmt.Sprintf("entry-%d-", count-1)
		for prefix, want := range map[string]int{"nothing": 0, "entry-0-": 1, last: 1} {
			before := state(t, c).Scanned
			s := openRaw(t, client.FamilyName, smallBuffer)
			defer s.close()
			s.send(cmdEntryGet, flagDump, k.attrs(0), nest(attrFilter, attrText(attrNamePrefix, prefix)))
			records := 0
			pages := s.rest(func(int) {})
			for _, p := range pages {
				records += len(p.ids)
			}
			if records != want || len(pages) > want+1 || want == 0 && !pages[0].first {
				t.Errorf("prefix %s: %d records on %d pages, want %d", prefix, records, len(pages), want)
			}
			if scanned := state(t, c).Scanned - before; scanned < count {
				t.Errorf("prefix %s: %d of %d entries were looked at", prefix, scanned, count)
			}
		}
	})
}

// A scan shares its processor: another thread on it makes progress meanwhile.
// Rule 16.
func TestFilteredScanYields(t *testing.T) {
	const share = 20 * time.Millisecond // some time slices
	c := setup(t)
	fill(t, c, client.FillOptions{Count: large()})
	cpu := pin(t)
	var other atomic.Int64 // the processor time of the other thread, in ns
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		runtime.LockOSThread() // the thread ends with the goroutine
		setAffinity(t, cpu)
		for {
			select {
			case <-stop:
				return
			default:
				var spent unix.Timespec
				_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spent)
				other.Store(spent.Nano())
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	// The slowest one: it counts from the first entry each time.
	scan := startScan(t, c, client.CursorIndex, cpu)
	before := other.Load()
	waitFor(t, "the other one goes on", func() bool { return other.Load() > before+share.Nanoseconds() })
	if s := state(t, c); s.DumpsOpen != 1 {
		t.Error("the other one went on when the scan was over")
	}
	_ = scan.Process.Kill()
	_ = scan.Wait()
	checkCounters(t, c)
}

// pin returns a processor that the test may use.
func pin(t testing.TB) (cpu int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for !set.IsSet(cpu) {
		cpu++
	}
	return cpu
}

// setAffinity binds the thread to a processor.
func setAffinity(t testing.TB, cpu int) {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Error(err)
	}
}

// startScan starts a process on a processor. Its dump, which has begun, has a filter
// that matches nothing.
func startScan(t testing.TB, c *client.Client, cursor client.Cursor, cpu int) *exec.Cmd {
	t.Helper()
	before := state(t, c).DumpsStarted
	cmd := exec.Command("bulkdump", "dump", "-o", "count", "--name-prefix", "nothing", "--cursor", cursor.String())
	startOn(t, cmd, cpu)
	waitFor(t, "a dump that has begun", func() bool { return state(t, c).DumpsStarted > before })
	return cmd
}

// A scan holds no lock that others need: another family answers, and so do other
// requests of this one.
// Rule 17.
func TestScanHoldsNoLockOfTheCore(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: large()})
	scan := startScan(t, c, client.CursorIndex, pin(t))
	g, err := genetlink.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.GetFamily("nlctrl"); err != nil {
		t.Error(err)
	}
	touch(t, c, 0)
	if d := mustDump(t, c, client.DumpOptions{IDTo: ptr(uint32(100))}); d.count != 101 {
		t.Errorf("%d records, want 101", d.count)
	}
	if s := state(t, c); s.DumpsOpen != 1 {
		t.Error("the scan was over before the others were answered")
	}
	_ = scan.Process.Kill()
	_ = scan.Wait()
	checkCounters(t, c)
}
