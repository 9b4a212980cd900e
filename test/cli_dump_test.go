// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"bulkdump/client"
)

// dump verifies the checksum that fill printed, and all formats print the same.
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
		t.Errorf("json: %d entries with checksum %v, want %d with %v", len(all), sum, count, filled.Checksum)
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

	checksum := filled.Checksum.String()
	if r := bulkdump(t, "dump", "-o", "count", "--verify", checksum); r.code != 0 {
		t.Errorf("verify: exit code %d, stderr %q", r.code, r.stderr)
	}
	if r := bulkdump(t, "dump", "-o", "count", "--verify", "1"); r.code != 1 || !strings.Contains(r.stderr, checksum) {
		t.Errorf("verify of another checksum: exit code %d, stderr %q", r.code, r.stderr)
	}
}

func TestCLIDumpParallel(t *testing.T) {
	c := setup(t)
	filled := fill(t, c, client.FillOptions{Count: 20_000, PayloadMax: 50})
	verify := []string{"--verify", filled.Checksum.String(), "-o", "count"}
	for _, args := range [][]string{{"--parallel", "3"}, {"--parallel", "3", "--unordered"}} {
		r := bulkdump(t, append(append([]string{"dump"}, args...), verify...)...)
		if r.code != 0 || r.stdout != fmt.Sprintln(filled.Count) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, r.code, r.stdout, r.stderr)
		}
	}
	if one, many := mustRun(t, "dump", "-o", "csv"), mustRun(t, "dump", "-o", "csv", "--parallel", "4"); one != many {
		t.Error("several sockets print something else than one")
	}
}

var ofGeneration = regexp.MustCompile(`^the table of generation (\d+), after \d+ passes \(\d+ full\)\n$`)

// The command prints the table of the generation that it names.
func TestCLIDumpSync(t *testing.T) {
	c := setup(t)
	h := newHistorian(t, c, 1000)
	stop := h.churn(t, true)
	r := bulkdump(t, "dump", "--sync", "-o", "jsonl")
	stop()
	m := ofGeneration.FindStringSubmatch(r.stderr)
	if r.code != 0 || m == nil {
		t.Fatalf("exit code %d, stderr %q", r.code, r.stderr)
	}
	generation, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var got []client.Entry
	for line := range strings.Lines(r.stdout) {
		var e client.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if n := len(got); n > 0 && e.ID <= got[n-1].ID {
			t.Fatalf("id %d after %d", e.ID, got[n-1].ID)
		}
		got = append(got, e)
	}
	if want := h.at(generation); !maps.Equal(generations(got), want) {
		t.Errorf("generation %d: %d entries, want %d, or they differ", generation, len(got), len(want))
	}
}
