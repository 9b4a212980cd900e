// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
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
	log     []byte // as tracefs has it
	noted   int    // events in it
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

func newGuardedTable() *guardedTable {
	g := &guardedTable{fakeTable: &fakeTable{}, with: "grab"}
	g.changed.L = &g.mu
	return g
}

// note is called with the lock held.
func (g *guardedTable) note(tid int, event string) {
	writing := 0
	if g.writing {
		writing = 1
	}
	g.log = fmt.Appendf(g.log, " x-%d [000] ..... 1.%06d: %s: readers=%d writing=%d\n", tid, g.noted, event, g.readers, writing)
	g.noted++
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
	g.ask("get")
	if g.entries > 0 {
		return client.Entry{}, nil
	}
	return client.Entry{}, os.ErrNotExist
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
	entered := g.noted
	if g.entries > 0 {
		g.entries = 0
		// It takes as long as it takes reader B to come.
		for g.staged && (g.alive || g.kept == 0 && g.noted == entered) {
			g.changed.Wait()
		}
	}
	g.writing = false
	g.note(tid, writeExit)
	g.ask("flush")
	return client.Flushed{}, nil
}

func (g *guardedTable) Fill(_ context.Context, o client.FillOptions) (client.Filled, error) {
	g.entries = uint64(o.Count)
	g.ask("fill")
	return client.Filled{Count: o.Count}, nil
}

func (g *guardedTable) Table(context.Context) (client.Table, error) {
	g.ask("table")
	return client.Table{Count: g.entries}, nil
}

func (g *guardedTable) kind() (string, error) { return g.with, nil }

func (g *guardedTable) collect(string) (collector, error) {
	if g.traceErr != nil {
		return nil, g.traceErr
	}
	g.notClosed++
	return g, nil
}

func (g *guardedTable) Start(_, _ string, events ...string) error {
	if len(events) != 6 {
		return fmt.Errorf("%d events, want 6", len(events))
	}
	return nil
}

func (g *guardedTable) Events() ([]tracefs.Event, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return tracefs.Parse(g.log)
}

func (g *guardedTable) Close() error {
	g.notClosed--
	return nil
}

func (g *guardedTable) show(t *testing.T) (*GuardReport, error) {
	return showGuard(t.Context(), g, g, g, 1000, ignore)
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
	g := newGuardedTable()
	r, err := g.show(t)
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if got := printed(t, r, output.FormatTable, term.Never); got != guardTimeline {
		t.Errorf("got\n%s\nwant\n%s", got, guardTimeline)
	}
	if g.notClosed != 0 || g.entries != 0 {
		t.Errorf("%d traces and %d entries are left", g.notClosed, g.entries)
	}
	rows := strings.Split(printed(t, r, output.FormatCSV, term.Never), "\n")
	if len(rows) != 12 || rows[0] != "us,actor,event,readers,writing" || rows[6] != "5,writer,guard_write_enter,0,true" {
		t.Errorf("csv: %q", rows)
	}
}

// Each fault of a guard is found, and no other is reported.
func TestGuardNotShown(t *testing.T) {
	for fault, want := range map[guardFault][]bool{
		writersFirst:      {false, true, false},
		entersAmongOthers: {false, false, false},
		readersEnter:      {true, true, false},
	} {
		g := newGuardedTable()
		g.fault = fault
		r, err := g.show(t)
		if err != nil || r.Err() == nil {
			t.Fatalf("fault %d: %v, %v", fault, err, r.Err())
		}
		table := printed(t, r, output.FormatTable, term.Never)
		for i, p := range []string{"a reader passes a writer that waits", "a writer enters when no reader is in", "while it is in, all wait"} {
			verdict := map[bool]string{true: "ok       ", false: "NOT SHOWN"}[want[i]]
			if !strings.Contains(table, "\n"+verdict+"  "+p+"\n") || strings.Contains(r.Err().Error(), p) == want[i] {
				t.Errorf("fault %d: want %s %s in\n%s%v", fault, verdict, p, table, r.Err())
			}
		}
		if g.notClosed != 0 {
			t.Errorf("fault %d: a trace is left", fault)
		}
	}
}

// Another reader gets a column of its own, and is not mistaken for an actor.
func TestGuardAmongOthers(t *testing.T) {
	g := newGuardedTable()
	g.stranger = true
	r, err := g.show(t)
	if err != nil {
		t.Fatal(err)
	}
	if table := printed(t, r, output.FormatTable, term.Never); r.Err() == nil || !strings.Contains(table, "reader B  others    INSIDE\n") {
		t.Errorf("%v\n%s", r.Err(), table)
	}
}

func TestGuardRefuses(t *testing.T) {
	for _, tt := range []struct {
		spoil func(*guardedTable)
		asked []string
		want  string
	}{
		{func(g *guardedTable) { g.with = "rcu" }, []string{},
			"the module is loaded with guard=rcu, where nobody waits: load it with guard=grab"},
		{func(g *guardedTable) { g.entries = 3 }, []string{"table"}, "the table is not empty"},
		{func(g *guardedTable) { g.traceErr = errors.New("no trace") }, []string{"table"}, "no trace"},
		{func(g *guardedTable) { g.killErr = errors.New("had ended") }, nil, "had ended"},
	} {
		g := newGuardedTable()
		tt.spoil(g)
		if r, err := g.show(t); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%+v, %v, want %s", r, err, tt.want)
		}
		if tt.asked != nil && !slices.Equal(g.asked, tt.asked) {
			t.Errorf("%s: asked %q, want %q", tt.want, g.asked, tt.asked)
		}
		if g.notClosed != 0 {
			t.Errorf("%s: a trace is left", tt.want)
		}
	}
}

func TestGuardEvents(t *testing.T) {
	parse := func(lines string) ([]GuardEvent, error) {
		t.Helper()
		events, err := tracefs.Parse([]byte(lines))
		if err != nil {
			t.Fatal(err)
		}
		return guardEvents(events)
	}
	got, err := parse(" bulkdump-84 [001] ..... 9.000001: guard_read_enter: readers=1 writing=0\n" +
		" x-4194304 [000] d..1. 10.250002: guard_write_enter: readers=0 writing=1\n")
	want := []GuardEvent{
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

// It is an error if reader A ends before it is killed.
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
	if err := s.kill(); err == nil || !strings.Contains(err.Error(), "ended by itself before it was killed (exit status 0): give more --entries") {
		t.Errorf("got %v", err)
	}
}

// Each property depends on everything that makes it, and on nothing else.
func TestGuardProperties(t *testing.T) {
	good := []GuardEvent{
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
	swap := func(i, j int) func([]GuardEvent) {
		return func(e []GuardEvent) { e[i], e[j] = e[j], e[i] }
	}
	by := func(i int, actor string) func([]GuardEvent) {
		return func(e []GuardEvent) { e[i].Actor = actor }
	}
	readers := func(i int, n uint64) func([]GuardEvent) {
		return func(e []GuardEvent) { e[i].Readers = n }
	}
	for name, tt := range map[string]struct {
		spoil func([]GuardEvent)
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
