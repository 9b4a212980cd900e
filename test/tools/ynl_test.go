// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"bulkdump/client"
)

// ynlTool is the command line of the newest kernel source.
const ynlTool = "/ynl/pyynl/cli.py"

// ynlArgs returns the arguments that all runs share. Validating the spec
// against the schema takes long, so another test does that.
func ynlArgs(args ...string) []string {
	return append([]string{"-u", ynlTool, "--spec", specFile, "--no-schema", "--output-json"}, args...)
}

// ynl runs the tool and decodes the JSON output into v.
func ynl(t *testing.T, v any, args ...string) (stderr string) {
	t.Helper()
	stdout, stderr := run(t, "python3", ynlArgs(args...)...)
	if err := decode([]byte(stdout), v); err != nil {
		t.Fatalf("ynl %s: %v\n%s", strings.Join(args, " "), err, stdout)
	}
	return stderr
}

// decode decodes JSON. An unknown member is an error.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func mustDecode(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := decode(text, v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// hexBytes are bytes in the format of the tool's JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	if len(text) > 0 {
		*h, err = hex.DecodeString(string(text))
	}
	return err
}

// ynlEntry is an entry, or a page of columns, as the tool prints it.
type ynlEntry struct {
	ID         uint32
	Name       string
	Flags      uint32
	Value      uint64
	Payload    hexBytes
	Stats      struct{ Hits, Bytes, Created, Updated uint64 }
	Generation uint64
	Deleted    bool
	Columns    *ynlColumns
}

func (e *ynlEntry) entry() client.Entry {
	return client.Entry{ID: e.ID, Name: e.Name, Flags: e.Flags, Value: e.Value, Payload: e.Payload, Generation: e.Generation,
		Deleted: e.Deleted, Stats: client.Stats{Hits: e.Stats.Hits, Bytes: e.Stats.Bytes,
			Created: timeOf(e.Stats.Created), Updated: timeOf(e.Stats.Updated)}}
}

func timeOf(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns)).UTC()
}

// changed is the reply to a change.
type changed struct {
	ID         uint32
	Generation uint64
}

// The spec fits the kernel's schema.
func TestYNLValidatesTheSpec(t *testing.T) {
	setup(t)
	if out, _ := run(t, "python3", ynlTool, "--spec", specFile, "--validate"); out != "" {
		t.Error(out)
	}
}

// The stock tool runs every do operation, and prints the same about the table
// as the Go client.
func TestYNLDoes(t *testing.T) {
	c := setup(t)
	first := state(t, c).Generation
	var replies [9]json.RawMessage
	ynl(t, &replies,
		"--multi", "entry-new", `{"id": 7, "name": "seven", "flags": 3, "value": 1099511627776, "payload": "00ff10"}`,
		"--multi", "entry-new", `{"id": 4294967295, "name": "last"}`,
		"--multi", "entry-set", `{"id": 7, "value": 18446744073709551615, "flags": 4026531840}`,
		"--multi", "entry-set", `{"id": 9, "name": "nine", "create": true}`,
		"--multi", "entry-del", `{"id": 4294967295}`,
		"--multi", "entry-get", `{"id": 7}`,
		"--multi", "entry-get", `{"name": "nine"}`,
		"--multi", "table-fill", `{"count": 100, "seed": 3, "id-start": 1000, "id-stride": 2, "payload-min": 1, "payload-max": 9}`,
		"--multi", "table-get", `{}`)

	var table map[string]uint64
	mustDecode(t, replies[8], &table)
	if want := tableMap(t, state(t, c)); !reflect.DeepEqual(table, want) {
		t.Errorf("table-get: %v, want %v", table, want)
	}
	for i, id := range []uint32{7, 4294967295, 7, 9, 4294967295} {
		var got changed
		mustDecode(t, replies[i], &got)
		if want := (changed{id, first + 1 + uint64(i)}); got != want {
			t.Errorf("change %d: %+v, want %+v", i, got, want)
		}
	}
	seven := client.Entry{ID: 7, Name: "seven", Flags: 4026531840, Value: 18446744073709551615, Payload: []byte{0, 255, 16}}
	for i, want := range []client.Entry{seven, {ID: 9, Name: "nine"}} {
		var reply ynlEntry
		mustDecode(t, replies[5+i], &reply)
		got := reply.entry()
		e, err := c.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		// There was one more lookup since the tool's request.
		got.Stats.Hits++
		got.Stats.Bytes += uint64(len(got.Payload))
		if !reflect.DeepEqual(got, e) {
			t.Errorf("entry-get: %+v, want %+v", got, e)
		}
		want.Stats, want.Generation = e.Stats, e.Generation
		if !reflect.DeepEqual(e, want) {
			t.Errorf("entry %d is %+v, want %+v", want.ID, e, want)
		}
	}
	if _, err := c.Get(t.Context(), 4294967295); err == nil {
		t.Error("the deleted entry is there")
	}
	var filled struct{ Count, Generation, Checksum uint64 }
	mustDecode(t, replies[7], &filled)
	var sum client.Checksum
	count := uint64(0)
	for r, err := range c.Records(t.Context(), client.DumpOptions{IDFrom: ptr(uint32(1000))}) {
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(r)
		count++
	}
	if filled.Count != 100 || count != 100 || filled.Checksum != uint64(sum) || filled.Generation != table["generation"] {
		t.Errorf("table-fill: %+v, and a dump has %d entries with the checksum %d", filled, count, sum)
	}

	var flushed struct{ Count, Generation uint64 }
	ynl(t, &flushed, "--do", "table-flush")
	if s := state(t, c); flushed.Count != 102 || flushed.Generation != s.Generation || s.Count != 0 {
		t.Errorf("table-flush: %+v, and then %+v", flushed, s)
	}
}

func state(t *testing.T, c *client.Client) client.Table {
	t.Helper()
	s, err := c.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tableMap returns the client's figures under the names of the spec.
func tableMap(t *testing.T, s client.Table) map[string]uint64 {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]uint64{}
	mustDecode(t, []byte(strings.ReplaceAll(string(text), "_", "-")), &m)
	return m
}

// The stock tool prints the text and the attribute of a refusal.
func TestYNLTellsRefusals(t *testing.T) {
	setup(t)
	out, err := exec.CommandContext(t.Context(), "python3", ynlArgs("--dump", "entry-get", "--json", `{"cursor": 4}`)...).CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Netlink error: ", "Numerical result out of range", ".cursor"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
}
