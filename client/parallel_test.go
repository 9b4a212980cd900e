// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// largeModel claims to have pages of 4 KiB, so its ids are split into several
// ranges.
func largeModel(ids ...uint32) (*model, ParallelOptions) {
	m := newModel()
	m.bytes = 1 << 20
	m.set(ids...)
	return m, ParallelOptions{Dump: DumpOptions{BufferSize: nldump.MinBufferSize}}
}

// parallelIDs reads a parallel dump to its end.
func parallelIDs(ctx context.Context, c *Client, sockets int, o ParallelOptions) (got []uint32, err error) {
	for r, err2 := range c.DumpParallel(ctx, sockets, o) {
		switch {
		case err != nil:
			return got, errors.New("the loop went on after an error")
		case err2 != nil:
			err = err2
		default:
			got = append(got, r.ID)
		}
	}
	return got, err
}

// randomIDs returns ids in rising order. They include the smallest and the
// largest possible id, and many are close together.
func randomIDs(n int) []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	ids := []uint32{0, 1, math.MaxUint32 - 1, math.MaxUint32}
	for range n {
		ids = append(ids, r.Uint32(), 1<<30+r.Uint32N(1<<12))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestDumpParallel(t *testing.T) {
	for _, ids := range [][]uint32{nil, {0}, {math.MaxUint32}, {5, 6, 7}, randomIDs(500)} {
		for _, sockets := range []int{1, 2, 5, 16} {
			for _, unordered := range []bool{false, true} {
				m, o := largeModel(ids...)
				var stats nldump.Stats
				o.Unordered, o.Dump.Stats = unordered, &stats
				got, err := parallelIDs(t.Context(), m.client(t), sockets, o)
				if unordered {
					slices.Sort(got)
				}
				if err != nil || !slices.Equal(got, ids) {
					t.Errorf("%d ids, %d sockets, unordered %v: %v, got %d ids %v", len(ids), sockets, unordered, err, len(got), got)
				}
				if stats.Records != uint64(len(ids)) || stats.Filtered || stats.Interrupted || len(m.sockets) > sockets {
					t.Errorf("%d ids, %d sockets of %d: %+v", len(ids), len(m.sockets), sockets, stats)
				}
				for _, s := range m.sockets {
					if !s.Closed() {
						t.Error("a socket is open")
					}
				}
			}
		}
	}
}

// Each socket dumps one range, with the given options.
func TestDumpParallelRange(t *testing.T) {
	m, o := largeModel(randomIDs(300)...)
	c := m.client(t)
	o.Dump.IDFrom, o.Dump.IDTo, o.Dump.NamePrefix = ptr(uint32(1)), ptr(uint32(math.MaxUint32-1)), "x"
	var stats nldump.Stats
	o.Dump.Stats = &stats
	all := randomIDs(300)
	got, err := parallelIDs(t.Context(), c, 3, o)
	if err != nil || !slices.Equal(got, all[1:len(all)-1]) || !stats.Filtered {
		t.Errorf("%v, %d ids of %d, %+v", err, len(got), len(all)-2, stats)
	}
	name := script.Text(uapi.AttrFilterNamePrefix, "x")
	for _, s := range m.sockets {
		for _, r := range s.Sent() {
			if b := r.Data[len(r.Data)-len(name):]; !slices.Equal(b, name) {
				t.Fatalf("a request ends with % x, want % x", b, name)
			}
		}
	}
	o.Dump.IDFrom, o.Dump.IDTo = ptr(uint32(2)), ptr(uint32(1))
	if got, err := parallelIDs(t.Context(), c, 3, o); len(got) > 0 || err != nil { // the kernel would refuse it
		t.Errorf("%v, %v", got, err)
	}
}

// The table changes during the dump of a range, only between two dumps, or
// before and after all of them.
func TestDumpParallelInterrupted(t *testing.T) {
	ids := randomIDs(100)
	for _, tt := range []struct {
		name string
		look int // the look at which the table changes
		err  error
	}{
		{"before", 1, nil},
		{"between table-get and the first start", 2, ErrInterrupted},
		{"within", 10, ErrInterrupted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, o := largeModel(ids...)
			c := m.client(t)
			looks := 0
			m.busy = func() {
				if looks++; looks == tt.look {
					m.set(7)
				}
			}
			got, err := parallelIDs(t.Context(), c, 2, o)
			got = slices.DeleteFunc(got, func(id uint32) bool { return id == 7 })
			if !errors.Is(err, tt.err) || !slices.Equal(got, ids) {
				t.Errorf("got %v, %d ids of %d, want %v", err, len(got), len(ids), tt.err)
			}
		})
	}
	// One of the two signs is enough.
	for _, tt := range []struct {
		after uint64
		end   []byte
	}{{6, done()}, {5, script.Done(unix.NLM_F_DUMP_INTR, 0)}} {
		c, _ := dialTables(t, []uint64{5, tt.after}, []script.Step{script.Page(entry(0, 1), tt.end)})
		if got, err := parallelIDs(t.Context(), c, 1, ParallelOptions{}); !errors.Is(err, ErrInterrupted) || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// An entry that is there throughout comes once, no matter how the others
// change.
func TestDumpParallelExactlyOnce(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		ids := randomIDs(100)
		m, o := largeModel(ids...)
		o.Unordered = seed%2 == 1
		c := m.client(t)
		m.busy = func() { // other entries are created, deleted and changed; one of ids is changed
			id := ids[r.IntN(len(ids))]
			if r.IntN(2) == 0 {
				id = r.Uint32() &^ 1
			}
			if _, there := m.entries[id]; there && !slices.Contains(ids, id) {
				m.del(id)
			} else {
				m.set(id)
			}
		}
		count := make(map[uint32]int)
		got, err := parallelIDs(t.Context(), c, 3, o)
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		for _, id := range got {
			count[id]++
		}
		for _, id := range ids {
			if count[id] != 1 {
				t.Errorf("id %d came %d times", id, count[id])
			}
		}
		if !o.Unordered && !slices.IsSorted(got) {
			t.Error("not in order")
		}
	}
}

// If one worker fails, the others, which wait, end, and the error reaches the
// loop.
func TestDumpParallelFails(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		m, o := largeModel(randomIDs(100)...)
		o.Unordered = unordered
		pages := 0
		m.recv = func(s *script.Step) {
			switch pages++; {
			case pages == 5:
				*s = script.Page(script.Done(0, unix.EMSGSIZE))
			case pages > 5:
				s.Wait = true
			}
		}
		_, err := parallelIDs(t.Context(), m.client(t), 3, o)
		if !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("unordered %v: %v, want EMSGSIZE", unordered, err)
		}
	}
	// There is no socket, or a record is malformed.
	c, _ := dialTables(t, []uint64{5})
	if _, err := parallelIDs(t.Context(), c, 2, ParallelOptions{}); !errors.Is(err, unix.EMFILE) {
		t.Errorf("without a socket: %v", err)
	}
	c, k := dialTables(t, []uint64{5}, []script.Step{script.Page(entry(0, 1), script.Record(0, []byte{uapi.CmdEntryNew, 1, 0, 0})), script.Page(done())})
	if got, err := parallelIDs(t.Context(), c, 1, ParallelOptions{}); !errors.Is(err, ErrBadReply) || len(got) != 1 || !k.sockets[0].Closed() {
		t.Errorf("another command: %v, %v", got, err)
	}
	for _, tables := range [][]uint64{nil, {5}} {
		c, _ = dialTables(t, tables, []script.Step{script.Page(entry(0, 1), done())})
		if got, err := parallelIDs(t.Context(), c, 1, ParallelOptions{}); err == nil || errors.Is(err, ErrInterrupted) || len(got) != len(tables) {
			t.Errorf("table-get fails: %v, %v", got, err)
		}
	}
}

func TestDumpParallelRefuses(t *testing.T) {
	c, _ := dialTables(t, nil)
	for sockets, o := range map[int]ParallelOptions{
		0: {}, -1: {},
		1: {Dump: DumpOptions{Since: ptr(uint64(1))}},
		2: {Dump: DumpOptions{Cursor: CursorIndex}},
	} {
		if _, err := parallelIDs(t.Context(), c, sockets, o); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d sockets, %+v: %v", sockets, o, err)
		}
	}
	c, _ = dialTables(t, []uint64{1}, nil)
	if _, err := parallelIDs(t.Context(), c, 1, ParallelOptions{Dump: DumpOptions{NamePrefix: "a\x00b"}}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a name that is none: %v", err)
	}
}

// If the loop is left, by break or by panic, all workers end, no matter where
// they wait.
func TestDumpParallelBreak(t *testing.T) {
	for _, unordered := range []bool{false, true} {
		m, o := largeModel(randomIDs(500)...)
		o.Unordered = unordered
		var stats nldump.Stats
		o.Dump.Stats = &stats
		c := m.client(t)
		n := 0
		for _, err := range c.DumpParallel(t.Context(), 4, o) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 50 {
				break
			}
		}
		func() {
			defer func() { _ = recover() }()
			for range c.DumpParallel(t.Context(), 4, o) {
				panic("in the loop")
			}
		}()
		for _, s := range m.sockets {
			if !s.Closed() {
				t.Error("a socket is open")
			}
		}
		if len(c.open) > 0 || stats.Records != 50 {
			t.Errorf("%d dumps run, %+v", len(c.open), stats)
		}
	}
}

// A cancelled context ends the dump, whether workers wait for the kernel or are
// ahead of the loop.
func TestDumpParallelCancel(t *testing.T) {
	for _, waits := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		m, o := largeModel(randomIDs(100)...)
		pages := 0
		m.recv = func(s *script.Step) {
			if pages++; waits && pages > 3 {
				s.Wait = true
				cancel()
			}
		}
		var last error
		for _, err := range m.client(t).DumpParallel(ctx, 3, o) {
			if last = err; !waits {
				cancel()
			}
		}
		cancel()
		if !errors.Is(last, context.Canceled) {
			t.Errorf("waits %v: %v, want %v", waits, last, context.Canceled)
		}
	}
}

// After the cancel, no page comes, even if many are ahead of the loop.
func TestDumpParallelCancelIsPrompt(t *testing.T) {
	for range 10 { // several tries, because a wrong select would pass each one at random
		m, o := largeModel(randomIDs(100)...)
		m.pageRecords = 1
		n := 0
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, err := range m.client(t).DumpParallel(ctx, 2, o) {
				if err == nil {
					n++
				}
				synctest.Wait() // until no worker can continue
				cancel()
			}
		})
		if n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	}
}

// Each socket is only a few pages ahead of the loop.
func TestDumpParallelIsBounded(t *testing.T) {
	m, o := largeModel(randomIDs(2000)...)
	m.pageRecords = 1
	const sockets = 3
	read := 0
	m.recv = func(*script.Step) { read++ }
	synctest.Test(t, func(t *testing.T) {
		for range m.client(t).DumpParallel(t.Context(), sockets, o) {
			synctest.Wait() // until no worker can continue
			break
		}
	})
	if most := sockets * (aheadPages + 1); read > most || read < sockets {
		t.Errorf("%d pages were read for the first record, want at most %d", read, most)
	}
}

// TestDumpParallelNoAlloc compares dumps of the same number of pages.
func TestDumpParallelNoAlloc(t *testing.T) {
	dump := func(records int) float64 {
		steps := bigDump(50, records)
		c, _ := dialTables(t, slices.Repeat([]uint64{1}, 60), slices.Repeat([][]script.Step{steps}, 30)...)
		return testing.AllocsPerRun(10, func() {
			n := 0
			for _, err := range c.DumpParallel(t.Context(), 1, ParallelOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != 50*records {
				t.Fatalf("%d records", n)
			}
		})
	}
	few, many := dump(1), dump(100)
	if perRecord := (many - few) / (99 * 50); perRecord > 0.005 {
		t.Errorf("%v allocations for 50 records, %v for 5000", few, many)
	}
}

func TestCutTable(t *testing.T) {
	table := func(bytes uint64, ids ...uint32) Table {
		var t Table
		if len(ids) > 0 {
			t = Table{Bytes: bytes, IDMin: &ids[0], IDMax: &ids[1]}
		}
		return t
	}
	const mib = 1 << 20
	for _, tt := range []struct {
		name    string
		o       DumpOptions
		t       Table
		sockets int
		want    int
	}{
		{"empty", DumpOptions{}, table(0), 4, 1},
		{"one id", DumpOptions{}, table(mib, 7, 7), 4, 1},
		{"less than a page", DumpOptions{}, table(1000, 1, 1000), 4, 1},
		{"some pages", DumpOptions{}, table(mib, 0, 1<<20), 4, 16},
		{"few pages for many sockets", DumpOptions{}, table(mib, 0, 1<<20), 100, 32},
		{"many pages", DumpOptions{}, table(100*mib, 0, 1<<20), 4, 400},
		{"small pages", DumpOptions{BufferSize: 4096}, table(100*mib, 0, 1<<20), 4, 3200},
		{"all that may be", DumpOptions{BufferSize: 4096}, table(1<<40, 0, math.MaxUint32), 4, maxRanges},
		{"half of it", DumpOptions{IDFrom: ptr(uint32(1 << 19))}, table(100*mib, 0, 1<<20-1), 4, 200},
		{"a part beside it", DumpOptions{IDFrom: ptr(uint32(1 << 20))}, table(100*mib, 0, 1<<20-1), 4, 1},
		{"a part before it", DumpOptions{IDTo: ptr(uint32(9))}, table(100*mib, 10, 20), 4, 1},
		{"nothing", DumpOptions{IDFrom: ptr(uint32(9)), IDTo: ptr(uint32(8))}, table(100*mib, 0, 20), 4, 1},
	} {
		got := cutTable(&tt.o, tt.t, tt.sockets)
		if len(got) != tt.want {
			t.Errorf("%s: %d ranges, want %d", tt.name, len(got), tt.want)
		}
		from, to := uint32(0), uint32(math.MaxUint32)
		if tt.o.IDFrom != nil {
			from = *tt.o.IDFrom
		}
		if tt.o.IDTo != nil {
			to = *tt.o.IDTo
		}
		if got[0].from != from || got[len(got)-1].to != to {
			t.Errorf("%s: from %d to %d", tt.name, got[0].from, got[len(got)-1].to)
		}
		for i, r := range got[1:] {
			if r.from != got[i].to+1 || r.from > r.to {
				t.Errorf("%s: %v after %v", tt.name, r, got[i])
			}
		}
	}
}
