// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/tracefs"
)

// A guardedTable has a grab guard, or one with a fault.
type guardedTable struct {
	*fakeTable
	with      string // the module's parameter
	fault     guardFault
	traceErr  error
	killErr   error
	stranger  bool // somebody else reads, too
	notClosed int  // traces

	mu      sync.Mutex
	changed sync.Cond
	log     []guardEvent
	readers uint64
	kept    int // readers that wait
	writing bool
	waiting bool // a writer is
	entries uint64
	staged  bool // reader B will come
	alive   bool // and not killed
}

type guardFault int

const (
	faultless         guardFault = iota
	writersFirst                 // a waiting writer keeps readers out
	entersAmongOthers            // a writer enters though readers are in
	readersEnter                 // readers enter though a writer is in
)

const stayerTID = 1 // no thread of this process

func newGuardedTable() *fakeTable {
	g := &guardedTable{fakeTable: &fakeTable{}, with: "grab"}
	g.changed.L = &g.mu
	g.fakeTable.guarded = g
	return g.fakeTable
}

// note is called with the lock held.
func (g *guardedTable) note(tid int, event string) {
	g.log = append(g.log, guardEvent{Micros: uint64(len(g.log)), Event: event, Readers: g.readers, Writing: g.writing, tid: tid})
	g.changed.Broadcast()
}

func (g *guardedTable) read(tid int) (leave func()) {
	out := func() bool {
		return g.writing && g.fault != readersEnter || g.waiting && g.fault == writersFirst
	}
	if out() {
		g.kept++
		g.note(tid, readWait)
		for out() {
			g.changed.Wait()
		}
		g.kept--
	}
	g.readers++
	g.note(tid, readEnter)
	return func() {
		g.readers--
		g.note(tid, readExit)
	}
}

func (g *guardedTable) Get(context.Context, uint32) (client.Entry, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.read(unix.Gettid())()
	if err := g.ask("get"); err != nil || g.entries > 0 {
		return client.Entry{}, err
	}
	return client.Entry{}, kernelError(unix.ENOENT, "there is no entry with the id")
}

func (g *guardedTable) Flush(context.Context) (client.Flushed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	tid := unix.Gettid()
	if g.readers > 0 && g.fault != entersAmongOthers {
		g.waiting = true
		g.note(tid, writeWait)
		for g.readers > 0 {
			g.changed.Wait()
		}
		g.waiting = false
	}
	g.writing = true
	g.note(tid, writeEnter)
	entered := len(g.log)
	if g.entries > 0 {
		g.entries = 0
		// It takes as long as it takes reader B to come.
		for g.staged && (g.alive || g.kept == 0 && len(g.log) == entered) {
			g.changed.Wait()
		}
	}
	g.writing = false
	g.note(tid, writeExit)
	return client.Flushed{}, g.ask("flush")
}

func (g *guardedTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	g.entries = uint64(o.Count)
	return client.Filled{Count: o.Count}, g.ask("fill")
}

func (g *guardedTable) Table(context.Context) (client.Table, error) {
	return client.Table{Count: g.entries}, g.ask("table")
}

func (g *guardedTable) kind() (string, error) { return g.with, nil }

func (g *guardedTable) trace() (guardTrace, error) {
	if g.traceErr != nil {
		return nil, g.traceErr
	}
	g.notClosed++
	return g, nil
}

func (g *guardedTable) start() error { return nil }

func (g *guardedTable) events() ([]guardEvent, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.log), nil
}

func (g *guardedTable) close() error {
	g.notClosed--
	return nil
}

func (g *guardedTable) stayIn() (guardStayer, error) {
	g.staged, g.alive = true, true
	go func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		defer g.read(stayerTID)()
		if g.stranger {
			defer g.read(stayerTID + 1)()
		}
		for g.alive {
			g.changed.Wait()
		}
	}()
	return g, nil
}

func (g *guardedTable) owns(tid int) bool { return tid == stayerTID }

func (g *guardedTable) kill() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alive, g.staged = false, g.killErr == nil
	g.changed.Broadcast()
	return g.killErr
}

const guardTimeline = `          MS  reader A  writer    reader B  INSIDE
       0.000  enters                        1 reader
       0.001  |         waits               1 reader
       0.002  |         :         enters    2 readers
       0.003  |         :         leaves    1 reader
       0.004  leaves    :                   nobody
       0.005            enters              the writer
       0.006            |         waits     the writer
       0.007            leaves    :         nobody
       0.008                      enters    1 reader
       0.009                      leaves    nobody

ok         a reader passes a writer that waits
ok         a writer enters when no reader is in
ok         while it is in, all wait
`

func TestGuard(t *testing.T) {
	f := newGuardedTable()
	got := run(t, f, "guard")
	got.stdout = unpad(got.stdout)
	got.check(t, ran{stdout: guardTimeline})
	if f.guarded.notClosed != 0 || f.guarded.entries != 0 {
		t.Errorf("%d traces and %d entries are left", f.guarded.notClosed, f.guarded.entries)
	}

	var r guardReport
	if err := json.Unmarshal([]byte(run(t, newGuardedTable(), "guard", "-o", "json").stdout), &r); err != nil {
		t.Fatal(err)
	}
	want := guardEvent{Micros: 2, Actor: readerB, Event: readEnter, Readers: 2}
	if len(r.Events) != 10 || r.Events[2] != want || len(r.Properties) != 3 || r.err() != nil {
		t.Errorf("%+v", r)
	}
	if got := run(t, newGuardedTable(), "guard", "-o", "jsonl").stdout; strings.Count(got, "\n") != 1 {
		t.Errorf("jsonl: %q", got)
	}
	rows := strings.Split(run(t, newGuardedTable(), "guard", "-o", "csv").stdout, "\n")
	if len(rows) != 12 || rows[0] != "us,actor,event,readers,writing" || rows[6] != "5,writer,guard_write_enter,0,true" {
		t.Errorf("csv: %q", rows)
	}
}

// unpad removes blanks at the ends of lines, which an editor would.
func unpad(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// Each fault of a guard is seen, and the others are not said to be there.
func TestGuardNotShown(t *testing.T) {
	for fault, want := range map[guardFault][]bool{
		writersFirst:      {false, true, false},
		entersAmongOthers: {false, false, false},
		readersEnter:      {true, true, false},
	} {
		f := newGuardedTable()
		f.guarded.fault = fault
		got := run(t, f, "guard")
		if got.code != exitFailed || !strings.HasPrefix(got.stderr, "bulkdump: not shown: ") {
			t.Errorf("fault %d: exit code %d, %q", fault, got.code, got.stderr)
		}
		for i, p := range []string{"a reader passes a writer that waits", "a writer enters when no reader is in", "while it is in, all wait"} {
			verdict := map[bool]string{true: "ok       ", false: "NOT SHOWN"}[want[i]]
			if !strings.Contains(got.stdout, "\n"+verdict+"  "+p+"\n") || strings.Contains(got.stderr, p) == want[i] {
				t.Errorf("fault %d: want %s %s in\n%s%s", fault, verdict, p, got.stdout, got.stderr)
			}
		}
		if f.guarded.notClosed != 0 {
			t.Errorf("fault %d: a trace is left", fault)
		}
	}
}

// Somebody else who reads gets a column, and is not taken for an actor.
func TestGuardAmongOthers(t *testing.T) {
	f := newGuardedTable()
	f.guarded.stranger = true
	got := run(t, f, "guard")
	if got.code != exitFailed || !strings.Contains(got.stdout, "reader B  others    INSIDE\n") {
		t.Errorf("exit code %d:\n%s", got.code, got.stdout)
	}
}

func TestGuardRefuses(t *testing.T) {
	for _, tt := range []struct {
		spoil func(*guardedTable)
		asked []string
		want  string
	}{
		{func(g *guardedTable) { g.with = "rcu" }, []string{"close"},
			"the module is loaded with guard=rcu, where nobody waits: load it with guard=grab"},
		{func(g *guardedTable) { g.entries = 3 }, []string{"table", "close"}, "the table is not empty"},
		{func(g *guardedTable) { g.traceErr = errors.New("no trace") }, []string{"table", "close", "close"}, "no trace"},
		{func(g *guardedTable) { g.killErr = errors.New("had ended") }, nil, "had ended"},
	} {
		f := newGuardedTable()
		tt.spoil(f.guarded)
		run(t, f, "guard").check(t, ran{"", "bulkdump: " + tt.want, 1})
		if tt.asked != nil && !slices.Equal(f.asked, tt.asked) {
			t.Errorf("%s: asked %q, want %q", tt.want, f.asked, tt.asked)
		}
		if f.guarded.notClosed != 0 {
			t.Errorf("%s: a trace is left", tt.want)
		}
	}
}

func TestGuardEvents(t *testing.T) {
	parse := func(lines string) ([]guardEvent, error) {
		t.Helper()
		events, err := tracefs.Parse([]byte(lines))
		if err != nil {
			t.Fatal(err)
		}
		return guardEvents(events)
	}
	got, err := parse(" bulkdump-84 [001] ..... 9.000001: guard_read_enter: readers=1 writing=0\n" +
		" x-4194304 [000] d..1. 10.250002: guard_write_enter: readers=0 writing=1\n")
	want := []guardEvent{
		{Event: readEnter, Readers: 1, tid: 84},
		{Micros: 1_250_001, Event: writeEnter, Writing: true, tid: 4194304},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := parse(" x-1 [000] ..... 1.000000: guard_read_wait: netns=1\n"); err == nil {
		t.Errorf("%+v, want an error", got)
	}
}

// stayerEnv has this program end at once: TestMain looks at it.
const stayerEnv = "BULKDUMP_TEST_ENDS_AT_ONCE"

// A reader that has ended before it is killed was not in all the time.
func TestStayerMustStay(t *testing.T) {
	t.Setenv(stayerEnv, "1")
	s, err := linux{}.stayIn()
	if err != nil {
		t.Fatal(err)
	}
	pid := s.(process).cmd.Process.Pid
	if !s.owns(pid) || s.owns(os.Getpid()) {
		t.Errorf("process %d owns the wrong threads", pid)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.kill(); err == nil || !strings.Contains(err.Error(), "ended by itself, before it was killed (exit status 0): give more --entries") {
		t.Errorf("got %v", err)
	}
}

// Each property needs all that makes it, and nothing else takes it away.
func TestGuardProperties(t *testing.T) {
	good := []guardEvent{
		0: {Actor: readerA, Event: readEnter, Readers: 1},
		1: {Actor: writer, Event: writeWait, Readers: 1},
		2: {Actor: readerB, Event: readEnter, Readers: 2},
		3: {Actor: readerB, Event: readExit, Readers: 1},
		4: {Actor: readerA, Event: readExit},
		5: {Actor: writer, Event: writeEnter, Writing: true},
		6: {Actor: readerB, Event: readWait, Writing: true},
		7: {Actor: writer, Event: writeExit},
		8: {Actor: readerB, Event: readEnter, Readers: 1},
		9: {Actor: readerB, Event: readExit},
	}
	swap := func(i, j int) func([]guardEvent) {
		return func(e []guardEvent) { e[i], e[j] = e[j], e[i] }
	}
	by := func(i int, actor string) func([]guardEvent) {
		return func(e []guardEvent) { e[i].Actor = actor }
	}
	readers := func(i int, n uint64) func([]guardEvent) {
		return func(e []guardEvent) { e[i].Readers = n }
	}
	for name, tt := range map[string]struct {
		spoil func([]guardEvent)
		found [2]bool
		want  [3]bool
	}{
		"good":                           {swap(0, 0), [2]bool{true, false}, [3]bool{true, true, true}},
		"the writer never waits":         {by(1, others), [2]bool{true, false}, [3]bool{false, false, false}},
		"it waits for nobody":            {readers(1, 0), [2]bool{true, false}, [3]bool{true, false, true}},
		"B comes first":                  {swap(1, 2), [2]bool{true, false}, [3]bool{false, true, true}},
		"B comes when A has left":        {swap(2, 4), [2]bool{true, false}, [3]bool{false, true, true}},
		"B was alone":                    {readers(2, 1), [2]bool{true, false}, [3]bool{false, true, true}},
		"B found nothing":                {swap(0, 0), [2]bool{false, false}, [3]bool{false, true, true}},
		"the writer enters too early":    {swap(4, 5), [2]bool{true, false}, [3]bool{false, false, true}},
		"it enters beside a reader":      {readers(5, 1), [2]bool{true, false}, [3]bool{true, false, false}},
		"B waits before the writer":      {swap(5, 6), [2]bool{true, false}, [3]bool{true, true, false}},
		"B does not wait":                {by(6, others), [2]bool{true, false}, [3]bool{true, true, false}},
		"B waits until it has left":      {swap(6, 7), [2]bool{true, false}, [3]bool{true, true, false}},
		"B enters before it has left":    {swap(7, 8), [2]bool{true, false}, [3]bool{true, true, false}},
		"a reader is in with the writer": {readers(6, 1), [2]bool{true, false}, [3]bool{true, true, false}},
		"B found an entry after all":     {swap(0, 0), [2]bool{true, true}, [3]bool{true, true, false}},
	} {
		events := slices.Clone(good)
		tt.spoil(events)
		for i, p := range guardProperties(events, tt.found[:]) {
			if p.Shown != tt.want[i] {
				t.Errorf("%s: %s: %t, want %t", name, p.Property, p.Shown, tt.want[i])
			}
		}
	}
}
