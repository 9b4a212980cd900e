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
	tortureFor    = flag.Duration("torture", 2*time.Second, "how long the torture goes on; at least one round")
	tortureRound  = flag.Duration("torture-round", 10*time.Second, "how long one of its rounds is at most")
	tortureSeed   = flag.Uint64("torture-seed", 1, "that of the first round")
	tortureDelays = flag.Int("torture-delays", 0, "at how many functions calls are delayed, by test/delay")
)

// Everything at once: writers, dumps with each cursor and encoding, readers that
// leave or are killed, lookups, listeners, a mirror, namespaces that end, attempts
// to unload the module. Each round has another guard, and delays at other functions of the
// module. At its end, every untouched entry came exactly once in each dump, each
// dump that was started has ended, and the module unloads.
func TestTorture(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	t.Cleanup(func() { load(t, "bulkdump", "") })
	total := make(map[string]uint64)
	start := time.Now()
	for seed := *tortureSeed; seed == *tortureSeed || time.Since(start) < *tortureFor; seed++ {
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
	guard := []string{"rcu", "grab"}[seed%2]
	load(t, "bulkdump", "guard="+guard)
	points := delayAt(t, r, *tortureDelays)
	t.Logf("seed %d: guard=%s, delays at %v", seed, guard, points)

	c := dial(t)
	defer c.Close()
	fillForChurn(t, c, tortureEntries)
	m, err := mirror.Open(t.Context(), c, mirror.Options{ReceiveBuffer: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	parked := openRaw(t, client.FamilyName, 64<<10)
	defer parked.close()
	parked.send(cmdEntryGet, flagDump) // so that the module cannot be unloaded

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var tallies []*tally
	actors := torturers(t, c)
	for _, cursor := range cursors {
		y := &tally{times: [2][]uint8{make([]uint8, tortureEntries), make([]uint8, tortureEntries)}}
		tallies = append(tallies, y)
		n := 0
		actors["dumps by "+cursor.String()] = func(*rand.Rand) error {
			n++
			return y.dump(ctx, c, client.DumpOptions{Cursor: cursor, Encoding: encodings[n%len(encodings)]})
		}
	}
	done := make(map[string]*atomic.Uint64)
	for name, act := range actors {
		n := new(atomic.Uint64)
		done[name] = n
		own := rand.New(rand.NewPCG(seed, r.Uint64()))
		all.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				if err := act(own); err != nil && ctx.Err() == nil {
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
	all.Wait()
	if t.Failed() {
		return nil
	}

	if err := m.Wait(t.Context(), state(t, c).Generation); err != nil {
		t.Fatal(err)
	}
	if got, want := withoutStats(slices.Collect(m.All())), withoutStats(collect(t, c, client.DumpOptions{})); !reflect.DeepEqual(got, want) {
		t.Errorf("seed %d: the mirror has %d entries, the table %d, or they differ: %+v", seed, len(got), len(want), m.Stats())
	}
	_ = m.Close()
	parked.close()
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
	counts := map[string]uint64{"changes": changes}
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

// torturers are those that do not count records, by what they do.
func torturers(t *testing.T, c *client.Client) map[string]func(*rand.Rand) error {
	untouched, err := c.Get(t.Context(), idUntouched)
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	last := uint64(0)
	return map[string]func(*rand.Rand) error{
		"dumps left": func(r *rand.Rand) error {
			s := openRaw(t, client.FamilyName, 64<<10)
			defer s.close()
			s.send(cmdEntryGet, flagDump, attrU32(attrCursor, uint32(cursors[r.IntN(len(cursors))])),
				attrU32(attrEncoding, uint32(encodings[r.IntN(len(encodings))])))
			for range r.IntN(4) {
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
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, client.ErrNotSynced) { // too many changes
				return nil
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
			n, err := listener.recv(0)
			if errors.Is(err, unix.ENOBUFS) { // some are lost
				return nil
			}
			if err != nil {
				return err
			}
			e := eventOf(t, messages(t, listener.buf[:n]))
			if e.generation <= last {
				return fmt.Errorf("generation %d after %d", e.generation, last)
			}
			last = e.generation
			return nil
		},
		"namespaces": func(r *rand.Rand) error { return endNamespace(t, r) },
		"reads of /proc": func(*rand.Rand) error {
			_, err := os.ReadFile(procFile)
			return err
		},
	}
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
	for _, err := range there.Records(t.Context(), client.DumpOptions{BufferSize: 4 << 10, Cursor: cursors[r.IntN(len(cursors))]}) {
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
		if f := strings.Fields(line); len(f) == 4 && f[3] == "[bulkdump]" && strings.EqualFold(f[1], "t") && strings.HasPrefix(f[2], "bulkdump_") {
			functions = append(functions, "bulkdump:"+f[2])
		}
	}
	if len(functions) < 30 {
		t.Fatalf("/proc/kallsyms has only %v", functions)
	}
	r.Shuffle(len(functions), func(i, j int) { functions[i], functions[j] = functions[j], functions[i] })
	functions = append(functions[:n-1], "xa_store")
	load(t, "bulkdump_delay", fmt.Sprintf("functions=%s seed=%d", strings.Join(functions, ","), r.Uint64()))
	return functions
}

func delays(t *testing.T) uint64 {
	return readNumber(t, "/sys/module/bulkdump_delay/parameters/delays")
}
