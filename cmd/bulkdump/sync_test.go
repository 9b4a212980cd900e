// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// streamed is a table whose sync starts over, changes the first entry, deletes
// the second, and brings one between.
func streamed() (f *fakeTable, sum string) {
	changed := first
	changed.Value = 9
	f = &fakeTable{
		records: []client.Entry{{ID: 4, Name: "void"}, first, {ID: 6, Name: "goes"}, last, {ID: 6, Deleted: true}, seven, changed},
		resets:  []int{1},
		synced:  client.Synced{Generation: 17, Full: 2, Deltas: 3, Stale: 1},
	}
	var c client.Checksum
	for _, e := range []client.Entry{changed, seven, last} {
		c.AddEntry(&e)
	}
	return f, c.String()
}

const ofGeneration = "the table of generation 17, after 5 passes (2 full)\n"

func TestDumpSync(t *testing.T) {
	f, sum := streamed()
	const rows = "id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n" +
		"0,first,0,9,,0,0,,,1,false\n" +
		"7,seven,16,49,c0ffee,3,9,2026-01-02T03:04:05Z,2026-01-02T03:04:05.000000678Z,12,false\n"
	const end = `4294967295,"last, ""quoted""",4294967295,18446744073709551615,,99999999,18446744073709551615,,,18446744073709551615,false` + "\n"
	run(t, f, "dump", "--sync", "-o", "csv").check(t, ran{rows + end, ofGeneration, 0})
	if f.passes != client.DefaultSyncPasses {
		t.Errorf("%d passes by default", f.passes)
	}
	f, _ = streamed()
	run(t, f, "dump", "--sync", "-o", "csv", "--limit", "2").check(t, ran{rows, ofGeneration, 0})
	f, _ = streamed()
	run(t, f, "dump", "--sync", "-o", "count", "--verify", sum).check(t,
		ran{"3\n", ofGeneration + "checksum " + sum + ": as expected\n", 0})
	f, _ = streamed()
	run(t, f, "dump", "--sync", "--sync-passes", "7", "--from", "0", "--encoding", "columns", "--buffer", "4096", "--stats", "-o", "count").check(t,
		ran{"3\n", ofGeneration + "pages ", 0})
	if o := f.options; f.passes != 7 || o.IDFrom == nil || *o.IDFrom != 0 || o.Encoding != client.EncodingColumns || o.BufferSize != 4096 {
		t.Errorf("%d passes, %+v", f.passes, o)
	}
}

// A failed sync prints nothing, and does not count as an interrupted dump.
func TestDumpSyncFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w after 5 passes: entry-get: %w", client.ErrNotSynced, client.ErrInterrupted),
			"bulkdump: not synced after 5 passes: entry-get: dump interrupted: the table changed meanwhile (give a larger --sync-passes)\n"},
		{fmt.Errorf("entry-get: %w", unix.EMSGSIZE), "bulkdump: entry-get: message too long\n"},
		{client.ErrNoFamily, "bulkdump: module not loaded: run modprobe bulkdump, or make load where it was built (the kernel has no generic netlink family \"bulkdump\")\n"},
	} {
		f, _ := streamed()
		f.err = tt.err
		got := run(t, f, "dump", "--sync", "-o", "json")
		got.check(t, ran{"", tt.want, 1})
	}
}

func TestDumpParallel(t *testing.T) {
	f, sum := three()
	run(t, f, "dump", "-o", "count", "--parallel", "4", "--verify", sum).check(t, ran{"3\n", "as expected\n", 0})
	if f.sockets != 4 || f.unordered {
		t.Errorf("%d sockets, unordered %v", f.sockets, f.unordered)
	}
	run(t, f, "dump", "-o", "count", "--parallel", "1", "--unordered", "--name-prefix", "x", "--limit", "2").check(t, ran{stdout: "2\n"})
	if f.sockets != 1 || !f.unordered || f.options.NamePrefix != "x" {
		t.Errorf("%d sockets, unordered %v, %+v", f.sockets, f.unordered, f.options)
	}
	f.err = client.ErrInterrupted
	run(t, f, "dump", "-o", "count", "--parallel", "2").check(t, ran{"3\n", changedWarning, 1})
}
