// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// three is a table of three entries, and a checksum that they have.
func three() (*fakeTable, string) {
	f := &fakeTable{records: []client.Entry{first, seven, last}}
	var sum client.Checksum
	for i := range f.records {
		sum.AddEntry(&f.records[i])
	}
	return f, sum.String()
}

const changedWarning = "bulkdump: warning: the table changed during the dump: the output may be a state that it never had\n"

func TestDumpOptions(t *testing.T) {
	show := func(o client.DumpOptions) string {
		id := func(v *uint32) string {
			if v == nil {
				return "none"
			}
			return fmt.Sprint(*v)
		}
		return fmt.Sprintf("from %s to %s buffer %d stats %t", id(o.IDFrom), id(o.IDTo), o.BufferSize, o.Stats != nil)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "from none to none buffer 65536 stats true"},
		{[]string{"--from", "0"}, "from 0 to none buffer 65536 stats true"},
		{[]string{"--to", "0xffffffff"}, "from none to 4294967295 buffer 65536 stats true"},
		{[]string{"--from", "5", "--to", "5", "--buffer", "4096"}, "from 5 to 5 buffer 4096 stats true"},
		{[]string{"--buffer", "16777216"}, "from none to none buffer 16777216 stats true"},
	} {
		f := &fakeTable{}
		run(t, f, append([]string{"dump", "-o", "count"}, tt.args...)...).check(t, ran{stdout: "0\n"})
		if got := show(f.options); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.args, got, tt.want)
		}
		if got := strings.Join(f.asked, " "); got != "dump close" {
			t.Errorf("%q: asked %q, want dump and close", tt.args, got)
		}
	}
}

func TestDumpLimit(t *testing.T) {
	for limit, want := range map[string]string{"0": "3\n", "1": "1\n", "2": "2\n", "3": "3\n", "4": "3\n"} {
		f, _ := three()
		seen := 0
		f.each = func(int) { seen++ }
		run(t, f, "dump", "-o", "count", "--limit", limit).check(t, ran{stdout: want})
		if got := fmt.Sprintln(seen); got != want {
			t.Errorf("limit %s: %s records were read, want %s", limit, got, want)
		}
	}
	f, _ := three()
	run(t, f, "dump", "-o", "json", "--limit", "1").check(t, ran{stdout: "[\n" +
		`{"id":0,"name":"first","flags":0,"value":0,"stats":{"hits":0,"bytes":0},"generation":1}` + "\n]\n"})
}

func TestDumpVerify(t *testing.T) {
	f, sum := three()
	run(t, f, "dump", "-o", "count", "--verify", sum).check(t, ran{"3\n", "checksum " + sum + ": as expected\n", 0})
	run(t, f, "dump", "-o", "count", "--verify", sum, "--limit", "0").check(t, ran{"3\n", "as expected", 0})
	run(t, f, "dump", "-o", "count", "--verify", "0x2a").check(t,
		ran{"3\n", "bulkdump: checksum " + sum + ", want 0x000000000000002a\n", 1})
	run(t, f, "dump", "-o", "count", "--verify", "0").check(t,
		ran{"3\n", "bulkdump: checksum " + sum + ", want 0x0000000000000000\n", 1})
	run(t, &fakeTable{}, "dump", "-o", "count", "--verify", "0").check(t,
		ran{"0\n", "checksum 0x0000000000000000: as expected\n", 0})
}

// All records came, so the output is complete. The exit code says that it
// failed, unless --allow-interrupted is given.
func TestDumpInterrupted(t *testing.T) {
	f, sum := three()
	f.err = fmt.Errorf("entry-get: %w", client.ErrInterrupted)
	got := run(t, f, "dump", "-o", "json")
	if got.code != 1 || got.stderr != changedWarning {
		t.Errorf("got exit code %d, stderr %q", got.code, got.stderr)
	}
	var all []client.Entry
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all) != 3 {
		t.Errorf("got %d records, %v", len(all), err)
	}
	run(t, f, "dump", "-o", "count").check(t, ran{"3\n", changedWarning, 1})
	run(t, f, "dump", "-o", "count", "--allow-interrupted").check(t, ran{"3\n", changedWarning, 0})
	run(t, f, "dump", "-o", "count", "--verify", sum).check(t, ran{"3\n", changedWarning, 1})
	run(t, f, "dump", "-o", "count", "--verify", sum, "--allow-interrupted").check(t,
		ran{"3\n", changedWarning + "checksum " + sum + ": as expected\n", 0})
	run(t, f, "dump", "-o", "count", "--verify", "1", "--allow-interrupted").check(t,
		ran{"3\n", changedWarning + "bulkdump: checksum " + sum, 1})
}

// The records before the failure are printed, but not as if they were all.
func TestDumpFailsInTheMiddle(t *testing.T) {
	f, sum := three()
	f.records = f.records[:1]
	f.err = fmt.Errorf("entry-get: %w", &nldump.TruncatedError{Size: 9000, Buffer: 4096})
	const message = "bulkdump: entry-get: page truncated: the buffer is too small: page of 9000 bytes, buffer of 4096 (give --buffer 9000 or more)\n"
	const record = `{"id":0,"name":"first","flags":0,"value":0,"stats":{"hits":0,"bytes":0},"generation":1}`
	for format, want := range map[string]string{
		"json":  "[\n" + record,
		"jsonl": record + "\n",
		"csv":   "id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n0,first,0,0,,0,0,,,1,false\n",
		"count": "",
	} {
		run(t, f, "dump", "-o", format, "--verify", sum, "--allow-interrupted").check(t, ran{want, message, 1})
	}
	f.records = nil
	for _, format := range []string{"table", "json", "jsonl", "csv", "count"} {
		run(t, f, "dump", "-o", format).check(t, ran{"", message, 1})
	}
}

func TestDumpCancelled(t *testing.T) {
	f, _ := three()
	ctx, signal := interruptible(t)
	f.each = func(i int) {
		if i == 1 {
			signal(unix.SIGINT)
		}
	}
	a, stdout, stderr := newApp(f)
	runApp(ctx, t, a, stdout, stderr, "dump", "-o", "csv").check(t, ran{
		"id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n0,first,0,0,,0,0,,,1,false\n",
		"bulkdump: ended by SIGINT before it was done\n", 130})
}

// The figures go to stderr, whether the dump succeeds or fails.
func TestDumpStats(t *testing.T) {
	f, _ := three()
	f.stats = nldump.Stats{Reads: 5, Pages: 2, Records: 3, Bytes: 400, LargestPage: 300}
	const figures = "pages             2\nreads             5\nrecords           3\nbytes             400\n" +
		"records-per-page  1.5\nlargest-page      300\n"
	memory := regexp.MustCompile(`peak-memory-kib   [1-9][0-9]*\n`)
	for _, tt := range []struct {
		err  error
		want ran
	}{
		{nil, ran{"3\n", figures, 0}},
		{client.ErrInterrupted, ran{"3\n", figures + changedWarning, 1}},
		{client.ErrBadReply, ran{"", figures + "bulkdump: " + client.ErrBadReply.Error(), 1}},
	} {
		f.err = tt.err
		got := run(t, f, "dump", "-o", "count", "--stats")
		if !memory.MatchString(got.stderr) {
			t.Errorf("stderr: got %q, want the memory in it", got.stderr)
		}
		got.stderr = memory.ReplaceAllString(got.stderr, "")
		got.check(t, tt.want)
	}
	run(t, &fakeTable{}, "dump", "-o", "count", "--stats").check(t, ran{"0\n", "records-per-page  0\n", 0})
}
