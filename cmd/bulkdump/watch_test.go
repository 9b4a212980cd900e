// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/cmd/bulkdump/internal/output"
)

// One event of each kind.
var oneOfEach = []client.Event{
	{Kind: client.EventNew, Generation: seven.Generation, Entry: seven},
	{Kind: client.EventSet, Generation: last.Generation, Entry: last},
	{Kind: client.EventDel, Generation: 14, Entry: client.Entry{ID: 7, Generation: 14, Deleted: true}},
	{Kind: client.EventFill, Generation: 1014, Count: 1000, IDStart: 5, IDStride: 2},
	{Kind: client.EventFlush, Generation: 1015, Count: 999},
}

func TestWatchFormats(t *testing.T) {
	const note = "5 events in 0s, 0 overruns\n"
	for format, want := range map[string]string{
		"table": "" +
			"          GENERATION  EVENT          ID       FLAGS                 VALUE  PAYLOAD  NAME\n" +
			"                  12  new             7  0x00000010                    49        3  seven\n" +
			"18446744073709551615  set    4294967295  0xffffffff  18446744073709551615        0  \"last, \\\"quoted\\\"\"\n" +
			"                  14  del             7\n" +
			"                1014  fill   made 1000 from id 5, 2 apart\n" +
			"                1015  flush  deleted 999\n",
		"csv": "" +
			"event,id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted,count,id_start,id_stride\n" +
			"new,7,seven,16,49,c0ffee,3,9,2026-01-02T03:04:05Z,2026-01-02T03:04:05.000000678Z,12,false,,,\n" +
			"set,4294967295,\"last, \"\"quoted\"\"\",4294967295,18446744073709551615,,99999999,18446744073709551615,,,18446744073709551615,false,,,\n" +
			"del,7,,0,0,,0,0,,,14,true,,,\n" +
			"fill,,,,,,,,,,1014,,1000,5,2\n" +
			"flush,,,,,,,,,,1015,,999,,\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			run(t, &fakeTable{events: oneOfEach}, "watch", "-o", format).check(t, ran{stdout: want, stderr: note})
		})
	}
	got := run(t, &fakeTable{events: oneOfEach}, "watch", "-o", "jsonl")
	lines := json.NewDecoder(strings.NewReader(got.stdout))
	for _, want := range oneOfEach {
		var e client.Event
		if err := lines.Decode(&e); err != nil || e.Kind != want.Kind || e.Generation != want.Generation ||
			e.Count != want.Count || e.Entry.ID != want.Entry.ID || e.Entry.Name != want.Entry.Name {
			t.Errorf("got %+v, %v, want %+v", e, err, want)
		}
	}
}

func TestWatchUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"give -o jsonl":          {"watch", "-o", "json"},
		"and not negative":       {"watch", "--timeout", "-1s"},
		"no arguments":           {"watch", "7"},
		"two ways to end":        {"mirror", "--once", "--dump-at-end"},
		"mirror may have no":     {"mirror", "-o", "json"},
		"must be a time such as": {"mirror", "--once", "--timeout", "-1s"},
	} {
		run(t, &fakeTable{}, args...).check(t, ran{code: exitUsage, stderr: want})
	}
}

func TestWatchEnds(t *testing.T) {
	f := &fakeTable{events: oneOfEach, endless: true}
	got := run(t, f, "watch", "-o", "jsonl", "--count", "2", "--rcvbuf", "1000000")
	if strings.Count(got.stdout, "\n") != 2 || got.code != exitOK || !strings.Contains(got.stderr, "bulkdump: 2 events") || f.receive != 1000000 {
		t.Errorf("after a count: %+v, receive buffer of %d", got, f.receive)
	}
	synctest.Test(t, func(t *testing.T) {
		got := run(t, &fakeTable{events: oneOfEach, endless: true}, "watch", "-o", "jsonl", "--timeout", "90s")
		if strings.Count(got.stdout, "\n") != 5 || got.code != exitOK || !strings.Contains(got.stderr, "5 events in 1m30s") {
			t.Errorf("after a time: %+v", got)
		}
	})
	run(t, &fakeTable{eventErr: client.ErrNoFamily}, "watch").check(t, ran{code: exitFailed, stderr: "make load",
		stdout: "          GENERATION  EVENT          ID       FLAGS                 VALUE  PAYLOAD  NAME\n"})
}

// A signal is the intended end: the command prints its figures.
func TestWatchEndsOnSignal(t *testing.T) {
	for _, args := range [][]string{{"watch"}, {"mirror"}, {"mirror", "-o", "jsonl"}, {"mirror", "--dump-at-end"}} {
		ctx, signal := interruptible(t)
		cancel := func() { signal(unix.SIGTERM) }
		f := &fakeTable{events: oneOfEach, endless: true, after: cancel, records: []client.Entry{seven}, mstats: mirror.Stats{Synced: true}}
		if args[0] == "mirror" && len(args) != 3 { // nobody takes its events
			cancel()
			f.mstats.Synced = true
		}
		a, stdout, stderr := newApp(f)
		if code := a.run(ctx, args); code != 143 {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr)
		}
		if want := map[bool]string{true: "bulkdump: 5 events in", false: "full-passes"}[args[0] == "watch"]; !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: stderr %q, want %q in it", args, stderr, want)
		}
		if f.mirrored != nil && !f.mirrored.closed {
			t.Errorf("%q: the mirror is open", args)
		}
		if lines := strings.Count(stdout.String(), "\n"); lines != map[string]int{"watch": 6, "mirror": 0, "mirror -o jsonl": 5, "mirror --dump-at-end": 2}[strings.Join(args, " ")] {
			t.Errorf("%q printed %q", args, stdout)
		}
	}
}

func TestWatchSaysWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTable{events: oneOfEach, lost: client.ErrOverrun}
		got := run(t, f, "watch", "-o", "jsonl", "--rcvbuf", "4096")
		if strings.Count(got.stderr, "--rcvbuf above 4096") != 1 || !strings.Contains(got.stderr, "5 overruns") || strings.Count(got.stdout, "\n") != 5 {
			t.Errorf("%+v", got)
		}
		got = run(t, f, "watch")
		if !strings.Contains(got.stderr, "give --rcvbuf, for example 8388608") {
			t.Errorf("%+v", got)
		}
		f.lost = mirror.ErrLagged
		got = run(t, f, "mirror", "-o", "csv")
		if !strings.Contains(got.stderr, "some changes were merged") || strings.Count(got.stdout, "\n") != 6 {
			t.Errorf("%+v", got)
		}
	})
}

// Each event is visible when it is made, not when a buffer is full.
func TestWatchIsSeenAtOnce(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	a, _, stderr := newApp(&fakeTable{events: oneOfEach, endless: true})
	a.onTerminals(w, false, stderr, 0)
	ended := make(chan int)
	go func() { ended <- a.run(ctx, []string{"watch", "-o", "jsonl"}) }()
	lines := json.NewDecoder(r)
	for range oneOfEach {
		if err := lines.Decode(&struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestWatchIntoClosedPipe(t *testing.T) {
	for _, args := range [][]string{{"watch"}, {"mirror", "-o", "jsonl"}, {"mirror", "--once"}} {
		f := &fakeTable{events: oneOfEach, endless: true, mstats: mirror.Stats{Synced: true}}
		runTo(t, f, closedPipe(t), args...).check(t, ran{})
		runTo(t, f, fullDisk(t), args...).check(t, ran{code: exitFailed, stderr: "no space left"})
	}
}

func TestMirrorPrintsEntries(t *testing.T) {
	f := &fakeTable{records: []client.Entry{first, seven}, mstats: mirror.Stats{Entries: 2, Generation: 12, Synced: true}}
	got := run(t, f, "mirror", "--once", "-o", "json", "--rcvbuf", "5000")
	var all []client.Entry
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all) != 2 || got.code != exitOK || got.stderr != "" || f.receive != 5000 {
		t.Errorf("%+v, %v, receive buffer of %d", got, err, f.receive)
	}
	got = run(t, f, "mirror", "--dump-at-end", "-o", "csv")
	if strings.Count(got.stdout, "\n") != 3 || !strings.Contains(got.stderr, "generation   12\n") {
		t.Errorf("%+v", got)
	}
	f.mstats.Synced = false
	run(t, f, "mirror", "--once", "--timeout", "1ns").check(t, ran{code: exitFailed, stderr: "no exact copy within 1ns"})
	f.mstats.Synced, f.eventErr = true, mirror.ErrReloaded
	run(t, f, "mirror", "--once").check(t, ran{code: exitFailed, stderr: "loaded again"})
	run(t, f, "mirror").check(t, ran{code: exitFailed, stderr: "loaded again"})
	run(t, &fakeTable{err: os.ErrPermission}, "mirror").check(t, ran{code: exitFailed, stderr: "permission"})
	run(t, &fakeTable{err: os.ErrPermission}, "watch").check(t, ran{code: exitFailed, stderr: "permission",
		stdout: "          GENERATION  EVENT          ID       FLAGS                 VALUE  PAYLOAD  NAME\n"})
}

func TestMirrorStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTable{endless: true, mstats: mirror.Stats{Entries: 5, Generation: 6, Events: 7, Synced: true}}
		a, stdout, stderr := newApp(f)
		a.onTerminals(stdout, false, stderr, 100)
		if code := a.run(t.Context(), []string{"mirror", "--timeout", "3500ms"}); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		const line = "\r\x1b[K5 entries, exact, generation 6, 0 events/s, 0 overruns, 0 deltas, 0 full passes"
		if got := stderr.String(); strings.Count(got, line) != 4 || !strings.Contains(got, line+"\r\x1b[Kentries") {
			t.Errorf("%q", got)
		}
		if got := strings.Join(statusParts(mirror.Stats{Events: 3}, mirror.Stats{Events: 10}), ", "); got != "0 entries, catching up, generation 0, 7 events/s, 0 overruns, 0 deltas, 0 full passes" {
			t.Errorf("%q", got)
		}
		for _, args := range [][]string{{"mirror", "-o", "jsonl"}, {"mirror", "--once"}} {
			a, stdout, stderr := newApp(f)
			a.onTerminals(stdout, len(args) == 3, stderr, 100)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_ = a.run(ctx, args)
			cancel()
			if strings.Contains(stderr.String(), "events/s") != (len(args) == 2) {
				t.Errorf("%q: %q", args, stderr)
			}
		}
	})
}

func TestEventsEndWithAnError(t *testing.T) {
	broken := errors.New("broken")
	run(t, &fakeTable{events: oneOfEach[:1], eventErr: broken}, "mirror", "-o", "csv").check(t, ran{code: exitFailed, stderr: "broken",
		stdout: strings.Join([]string{output.Events.CSVHead, "new,7,seven,16,49,c0ffee,3,9,2026-01-02T03:04:05Z,2026-01-02T03:04:05.000000678Z,12,false,,,\n"}, "")})
}
