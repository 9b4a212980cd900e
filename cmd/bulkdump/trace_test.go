// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/loop"
)

// runTrace runs a command line on a kernel, and checks that nothing is left.
func runTrace(t *testing.T, f *fakeTable, k *fakeLoop, args ...string) ran {
	t.Helper()
	a, stdout, stderr := newApp(f)
	a.loop = k
	got := runApp(t.Context(), t, a, stdout, stderr, append([]string{"trace"}, args...)...)
	if k.notClosed != 0 {
		t.Errorf("%q: %d traces are left", args, k.notClosed)
	}
	for _, s := range k.sockets {
		if s.open {
			t.Errorf("%q: the socket with port id %d is left", args, s.port)
		}
	}
	return got
}

const aTraced = `MS     WHO     WHAT                                BYTES  RECORDS  RMEM  HALF    PLACE
0.000  A       sends the request                                   1000
0.001  kernel  page 1 for A, set off by this send  40     2        1000  106496  2
0.021  A       reads page 1                        40              1000
0.022  kernel  page 2 for A, set off by this read  40     2        1000  106496  4
0.042  A       reads page 2                        40              1000
0.043  kernel  page 3 for A, set off by this read  40     2        1000  106496  6
0.063  A       reads page 3                        40              1000
0.064  kernel  page 4 for A, set off by this read  40     2        1000  106496  8
0.084  A       reads page 4, interrupted           40              1000
0.085  kernel  page 5 for A, set off by this read  40     2        1000  106496  10
0.105  A       reads page 5 and DONE               60              0
`

func TestTrace(t *testing.T) {
	newLoop := func() *fakeLoop {
		k := newFakeLoop()
		k.interrupt = 3
		return k
	}
	got := runTrace(t, &fakeTable{}, newLoop())
	got.stdout = unpad(got.stdout)
	got.check(t, ran{stdout: aTraced})

	var trace loop.Trace
	got = runTrace(t, &fakeTable{}, newLoop(), "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &trace); err != nil || len(trace.Calls) != 6 || len(trace.Pages) != 5 || trace.Readers[0].PortID != 100 {
		t.Errorf("json: %v, %+v", err, trace)
	}
	got = runTrace(t, &fakeTable{}, newLoop(), "-o", "jsonl")
	if strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("jsonl: %q", got.stdout)
	}
	got = runTrace(t, &fakeTable{}, newLoop(), "-o", "csv")
	if strings.Count(got.stdout, "\n") != 12 || !strings.HasPrefix(got.stdout, "us,who,") {
		t.Errorf("csv: %q", got.stdout)
	}
	got = runTrace(t, &fakeTable{}, newLoop(), "-o", "svg")
	if !strings.HasPrefix(got.stdout, "<svg ") || !strings.HasSuffix(got.stdout, "</svg>\n") || !strings.Contains(got.stdout, ">INTR<") {
		t.Errorf("svg: %q", got.stdout)
	}
	got = runTrace(t, &fakeTable{}, newLoop(), "--color", "always")
	if !strings.Contains(got.stdout, red+"0.084  A       reads page 4, interrupted") || !strings.Contains(got.stdout, dim+"0.001  kernel") {
		t.Errorf("colors: %q", got.stdout)
	}
}

// Interrupted may be DONE alone, of all that comes.
func TestTraceInterruptedAtDone(t *testing.T) {
	k := newFakeLoop()
	k.interrupt = k.pages
	if got := runTrace(t, &fakeTable{}, k); !strings.Contains(got.stdout, "reads page 5 and DONE, interrupted") || strings.Count(got.stdout, "interrupted") != 1 {
		t.Errorf("%q", got.stdout)
	}
}

// With a receive buffer for three pages, one that peeks gets ahead until two
// wait; with one for hardly two, it is told that there was no room.
func TestTraceOfPeek(t *testing.T) {
	most := func(rcvbuf string) (rmem, setOffByPeek int, errors []string) {
		t.Helper()
		var trace loop.Trace
		got := runTrace(t, &fakeTable{}, newFakeLoop(), "--peek", "--rcvbuf", rcvbuf, "-o", "json")
		if err := json.Unmarshal([]byte(got.stdout), &trace); err != nil {
			t.Fatalf("%v, %+v", err, got)
		}
		for _, c := range trace.Calls {
			rmem = max(rmem, int(c.RMem))
			if c.What == loop.Peek && c.SetOff != nil {
				setOffByPeek++
			}
			if c.Error != "" {
				errors = append(errors, c.What+" "+c.Error)
			}
		}
		return rmem, setOffByPeek, errors
	}
	if rmem, peeks, errs := most("1900"); rmem != 2000 || peeks != 1 || errs != nil {
		t.Errorf("at most %d bytes waited, %d peeks set a page off, errors %q; want 2000, 1 and none", rmem, peeks, errs)
	}
	if rmem, peeks, errs := most("1000"); rmem != 1000 || peeks != 0 || !slices.Contains(errs, "read ENOBUFS") {
		t.Errorf("at most %d bytes waited, %d peeks set a page off, errors %q; want 1000, none and ENOBUFS", rmem, peeks, errs)
	}
}

// Each scenario fills an empty table, and empties it.
func TestScenarios(t *testing.T) {
	for name, want := range map[string]struct {
		readers  int
		peek     bool
		asked    []string
		wantText string
	}{
		"slow-reader":     {1, false, nil, "A slow reader parks its dump"},
		"small-buffer":    {1, true, nil, "Half of the receive buffer is the limit"},
		"two-readers":     {2, false, nil, "reader B"},
		"mid-dump-change": {1, false, []string{"del 40", "set 560", `new 721 "new" flags=0x0 value=0 payload=""`, "del 880"}, "INTR"},
	} {
		f, k := &fakeTable{}, newFakeLoop()
		k.interrupt = 4
		got := runTrace(t, f, k, "--scenario", name, "-o", "svg")
		if got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, want.wantText) {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.Contains(got.stdout, `class="peek`) != want.peek || len(k.sockets) != want.readers {
			t.Errorf("%s: %d readers", name, len(k.sockets))
		}
		n := len(f.asked)
		if n < 4 || f.asked[0] != "table" || !strings.HasPrefix(f.asked[1], "fill ") || !slices.Equal(f.asked[n-2:], []string{"flush", "close"}) {
			t.Errorf("%s: asked %q", name, f.asked)
		} else if changes := f.asked[2 : n-2]; !slices.Equal(changes, want.asked) {
			t.Errorf("%s: changes %q, want %q", name, changes, want.asked)
		}
	}
}

// One reader's failure ends the others, and leaves nothing.
func TestTraceFails(t *testing.T) {
	no := errors.New("no such luck")
	for _, tt := range []struct {
		spoil func(*fakeTable, *fakeLoop)
		args  []string
		want  string
	}{
		{func(_ *fakeTable, k *fakeLoop) { k.collectErr = no }, nil, "bulkdump: no such luck\n"},
		{func(_ *fakeTable, k *fakeLoop) { k.openErr = no }, nil, "bulkdump: no such luck\n"},
		{func(_ *fakeTable, k *fakeLoop) { k.recvErr = no }, []string{"--readers", "3", "--peek"}, "no such luck\n"},
		{func(_ *fakeTable, k *fakeLoop) { k.sendErr = no }, []string{"--readers", "2", "--delay", "1h"}, "reader A: nldump: no such luck\n"},
		{func(_ *fakeTable, k *fakeLoop) { k.log = []byte("CPU:0 [LOST 1 EVENTS]\n") }, nil, "bulkdump: the trace lost events"},
		{func(f *fakeTable, _ *fakeLoop) { f.state = client.Table{Count: 1} }, []string{"--scenario", "slow-reader"}, "bulkdump: the table is not empty"},
		{func(f *fakeTable, _ *fakeLoop) { f.errs = map[uint32]error{40: no} }, []string{"--scenario", "mid-dump-change"}, "no such luck\n"},
	} {
		f, k := &fakeTable{}, newFakeLoop()
		tt.spoil(f, k)
		runTrace(t, f, k, tt.args...).check(t, ran{"", tt.want, exitFailed})
		if slices.ContainsFunc(f.asked, func(what string) bool { return strings.HasPrefix(what, "fill") }) != slices.Contains(f.asked, "flush") {
			t.Errorf("%s: asked %q", tt.want, f.asked)
		}
	}
}
