// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A ran is what a program left.
type ran struct {
	stdout, stderr string
	code           int
}

// bulkdump runs the CLI.
func bulkdump(t testing.TB, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bulkdump", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// mustRun runs the CLI, which must succeed and have nothing to remark.
func mustRun(t testing.TB, args ...string) string {
	t.Helper()
	r := bulkdump(t, args...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("bulkdump %s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// One entry through all commands.
func TestCLIEntry(t *testing.T) {
	c := setup(t)
	mustRun(t, "new", "7", "seven", "--value", "49", "--payload", "hex:c0ffee")
	want := client.Entry{ID: 7, Name: "seven", Value: 49, Payload: []byte{0xc0, 0xff, 0xee}}
	if e := mustGet(t, c, 7); !sameValues(e, want) {
		t.Errorf("new made %+v, want %+v", e, want)
	}
	mustRun(t, "set", "7", "--flags", "0x10", "--payload", "")
	want.Flags, want.Payload = 0x10, nil
	var got client.Entry
	if err := json.Unmarshal([]byte(mustRun(t, "get", "--name", "seven", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	if !sameValues(got, want) {
		t.Errorf("get printed %+v, want %+v", got, want)
	}
	mustRun(t, "del", "7")
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries after del", s.Count)
	}
	for _, args := range [][]string{{"get", "7"}, {"set", "7", "--value", "1"}, {"del", "7"}} {
		r := bulkdump(t, args...)
		if r.code != 1 || !strings.Contains(r.stderr, "there is no") {
			t.Errorf("bulkdump %s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
		}
	}
}

// What fill promises, dump verifies; each format tells the same.
func TestCLIFillAndDump(t *testing.T) {
	const count = 3000
	setup(t)
	var filled client.Filled
	if err := json.Unmarshal([]byte(mustRun(t, "fill", strconv.Itoa(count), "--payload-max", "40", "-o", "json")), &filled); err != nil {
		t.Fatal(err)
	}
	if got := mustRun(t, "dump", "-o", "count"); got != fmt.Sprintln(count) {
		t.Errorf("count printed %q", got)
	}
	if got := mustRun(t, "dump", "-o", "count", "--from", "10", "--to", "19"); got != "10\n" {
		t.Errorf("count of a range printed %q", got)
	}

	var all []client.Entry
	if err := json.Unmarshal([]byte(mustRun(t, "dump", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	var sum client.Checksum
	for i := range all {
		sum.AddEntry(&all[i])
	}
	if len(all) != count || sum != filled.Checksum {
		t.Errorf("json: %d entries with checksum %#x, want %d with %#x", len(all), sum, count, filled.Checksum)
	}
	lines := json.NewDecoder(strings.NewReader(mustRun(t, "dump", "-o", "jsonl")))
	for i := range all {
		var e client.Entry
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if !sameValues(e, all[i]) {
			t.Fatalf("jsonl: %+v, json: %+v", e, all[i])
		}
	}
	if err := lines.Decode(&struct{}{}); err != io.EOF {
		t.Errorf("jsonl goes on: %v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(mustRun(t, "dump", "-o", "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != count+1 || rows[1][1] != all[0].Name {
		t.Errorf("csv: %d rows, the first entry's name is %q", len(rows), rows[1][1])
	}
	if got := strings.Count(mustRun(t, "dump"), "\n"); got != count+1 {
		t.Errorf("table: %d lines, want %d", got, count+1)
	}

	checksum := fmt.Sprintf("%#x", uint64(filled.Checksum))
	if r := bulkdump(t, "dump", "-o", "count", "--verify", checksum); r.code != 0 {
		t.Errorf("verify: exit code %d, stderr %q", r.code, r.stderr)
	}
	if r := bulkdump(t, "dump", "-o", "count", "--verify", "1"); r.code != 1 || !strings.Contains(r.stderr, checksum) {
		t.Errorf("verify of another checksum: exit code %d, stderr %q", r.code, r.stderr)
	}
}

// Whoever closes the pipe has seen enough; the dump is abandoned, not failed.
func TestCLIDumpIntoClosedPipe(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 100_000})
	before := state(t, c)
	cmd := exec.CommandContext(t.Context(), "bulkdump", "dump", "-o", "jsonl")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	_ = stdout.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
	if got := checkCounters(t, c).DumpsAbandoned - before.DumpsAbandoned; got != 1 {
		t.Errorf("abandoned dumps rose by %d, want 1", got)
	}
}

func TestCLIEndsOnSignal(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 300_000})
	before := state(t, c)
	cmd := exec.CommandContext(t.Context(), "bulkdump", "dump", "-o", "jsonl")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It is in the middle of the dump, and the pipe is too small for the rest.
	if _, err := io.ReadFull(stdout, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "signal") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
	if got := checkCounters(t, c).DumpsAbandoned - before.DumpsAbandoned; got != 1 {
		t.Errorf("abandoned dumps rose by %d, want 1", got)
	}
}

var peakMemory = regexp.MustCompile(`(?m)^peak-memory-kib +(\d+)$`)

// The reader's memory does not grow with the table.
func TestReaderMemoryIsFlat(t *testing.T) {
	const slack = 4 << 10 // KiB
	c := setup(t)
	var peaks []int
	for _, count := range []uint32{10_000, 1_000_000} {
		flush(t, c)
		fill(t, c, client.FillOptions{Count: count})
		r := bulkdump(t, "dump", "-o", "count", "--stats")
		m := peakMemory.FindStringSubmatch(r.stderr)
		if r.stdout != fmt.Sprintln(count) || m == nil {
			t.Fatalf("dump printed %q, %q", r.stdout, r.stderr)
		}
		peak, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		peaks = append(peaks, peak)
	}
	t.Logf("peak memory: %d KiB with 10,000 entries, %d KiB with 1,000,000", peaks[0], peaks[1])
	if peaks[1]-peaks[0] > slack {
		t.Errorf("peak memory of %d KiB, with 10,000 entries %d KiB", peaks[1], peaks[0])
	}
}

// A thousand times the records, the same number of allocations.
func TestStreamDoesNotAllocatePerRecord(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 100_000, PayloadMax: 32})
	allocs := func(last uint32) float64 {
		return testing.AllocsPerRun(3, func() {
			n := uint32(0)
			for _, err := range c.Records(t.Context(), client.DumpOptions{IDTo: &last}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != last+1 {
				t.Fatalf("%d records, want %d", n, last+1)
			}
		})
	}
	few, many := allocs(99), allocs(99_999)
	t.Logf("%v allocations for 100 records, %v for 100,000", few, many)
	if perRecord := (many - few) / 99_900; perRecord > 0.001 {
		t.Errorf("%v allocations for 100 records, %v for 100,000", few, many)
	}
}
