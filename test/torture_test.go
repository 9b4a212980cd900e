// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
)

var (
	tortureFor    = flag.Duration("torture", 2*time.Second, "how long the torture goes on; at least two rounds")
	tortureRound  = flag.Duration("torture-round", 10*time.Second, "how long one of its rounds is at most")
	tortureSeed   = flag.Uint64("torture-seed", 1, "that of the first round")
	tortureDelays = flag.Int("torture-delays", 0, "at how many functions calls are delayed, by test/delay")
)

// Everything at once: writers, dumps with each cursor and encoding, readers that
// leave or are killed, lookups, listeners, a mirror, flushes, namespaces that end,
// attempts to unload the module. Each round has another guard, and delays at other
// functions of the module. Two of four rounds have a short change log and crowded
// buckets. At a round's end, every untouched entry came exactly once in each dump,
// no record had parts of two states, each dump that was started has ended, and the
// module unloads.
func TestTorture(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	t.Cleanup(func() { load(t, "bulkdump", "") })
	total := make(map[string]uint64)
	start := time.Now()
	for seed := *tortureSeed; seed < *tortureSeed+2 || time.Since(start) < *tortureFor; seed++ {
		counts := tortureOnce(t, seed, min(*tortureFor, *tortureRound))
		mustUnload(t, "bulkdump")
		figures(t, "seed %d, %d processors: %s", seed, runtime.NumCPU(), countsLine(counts))
		for name, n := range counts {
			total[name] += n
		}
		if t.Failed() {
			break
		}
	}
	figures(t, "in all, %v: %s", time.Since(start).Round(time.Second), countsLine(total))
}

func countsLine(counts map[string]uint64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%d %s, ", counts[name], name)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// tortureEntries is how many entries are never touched, and how many are changed.
const tortureEntries = 1000

// tortureOnce is one round. It returns how often each thing was done.
func tortureOnce(t *testing.T, seed uint64, long time.Duration) map[string]uint64 {
	r := rand.New(rand.NewPCG(seed, 0))
	grab := seed%2 == 1
	params := []string{"guard=rcu", "guard=grab"}[seed%2] + []string{"", " max_tombstones=50 hash_bits=4"}[seed/2%2]
	load(t, "bulkdump", params)
	points := delayAt(t, r, *tortureDelays)
	t.Logf("seed %d: %s, delays at %v", seed, params, points)

	c := dial(t)
	defer c.Close()
	fillForChurn(t, c, tortureEntries)
	m, err := mirror.Open(t.Context(), c, mirror.Options{ReceiveBuffer: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var tallies []*tally
	actors := torturers(t, c, grab)
	var alone sync.Mutex // with grab: four dumps at a time would leave no moment to a writer
	flushed := newFlushed(t)
	actors["flushes"] = flushed.act
	for _, cursor := range cursors {
		y := newTally(tortureEntries)
		tallies = append(tallies, y)
		n := 0
		actors["dumps by "+cursor.String()] = func(*rand.Rand) error {
			n++
			if grab {
				alone.Lock()
				defer alone.Unlock()
			}
			return y.dump(ctx, c, client.DumpOptions{Cursor: cursor, Encoding: encodings[n%len(encodings)]})
		}
	}
	done := make(map[string]*atomic.Uint64)
	var gaveUp atomic.Uint64
	for name, act := range actors {
		n := new(atomic.Uint64)
		done[name] = n
		own := rand.New(rand.NewPCG(seed, r.Uint64()))
		all.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				switch err := act(own); {
				case errors.Is(err, errGaveUp):
					gaveUp.Add(1)
				case err != nil && ctx.Err() == nil:
					t.Errorf("seed %d: %s: %v", seed, name, err)
				}
				n.Add(1)
			}
		})
	}
	stop := churn(t, 2, tortureEntries)
	undone := func(n *atomic.Uint64) bool { return n.Load() == 0 }
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !t.Failed() && (time.Since(start) < long || slices.ContainsFunc(slices.Collect(maps.Values(done)), undone)) {
		<-tick.C
	}
	changes := stop()
	cancel()
	// The reader of the events may have read all, and wait for another.
	if _, err := c.New(t.Context(), client.Entry{ID: fillBase - 1, Name: "last"}); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if t.Failed() {
		return nil
	}

	if err := m.Wait(t.Context(), state(t, c).Generation); err != nil {
		t.Fatal(err)
	}
	want := withoutStats(collect(t, c, client.DumpOptions{}))
	if got := withoutStats(slices.Collect(m.All())); !reflect.DeepEqual(got, want) {
		t.Errorf("seed %d: the mirror has %d entries, the table %d, or they differ: %+v", seed, len(got), len(want), m.Stats())
	}
	snapshot, err := c.Snapshot(t.Context(), client.SyncOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := withoutStats(snapshot.Entries()); !reflect.DeepEqual(got, want) {
		t.Errorf("seed %d: the snapshot has %d entries, the table %d, or they differ", seed, len(got), len(want))
	}
	_ = m.Close()
	flushed.close()
	wantInterruptions(t, tallies)
	for i, y := range tallies {
		if exact := cursors[i] == client.CursorKey || cursors[i] == client.CursorWalker; exact &&
			y.missed+y.repeated+y.changedMissed+y.changedRepeated > 0 {
			t.Errorf("seed %d: entries that were there throughout:\n%s", seed, tallyTable(tallies))
		}
	}
	checkCounters(t, c)
	flush(t, c)
	if s := state(t, c); s.Count != 0 || s.Bytes != 0 || s.DumpsMemory != 0 {
		t.Errorf("seed %d: after a flush: %+v", seed, s)
	}
	counts := map[string]uint64{"changes": changes, "given up": gaveUp.Load()}
	for name, n := range done {
		counts[name] = n.Load()
	}
	if len(points) > 0 {
		if counts["delays"] = delays(t); counts["delays"] == 0 {
			t.Errorf("seed %d: nothing was delayed at %v", seed, points)
		}
		mustUnload(t, "bulkdump_delay")
	}
	return counts
}

// withoutStats forgets what a lookup changes, which no event tells.
func withoutStats(entries []client.Entry) []client.Entry {
	for i := range entries {
		entries[i].Stats = client.Stats{}
	}
	return entries
}

// errGaveUp says that too many changes came between, or none came. It is no failure.
var errGaveUp = errors.New("gave up")

// torturers are those that do not count records, by what they do. With grab, readers
// may keep all writers out.
func torturers(t *testing.T, c *client.Client, grab bool) map[string]func(*rand.Rand) error {
	untouched, err := c.Get(t.Context(), idUntouched)
	if err != nil {
		t.Fatal(err)
	}
	events := eventsInOrder{t: t, s: listen(t)}
	return map[string]func(*rand.Rand) error{
		"dumps left": func(r *rand.Rand) error {
			s := openRaw(t, client.FamilyName, 8<<10)
			defer s.close()
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursors[r.IntN(len(cursors))])),
				attrU32(attrEncoding, uint32(encodings[r.IntN(len(encodings))])))
			for range r.IntN(4) { // pages of a dump that has many more
				s.read()
			}
			if err := unload("bulkdump"); !errors.Is(err, unix.EAGAIN) {
				return fmt.Errorf("unload beside a parked dump: %w", err)
			}
			return nil
		},
		"readers killed": func(r *rand.Rand) error { return killReader(t, r) },
		"lookups": func(*rand.Rand) error {
			byName, err := c.GetByName(t.Context(), untouched.Name)
			if err != nil {
				return err
			}
			if byName.ID != untouched.ID || byName.Generation != untouched.Generation {
				return fmt.Errorf("%+v, want %+v", byName, untouched)
			}
			return nil
		},
		"snapshots": func(*rand.Rand) error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			snapshot, err := c.Snapshot(ctx, client.SyncOptions{})
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrNotSynced) {
				return errGaveUp
			}
			if err != nil {
				return err
			}
			n := 0
			for _, e := range snapshot.Entries() {
				if e.ID < fillBase && e.ID%idKinds <= idChanged {
					n++
				}
			}
			if n != 2*tortureEntries {
				return fmt.Errorf("%d entries that were there throughout, want %d", n, 2*tortureEntries)
			}
			return nil
		},
		"events": func(*rand.Rand) error {
			err := events.act()
			if grab && errors.Is(err, unix.EAGAIN) {
				return errGaveUp
			}
			return err
		},
		"namespaces": func(r *rand.Rand) error { return endNamespace(t, r) },
		"reads of /proc": func(*rand.Rand) error {
			_, err := os.ReadFile(procFile)
			return err
		},
	}
}

// eventsInOrder reads the events of all changes.
type eventsInOrder struct {
	t    *testing.T
	s    *rawSocket
	last uint64 // the generation that the last event left
	gaps int    // how often the socket told that it was full, less the gaps seen
}

// act reads one event. Between two that come one after the other there is no
// change, unless the socket was full. The kernel tells that before what is left in
// the socket, and adds nothing until that is read. So each time allows one gap.
func (v *eventsInOrder) act() error {
	n, err := v.s.recv(0)
	if errors.Is(err, unix.ENOBUFS) {
		v.gaps++
		return nil
	}
	if err != nil {
		return err
	}
	e := eventOf(v.t, messages(v.t, v.s.buf[:n]))
	before := e.generation - 1
	if e.cmd == eventFill {
		before = e.generation - e.count
	}
	if v.last != 0 && before > v.last && v.gaps > 0 {
		v.gaps--
	} else if v.last != 0 && before != v.last {
		return fmt.Errorf("%+v after generation %d", e, v.last)
	}
	v.last = e.generation
	return nil
}

// flushed is a namespace whose table is flushed while it is dumped.
type flushed struct {
	t  *testing.T
	ns *os.File
	c  *client.Client
}

func newFlushed(t *testing.T) *flushed {
	ns := newNetNS(t)
	c, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	return &flushed{t, ns, c}
}

func (f *flushed) close() {
	_ = f.c.Close()
	_ = f.ns.Close()
}

// act flushes the table of a dump at some moment. A dump that does not say that
// it was interrupted has the whole table, or nothing.
func (f *flushed) act(r *rand.Rand) error {
	const count = 500
	if _, err := f.c.Fill(f.t.Context(), client.FillOptions{Count: count, PayloadMax: 100}); err != nil {
		return err
	}
	var began, ended sync.WaitGroup
	var failed error
	began.Add(1)
	ended.Go(func() {
		began.Wait()
		_, failed = f.c.Flush(f.t.Context())
	})
	after, n := r.IntN(count), 0
	seen := make(map[uint32]bool)
	o := client.DumpOptions{BufferSize: smallBuffer, Cursor: cursors[r.IntN(len(cursors))], Encoding: encodings[r.IntN(len(encodings))]}
	var err error
	for record, e := range f.c.Records(f.t.Context(), o) {
		if err = e; err != nil {
			break
		}
		if n == after {
			began.Done()
		}
		n++
		seen[record.ID] = true
	}
	if n <= after {
		began.Done()
	}
	ended.Wait()
	if failed != nil || err != nil && !errors.Is(err, client.ErrInterrupted) {
		return errors.Join(failed, err)
	}
	if len(seen) < n || err == nil && n != count {
		return fmt.Errorf("%v, %v: %d records of %d entries, %d of them different; %v", o.Cursor, o.Encoding, n, count, len(seen), err)
	}
	if s := state(f.t, f.c); s.Count != 0 || s.Bytes != 0 || s.Tombstones != 0 {
		return fmt.Errorf("after a flush: %+v", s)
	}
	return nil
}

// killReader starts a process that reads dumps, and kills it at some time.
func killReader(t *testing.T, r *rand.Rand) error {
	cmd := roleCommand(t, roleRead)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, begun := out.Read(make([]byte, 1))
	time.Sleep(time.Duration(r.IntN(int(100 * time.Millisecond)))) // any moment will do
	if err := errors.Join(begun, cmd.Process.Kill()); err != nil {
		return err
	}
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGKILL)
	return nil
}

// playRead reads dumps until it is killed.
func playRead(ctx context.Context, c *client.Client) error {
	for n := 0; ; n++ {
		if n == 1 {
			fmt.Println("read")
		}
		o := client.DumpOptions{Cursor: cursors[n%len(cursors)], Encoding: encodings[n/len(cursors)%len(encodings)]}
		for _, err := range c.Records(ctx, o) {
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				return err
			}
		}
	}
}

// endNamespace makes a namespace, and ends it with entries, tombstones and a
// parked dump in it. Sometimes a flush comes before that.
func endNamespace(t *testing.T, r *rand.Rand) error {
	ns := newNetNS(t)
	defer ns.Close()
	there, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		return err
	}
	defer there.Close()
	if _, err := there.Fill(t.Context(), client.FillOptions{Count: 300}); err != nil {
		return err
	}
	if _, err := there.Delete(t.Context(), r.Uint32N(300)); err != nil {
		return err
	}
	for _, err := range there.Records(t.Context(), client.DumpOptions{BufferSize: smallBuffer, Cursor: cursors[r.IntN(len(cursors))]}) {
		if err != nil {
			return err
		}
		if r.IntN(2) == 0 {
			_, err = there.Flush(t.Context())
			return err
		}
		break
	}
	return nil
}

// Functions of a module at which no call can be delayed, or should not be: what
// the compiler split off, tracing, load and unload.
var undelayed = regexp.MustCompile(`^_|trace|\.cold|(init|exit|cleanup)(_module)?$`)

// delayAt delays calls of functions of the module (test/delay), chosen at random,
// and returns their names. One is always that which puts an entry into the array.
func delayAt(t *testing.T, r *rand.Rand, n int) []string {
	if n == 0 {
		return nil
	}
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	functions := []string{"xa_erase", "kvfree_call_rcu"} // between two steps of a change
	for line := range strings.Lines(string(text)) {
		// address type name [module]
		if f := strings.Fields(line); len(f) == 4 && f[3] == "[bulkdump]" && strings.EqualFold(f[1], "t") && !undelayed.MatchString(f[2]) {
			functions = append(functions, "bulkdump:"+f[2])
		}
	}
	// Static functions are there if the compiler keeps them: see make vm-torture.
	if !slices.Contains(functions, "bulkdump:log_move") {
		t.Fatalf("/proc/kallsyms has only %v", functions)
	}
	slices.Sort(functions)
	r.Shuffle(len(functions), func(i, j int) { functions[i], functions[j] = functions[j], functions[i] })
	functions = append(functions[:n-1], "xa_store")
	load(t, "bulkdump_delay", fmt.Sprintf("functions=%s seed=%d", strings.Join(functions, ","), r.Uint64()))
	return functions
}

func delays(t *testing.T) uint64 {
	return readNumber(t, "/sys/module/bulkdump_delay/parameters/delays")
}
