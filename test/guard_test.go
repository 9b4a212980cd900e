// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// reload reloads the module with parameters, until the test ends.
func reload(t testing.TB, params string) *client.Client {
	t.Helper()
	setup(t)
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", params)
	t.Cleanup(func() {
		mustUnload(t, "bulkdump")
		load(t, "bulkdump", "")
	})
	return setup(t)
}

func TestGuardIsOneOfTwo(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	wantNotLoaded(t, "bulkdump", "guard=grap", "guard=grap", unix.EINVAL)
	load(t, "bulkdump", "")
}

// With guard=rcu, nobody enters or leaves anything.
func TestGuardIsNotUsedWithRCU(t *testing.T) {
	c := setup(t)
	tr := trace(t, "guard_*")
	makeEntry(t, c, client.Entry{ID: 1})
	mustGet(t, c, 1)
	mustDump(t, c, client.DumpOptions{})
	readProc(t)
	flush(t, c)
	if events := tr.events(); len(events) != 0 {
		t.Errorf("%v", events)
	}
}

// Also with guard=grab, each cursor that promises it sends every untouched
// entry exactly once, while a writer changes others without a pause.
func TestGrabUnderChurn(t *testing.T) {
	c := reload(t, "guard=grab")
	const above = 1 << 26 // ids from here on change
	filled := fill(t, c, client.FillOptions{Count: 5000, IDStart: above})
	fillForChurn(t, c, 500)
	stop := churn(t, 1, 500)
	for _, cursor := range []client.Cursor{client.CursorKey, client.CursorWalker} {
		var sum client.Checksum
		for r, err := range c.Records(t.Context(), client.DumpOptions{Cursor: cursor}) {
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				t.Fatal(err)
			}
			if err == nil && r.ID >= above {
				sum.Add(r)
			}
		}
		if sum != filled.Checksum {
			t.Errorf("%v: checksum %v, want %v", cursor, sum, filled.Checksum)
		}
	}
	if stop() == 0 {
		t.Error("nothing changed")
	}
}

// Readers that come and go on two processors at once are counted, so a writer comes in
// when they have left.
func TestGrabCountsReaders(t *testing.T) {
	reload(t, "guard=grab")
	var readers sync.WaitGroup
	for nr := range 2 {
		s := openRaw(t, client.FamilyName, smallBuffer) // nobody reads the answers
		var batch []byte
		for range 100 {
			batch = append(batch, s.message(unix.NLM_F_REQUEST, request(cmdEntryGet, attrU32(attrID, 1)))...)
		}
		readers.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			setAffinity(t, nr%runtime.NumCPU())
			for range unwatched(2000) {
				if err := unix.Sendto(s.fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	s := openRaw(t, client.FamilyName, smallBuffer)
	writer := startSender(t, s, pin(t), unix.NLM_F_REQUEST|unix.NLM_F_ACK, request(cmdTableFlush))
	if !within(func() bool {
		_, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err == nil
	}) {
		t.Error("a writer waits for readers that have left")
		_ = writer.Process.Kill()
	}
	_ = writer.Wait()
}

// A writer that waits can be killed, and then changes nothing.
func TestGuardWriterCanBeKilled(t *testing.T) {
	c := reload(t, "guard=grab")
	tr := trace(t, "guard_write_*")
	id, far, name := attrU32(attrID, 1), attrU32(attrID, 1<<30), attrText(attrName, "name")
	for _, tt := range []struct {
		name   string
		change []byte
	}{
		{"new", request(cmdEntryNew, far, name)}, {"set", request(cmdEntrySet, id, name)}, {"create", request(cmdEntrySet, far, name, attr(attrCreate))},
		{"del", request(cmdEntryDel, id)}, {"fill", request(cmdTableFill, attrU32(attrCount, 10), attrU32(attrFillStart, 1<<30))},
		{"flush", request(cmdTableFlush)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 {
				flush(t, c)
				fill(t, c, client.FillOptions{Count: 20_000})
				before := state(t, c)
				s := openRaw(t, client.FamilyName, smallBuffer)
				cmd, events := killWriter(t, tr, s, tt.change)
				if len(events) == 1 && events[0].name == "guard_write_wait" {
					diedOf(t, cmd, unix.SIGKILL)
					s.nothing()
					if after := state(t, c); after.Count != before.Count || after.Generation != before.Generation || after.Bytes != before.Bytes {
						t.Errorf("from %+v to %+v", before, after)
					}
					return
				}
				t.Logf("no reader was in: %v", events)
			}
			t.Error("each writer came to its end")
		})
	}
}

// killWriter kills who requests a change while readers are in, and returns the
// writer's events.
func killWriter(t *testing.T, tr *tracer, s *rawSocket, change []byte) (cmd *exec.Cmd, events []traced) {
	t.Helper()
	leave := keepReadersIn(t)
	defer leave()
	seen := len(tr.events())
	cmd = startSender(t, s, pin(t), unix.NLM_F_REQUEST|unix.NLM_F_ACK, change)
	waitFor(t, "a writer", func() bool { return len(tr.events()) > seen })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return cmd, slices.Clone(tr.events()[seen:])
}

// keepReadersIn starts several readers, so that one is in the table at any
// time: each dump looks at all of it, again and again, and finds nothing.
func keepReadersIn(t *testing.T) (leave func()) {
	t.Helper()
	return keepReading(t, 4, func(c *client.Client) {
		for _, err := range c.Records(t.Context(), client.DumpOptions{NamePrefix: "none", Cursor: client.CursorIndex}) {
			if err != nil && !errors.Is(err, client.ErrInterrupted) {
				t.Error(err)
			}
		}
	})
}

// A writer reserves the slot of a new entry, and waits for the readers. A dump
// that meets that slot passes it over.
// Rule 30.
func TestReservedIsNotSent(t *testing.T) {
	const last = math.MaxUint32
	c := reload(t, "guard=grab")
	fill(t, c, client.FillOptions{Count: large()})
	tr := trace(t, "guard_*")
	for {
		before := len(tr.events())
		s := openRaw(t, client.FamilyName, smallBuffer)
		// It looks at the whole table in one system call, and finds nothing.
		scan := s.message(flagDump, request(cmdEntryGet, nest(attrFilter, attrText(attrNamePrefix, "none"))))
		sent := make(chan error)
		go func() { sent <- unix.Sendto(s.fd, scan, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) }()
		waitFor(t, "the scan has begun", func() bool { return len(tr.events()) > before })
		makeEntry(t, c, client.Entry{ID: last})
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if ms, _ := s.read(); ms[0].Type != unix.NLMSG_DONE || verdictOf(t, ms[0]).errno != 0 {
			t.Fatalf("the scan ended with a message of type %d: %x", ms[0].Type, ms[0].Data)
		}
		wantIDs(t, mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(last))}).ids, last)
		// It waited, so its slot was reserved before the scan came there.
		if tr.events()[before+1].name == "guard_write_wait" {
			return
		}
		t.Logf("the writer came late: %v", tr.all[before:])
		if _, err := c.Delete(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
}

// guardShown is what `bulkdump guard -o json` prints.
type guardShown struct {
	Events []struct {
		Actor, Event string
		Readers      int64
		Writing      bool
	}
	Properties []struct {
		Property string
		Shown    bool
	}
}

// traceSettings returns the settings that all users of tracing share.
func traceSettings(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"current_tracer", "set_event", "trace_clock", "trace_options", "tracing_on", "events/enable"} {
		text, err := os.ReadFile(filepath.Join(tracefs, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// The three properties of the netlink table's lock, shown by the order of
// events: a reader passes a waiting writer; a writer enters when no reader is
// inside; while a writer is inside, everybody waits.
func TestGrabOrder(t *testing.T) {
	c := reload(t, "guard=grab")
	tr := trace(t, "guard_*")
	before := traceSettings(t)
	var shown guardShown
	entries := large()
	if err := json.Unmarshal([]byte(mustRun(t, "guard", "-o", "json", "--entries", fmt.Sprint(entries))), &shown); err != nil {
		t.Fatal(err)
	}
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries are left", s.Count)
	}
	if left, _ := filepath.Glob(filepath.Join(tracefs, "instances", "bulkdump*")); left != nil {
		t.Errorf("left in tracefs: %v", left)
	}
	if after := traceSettings(t); after != before {
		t.Errorf("trace settings %q, before %q", after, before)
	}
	for _, p := range shown.Properties {
		if !p.Shown {
			t.Error("not shown: ", p.Property)
		}
	}
	if len(shown.Properties) != 3 {
		t.Errorf("%d properties, want 3", len(shown.Properties))
	}

	// The output matches what the kernel traced: the fill, these events, and
	// the flush at its end.
	events := tr.events()
	if len(events) != len(shown.Events)+4 {
		t.Fatalf("%d events, %d were shown: %v", len(events), len(shown.Events), events)
	}
	events = events[2 : len(events)-2]
	for i, e := range events {
		s := shown.Events[i]
		if s.Event != e.name || s.Readers != e.number("readers") || s.Writing != (e.number("writing") == 1) {
			t.Errorf("event %d: shown %+v, traced %v", i, s, e)
		}
	}
	first := func(actor, name string, from int) int {
		for i := from; i >= 0 && i < len(events); i++ {
			if events[i].name == name && shown.Events[i].Actor == actor {
				return i
			}
		}
		return -1
	}
	waits := first("writer", "guard_write_wait", first("reader A", "guard_read_enter", 0))
	passes := first("reader B", "guard_read_enter", waits)
	gone := first("reader A", "guard_read_exit", waits)
	enters := first("writer", "guard_write_enter", waits)
	leaves := first("writer", "guard_write_exit", enters)
	late := first("reader B", "guard_read_wait", enters)
	in := first("reader B", "guard_read_enter", enters)
	if waits < 0 || passes < 0 || passes >= enters || events[passes].number("readers") != 2 {
		t.Errorf("no reader passed the writer that waited: %v", events)
	}
	if gone < 0 || gone >= enters || events[enters].number("readers") != 0 {
		t.Errorf("a writer entered with readers: %v", events)
	}
	if late < 0 || late > leaves || in < leaves {
		t.Errorf("a reader did not wait for the writer that was in: %v", events)
	}
	// A reader and the writer are never inside at the same time.
	for _, e := range events {
		if e.number("readers") > 0 && e.number("writing") > 0 {
			t.Errorf("%v", e)
		}
	}
}

// Each event shows the guard's state at that moment. The events before it agree,
// and a waiter has a reason to wait.
func TestGrabTraceIsExact(t *testing.T) {
	c := reload(t, "guard=grab")
	tr := trace(t, "guard_*")
	var enough atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !enough.Load() && !t.Failed() {
			if _, err := c.Fill(t.Context(), client.FillOptions{Count: 2000}); err != nil {
				t.Error(err)
			}
			if _, err := c.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	waited := within(func() bool {
		if _, err := dump(t, c, client.DumpOptions{}); err != nil && !errors.Is(err, client.ErrInterrupted) {
			t.Error(err)
		}
		names := make(map[string]bool)
		for _, e := range tr.events() {
			names[e.name] = true
		}
		return names["guard_read_wait"] && names["guard_write_wait"]
	})
	enough.Store(true)
	writer.Wait()
	if !waited {
		t.Error("no reader waited for the writer, or no writer for a reader")
	}
	var readers, writing int64
	for i, e := range tr.events() {
		switch e.name {
		case "guard_read_enter":
			readers++
		case "guard_read_exit":
			readers--
		case "guard_write_enter":
			writing++
		case "guard_write_exit":
			writing--
		}
		if e.number("readers") != readers || e.number("writing") != writing {
			t.Fatalf("event %d: %v, want %d readers and %d writers", i, e, readers, writing)
		}
		if e.name == "guard_read_wait" && writing == 0 || e.name == "guard_write_wait" && writing+readers == 0 {
			t.Errorf("event %d: %v waits for nobody", i, e)
		}
	}
}

// If guard has nothing to show, it says what to do and changes nothing.
func TestGuardRefuses(t *testing.T) {
	setup(t)
	want := func(what string) {
		t.Helper()
		if r := bulkdump(t, "guard"); r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, what) {
			t.Errorf("exit code %d, %q, want %q", r.code, r.stderr, what)
		}
	}
	want("load it with guard=grab")
	c := reload(t, "guard=grab")
	fill(t, c, client.FillOptions{Count: 10})
	want("the table is not empty")
	if s := state(t, c); s.Count != 10 {
		t.Errorf("%d entries, want 10", s.Count)
	}
	flush(t, c)
	if err := unix.Unmount(tracefs, 0); err != nil {
		t.Fatal(err)
	}
	want("tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")
	if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil {
		t.Fatal(err)
	}
}
