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
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

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
	r := ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if i := slices.Index(args, "-o"); i > 0 && args[i+1] == "json" && r.code == 0 {
		if err := fitsSchema(t, args[0], r.stdout); err != nil {
			t.Errorf("bulkdump %s: %v", strings.Join(args, " "), err)
		}
	}
	return r
}

var schemas = map[string]*jsonschema.Schema{} // by command

// fitsSchema compares what a command printed with the schema that the program has.
func fitsSchema(t testing.TB, command, text string) error {
	t.Helper()
	if schemas[command] == nil {
		schema, err := jsonschema.UnmarshalJSON(strings.NewReader(mustRun(t, "schema", command)))
		if err != nil {
			return err
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(command, schema); err != nil {
			return err
		}
		if schemas[command], err = c.Compile(command); err != nil {
			return err
		}
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schemas[command].Validate(value)
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
