// SPDX-License-Identifier: BSD-3-Clause

// Package test has the tests that need a kernel with the module. They run as root
// in a guest (make vm-test), which sets BULKDUMP_GUEST. Elsewhere they are skipped.
// README.md says which file shows what.
package test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// init keeps the process's first thread for TestMain. A test may end its thread
// in another namespace, but the first thread cannot end, and /proc/net shows
// the namespace of the first thread.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// guestOnly skips a test outside of a guest: the tests flush the table, and load
// and unload modules.
func guestOnly(t testing.TB) {
	t.Helper()
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make vm-test")
	}
}

func dial(t testing.TB) *client.Client {
	t.Helper()
	guestOnly(t)
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// setup returns a client of the empty table. When the test ends, no dump may be
// open, and each one that was started must have been counted as ended once.
func setup(t testing.TB) *client.Client {
	t.Helper()
	c := dial(t)
	flush(t, c)
	t.Cleanup(func() {
		checkCounters(t, c)
		flush(t, c)
	})
	return c
}

func flush(t testing.TB, c *client.Client) {
	t.Helper()
	if _, err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// patience is the limit for what the kernel does some time after a system call.
// If RCU frees a closed socket, done() runs in a work queue.
const patience = 180 * time.Second

// waitFor polls until ok returns true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !within(ok) {
		t.Fatalf("not within %v: %s", patience, what)
	}
}

// within polls until ok returns true, and reports whether that was in time.
func within(ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// writeFile writes to a file of the kernel's, which exists.
func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := writeBlocking(file, text); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// writeBlocking is os.WriteFile without O_NONBLOCK, which Go sets on files that can be
// polled, as most of the kernel's can. On 7.3, a control group's limit that is written
// with that flag is not enforced at once (mm/memcontrol.c:memory_high_write).
func writeBlocking(file, text string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Write(fd, []byte(text))
		if err != unix.EINTR {
			return err
		}
	}
}

// rcuBarrier waits until what was to be freed after a grace period is freed. 6.1 has
// no file for that.
func rcuBarrier(t testing.TB) {
	t.Helper()
	const file = "/sys/module/rcutree/parameters/do_rcu_barrier"
	if _, err := os.Stat(file); err == nil {
		writeFile(t, file, "1")
	}
}

// readNumber reads a file of the kernel's that is one number.
func readNumber(t testing.TB, file string) uint64 {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func state(t testing.TB, c *client.Client) client.Table {
	t.Helper()
	s, err := c.Table(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkCounters waits for the last dump to be done.
func checkCounters(t testing.TB, c *client.Client) client.Table {
	t.Helper()
	var s client.Table
	waitFor(t, "no dump open", func() bool {
		s = state(t, c)
		return s.DumpsOpen == 0
	})
	if s.DumpsStarted != s.DumpsFinished+s.DumpsAbandoned {
		t.Errorf("%d dumps started, %d finished, %d abandoned", s.DumpsStarted, s.DumpsFinished, s.DumpsAbandoned)
	}
	return s
}

var (
	showFigures = flag.Bool("figures", false, "print what was measured on stderr, too")
	stderr      = os.Stderr // package testing makes it stdout
)

// figures prints what was measured.
func figures(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf(format, args...)
	if *showFigures {
		fmt.Fprintf(stderr, format+"\n", args...)
	}
}

var largeTable = flag.Uint("entries", 250_000, "how many entries a large table has")

// watcher returns the name of a debugging feature that watches each allocation
// or each access of this kernel, or "". Such a kernel is many times slower.
func watcher() string {
	for _, name := range []string{"kmemleak", "kcsan"} {
		if _, err := os.Stat("/sys/kernel/debug/" + name); err == nil {
			return name
		}
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil && strings.HasSuffix(unix.ByteSliceToString(name.Release[:]), "-kmsan") {
		return "kmsan" // which has no file
	}
	return ""
}

// large returns the number of entries of a large table: a scan of it takes many
// times as long as a change.
func large() uint32 {
	return uint32(unwatched(int(*largeTable)))
}

// unwatched returns n, and a fifth of it on a watched kernel, where the same takes
// several times as long.
func unwatched(n int) int {
	if watcher() != "" {
		return n / 5
	}
	return n
}

// keepReading calls fn again and again, for some clients at once, until stop is called
// or the test has failed.
func keepReading(t testing.TB, clients int, fn func(c *client.Client)) (stop func()) {
	t.Helper()
	var stopped atomic.Bool
	var readers sync.WaitGroup
	for range clients {
		c := dial(t)
		readers.Go(func() {
			for !stopped.Load() && !t.Failed() {
				fn(c)
			}
		})
	}
	return func() {
		stopped.Store(true)
		readers.Wait()
	}
}

func fill(t testing.TB, c *client.Client, o client.FillOptions) client.Filled {
	t.Helper()
	f, err := c.Fill(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if f.Count != o.Count {
		t.Fatalf("filled %d, want %d", f.Count, o.Count)
	}
	return f
}

func makeEntry(t testing.TB, c *client.Client, e client.Entry) {
	t.Helper()
	e.Name = cmp.Or(e.Name, "entry")
	if _, err := c.New(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// makeEntries creates entries with one name and these ids, many per system
// call, because system calls are slow on a kernel that checks itself.
func makeEntries(t testing.TB, c *client.Client, name string, payload []byte, ids ...uint32) {
	t.Helper()
	const most = 64 << 10 // bytes in a call
	before := state(t, c).Count
	s := openRaw(t, client.FamilyName, smallBuffer)
	defer s.close() // nobody reads the replies
	var batch []byte
	for i, id := range ids {
		batch = append(batch, s.message(unix.NLM_F_REQUEST, request(cmdEntryNew, attrU32(attrID, id),
			attrText(attrName, name), attr(attrPayload, payload...)))...)
		if len(batch) < most && i < len(ids)-1 {
			continue
		}
		if err := unix.Sendto(s.fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
	}
	if made := state(t, c).Count - before; made != uint64(len(ids)) {
		t.Fatalf("%d entries of %d were made", made, len(ids))
	}
}

// A dumped is the result of a dump.
type dumped struct {
	count uint64
	sum   client.Checksum
	ids   []uint32
	stats nldump.Stats
}

// dump reads a dump and checks that the ids rise strictly, so none comes twice.
func dump(t testing.TB, c *client.Client, o client.DumpOptions) (dumped, error) {
	t.Helper()
	var d dumped
	o.Stats = &d.stats
	for r, err := range c.Records(t.Context(), o) {
		if err != nil {
			return d, err
		}
		if n := len(d.ids); n > 0 && r.ID <= d.ids[n-1] {
			t.Fatalf("id %d after %d", r.ID, d.ids[n-1])
		}
		d.count++
		d.sum.Add(r)
		d.ids = append(d.ids, r.ID)
	}
	if d.stats.Records != d.count {
		t.Errorf("stats have %d records, the loop had %d", d.stats.Records, d.count)
	}
	return d, nil
}

func mustDump(t testing.TB, c *client.Client, o client.DumpOptions) dumped {
	t.Helper()
	d, err := dump(t, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// wantIDs compares the ids of a dump with a list.
func wantIDs(t testing.TB, got []uint32, want ...uint32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}

// wantOnceEach checks that a dump sent so many records, each once.
func wantOnceEach(t testing.TB, what string, ids []uint32, count int) {
	t.Helper()
	slices.Sort(ids)
	all := len(ids)
	if different := len(slices.Compact(ids)); all != count || different != count {
		t.Errorf("%s: %d records, %d of them different, want %d", what, all, different, count)
	}
}

func ptr[T any](v T) *T { return &v }
