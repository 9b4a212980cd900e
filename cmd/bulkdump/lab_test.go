// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
)

// fakeLab looks whether the table is empty, as the experiments do, and then
// returns what they might have found.
func fakeLab() laboratory {
	return laboratory{
		cursors: func(ctx context.Context, t lab.Table, o lab.CursorsOptions, tell lab.Tell) (*lab.CursorsReport, error) {
			tell("key")
			_, err := t.Table(ctx)
			return &lab.CursorsReport{
				Churn:  []lab.CursorChurn{{Cursor: client.CursorKey, Churn: "both", Untouched: int(o.Entries), Changes: int(o.Changes)}},
				Cost:   []lab.CursorCost{{Cursor: client.CursorWalker, Entries: uint64(o.CostUpTo), NSPerRecord: 1.5, ScannedPerRecord: 1}},
				Parked: []lab.CursorParked{{Cursor: client.CursorIndex, Bytes: uint64(o.IndexUpTo)}},
			}, err
		},
		guard: func(ctx context.Context, t, _ lab.Table, entries uint32, tell lab.Tell) (*lab.GuardReport, error) {
			tell("fill")
			_, err := t.Table(ctx)
			return &lab.GuardReport{
				Events:     []lab.GuardEvent{{Micros: uint64(entries), Actor: "writer", Event: "guard_write_enter", Writing: true}},
				Properties: []lab.GuardProperty{{Property: "while it is in, all wait", Shown: entries > 1000}},
			}, err
		},
		trace: func(ctx context.Context, t lab.Table, o lab.TraceOptions, tell lab.Tell) (*loop.Trace, error) {
			tell("dump")
			if _, err := t.Table(ctx); err != nil {
				return nil, err
			}
			readers := []loop.Reader{{Name: "A", PortID: 7, Seq: 1, TID: 1}}
			calls := []loop.Call{{What: loop.Send, To: 1}, {What: loop.Read, From: 5, To: 6, Bytes: 20, RMem: 768}}
			return loop.Build(readers, calls, nil, 0)
		},
		sockets: func(context.Context, nlsock.Source) (*nlsock.List, error) { return fakeSockets(), nil },
	}
}

// What the command line says reaches the experiment, and what it found is
// printed.
func TestLabOptions(t *testing.T) {
	run(t, &fakeTable{}, "cursors", "--entries", "1000", "--changes", "2", "--cost-up-to", "10000", "--index-up-to", "20000", "-o", "csv").check(t,
		ran{stdout: "cursor,figure,of,value\nkey,changes,both,2\nkey,missed,both,0\nkey,repeated,both,0\n" +
			"walker,ns-per-record,10000,1.5\nwalker,scanned-per-record,10000,1\nindex,parked-bytes,,20000\n"})
	run(t, &fakeTable{}, "guard", "-o", "csv").check(t,
		ran{stdout: "us,actor,event,readers,writing\n500000,writer,guard_write_enter,0,true\n"})
	run(t, &fakeTable{}, "guard", "--entries", "1000", "-o", "csv").check(t, ran{
		"us,actor,event,readers,writing\n1000,writer,guard_write_enter,0,true\n", "bulkdump: not shown: while it is in, all wait\n", exitFailed})

	var got lab.TraceOptions
	a, stdout, stderr := newApp(&fakeTable{})
	trace := a.lab.trace
	a.lab.trace = func(ctx context.Context, t lab.Table, o lab.TraceOptions, tell lab.Tell) (*loop.Trace, error) {
		got = o
		return trace(ctx, t, o, tell)
	}
	runApp(t.Context(), t, a, stdout, stderr, "trace", "--readers", "3", "--from", "1", "--to", "2", "--delay", "5ms", "--peek",
		"--rcvbuf", "16384", "--buffer", "8192", "--cursor", "walker", "--encoding", "direct", "-o", "csv").check(t,
		ran{stdout: "us,who,what,bytes,records,rmem,half,place\n0,A,sends the request,,,0,,\n5,A,\"reads DONE, alone\",20,,768,,\n"})
	if d := got.Reader.Dump; got.Readers != 3 || *d.IDFrom != 1 || *d.IDTo != 2 || got.Reader.Delay != 5*time.Millisecond || !got.Reader.Peek ||
		got.Reader.ReceiveBuffer != 16384 || d.BufferSize != 8192 || d.Cursor != client.CursorWalker || d.Encoding != client.EncodingDirect {
		t.Errorf("trace is asked for %+v", got)
	}
	runApp(t.Context(), t, a, stdout, stderr, "trace", "--scenario", "two-readers", "-o", "svg")
	if got.Scenario != "two-readers" || got.Readers != 0 || !strings.Contains(stdout.String(), "<svg ") {
		t.Errorf("%+v, %q", got, stdout)
	}
}

// What an experiment does now is seen on a terminal only, and gone before
// anything else.
func TestLabTells(t *testing.T) {
	for command, want := range map[string]string{"cursors": "key", "guard": "fill", "trace": "dump"} {
		a, stdout, stderr := newApp(&fakeTable{})
		a.onTerminals(stdout, false, stderr, 80)
		runApp(t.Context(), t, a, stdout, stderr, command).check(t, ran{stdout: stdout.String(), stderr: cleared + want + cleared})
	}
}

// Each command of the laboratory is in its group in the help, and no other is.
func TestLabIsAGroup(t *testing.T) {
	var got []string
	for _, cmd := range commands() {
		if cmd.GroupID == labGroup {
			got = append(got, cmd.Name())
		}
	}
	slices.Sort(got)
	if want := []string{"cursors", "guard", "sockets", "trace"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	help := run(t, &fakeTable{}, "--help").stdout
	_, after, found := strings.Cut(help, "\nLaboratory:\n")
	if !found || strings.Index(after, "  cursors ") != 0 || !strings.Contains(help, "\nCommands on the table:\n") {
		t.Errorf("%s", help)
	}
}
