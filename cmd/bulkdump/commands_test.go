// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"bulkdump/client"
)

// What each command asks of the table, and what it prints in each format.
func TestCommands(t *testing.T) {
	idMin, idMax := uint32(0), uint32(0xffffffff)
	state := client.Table{Count: 1, Generation: 2, IDMin: &idMin, IDMax: &idMax, Bytes: 5, RecordMax: 6, EntriesMax: 7,
		DumpsStarted: 8, DumpsFinished: 9, DumpsAbandoned: 10, DumpsInterrupted: 11, DumpsOpen: 12, Pages: 13, Records: 14,
		Scanned: 15, DumpsMemory: 16, LogFloor: 17, Tombstones: 18, TombstonesMax: 19}
	const sevenJSON = `{"id":7,"name":"seven","flags":16,"value":49,"payload":"wP/u","stats":{"hits":3,"bytes":9,` +
		`"created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05.000000678Z"},"generation":12}` + "\n"
	for _, tt := range []struct {
		args   []string
		asked  string
		format map[string]string
	}{
		{[]string{"fill", "5", "--seed", "9", "--id-start", "0x10", "--id-stride", "2", "--payload-min", "3", "--payload-max", "60000"},
			"fill {Count:5 Seed:9 IDStart:16 IDStride:2 PayloadMin:3 PayloadMax:60000}",
			map[string]string{
				"table": "count       5\ngeneration  3\nchecksum    0x0000000000000abc\n",
				"json":  "{\n  \"count\": 5,\n  \"generation\": 3,\n  \"checksum\": \"0x0000000000000abc\"\n}\n",
				"jsonl": `{"count":5,"generation":3,"checksum":"0x0000000000000abc"}` + "\n",
				"csv":   "count,generation,checksum\n5,3,0x0000000000000abc\n",
			}},
		{[]string{"get", "7"}, "get 7", map[string]string{
			"table": "id          7\nname        seven\nflags       0x00000010\nvalue       49\npayload     3 bytes: c0 ff ee\n" +
				"hits        3\nbytes       9\ncreated     2026-01-02T03:04:05Z\nupdated     2026-01-02T03:04:05.000000678Z\n" +
				"generation  12\n",
			"json": "{\n  \"id\": 7,\n  \"name\": \"seven\",\n  \"flags\": 16,\n  \"value\": 49,\n  \"payload\": \"wP/u\",\n" +
				"  \"stats\": {\n    \"hits\": 3,\n    \"bytes\": 9,\n    \"created\": \"2026-01-02T03:04:05Z\",\n" +
				"    \"updated\": \"2026-01-02T03:04:05.000000678Z\"\n  },\n  \"generation\": 12\n}\n",
			"jsonl": sevenJSON,
			"csv": "id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n" +
				"7,seven,16,49,c0ffee,3,9,2026-01-02T03:04:05Z,2026-01-02T03:04:05.000000678Z,12,false\n",
		}},
		{[]string{"get", "--name", "a b"}, `get name "a b"`, map[string]string{"jsonl": sevenJSON}},
		{[]string{"new", "0xffffffff", "n", "--flags", "0xFFFFFFFF", "--value", "18446744073709551615", "--payload", "text"},
			`new 4294967295 "n" flags=0xffffffff value=18446744073709551615 payload="text"`,
			map[string]string{
				"table": "id          4294967295\ngeneration  1000\n",
				"json":  "{\n  \"id\": 4294967295,\n  \"generation\": 1000\n}\n",
				"jsonl": `{"id":4294967295,"generation":1000}` + "\n",
				"csv":   "id,generation\n4294967295,1000\n",
			}},
		{[]string{"new", "0", "zero"}, `new 0 "zero" flags=0x0 value=0 payload=""`, map[string]string{"csv": "id,generation\n0,1000\n"}},
		{[]string{"new", "010", "ten"}, `new 10 "ten" flags=0x0 value=0 payload=""`, map[string]string{"csv": "id,generation\n10,1000\n"}},
		{[]string{"new", "0XA", "ten"}, `new 10 "ten" flags=0x0 value=0 payload=""`, map[string]string{"csv": "id,generation\n10,1000\n"}},
		{[]string{"set", "0", "--value", "1"}, "set 0", map[string]string{
			"table": "id          0\ngeneration  1001\n",
			"json":  "{\n  \"id\": 0,\n  \"generation\": 1001\n}\n",
			"jsonl": `{"id":0,"generation":1001}` + "\n",
			"csv":   "id,generation\n0,1001\n",
		}},
		{[]string{"del", "7"}, "del 7", map[string]string{
			"table": "        ID            GENERATION\n         7                  2007\n",
			"json":  "[\n{\"id\":7,\"generation\":2007}\n]\n",
			"jsonl": `{"id":7,"generation":2007}` + "\n",
			"csv":   "id,generation\n7,2007\n",
		}},
		{[]string{"flush"}, "flush", map[string]string{
			"table": "count       12\ngeneration  34\n",
			"json":  "{\n  \"count\": 12,\n  \"generation\": 34\n}\n",
			"jsonl": `{"count":12,"generation":34}` + "\n",
			"csv":   "count,generation\n12,34\n",
		}},
		{[]string{"table"}, "table", map[string]string{
			"table": "count              1\ngeneration         2\nid-min             0\nid-max             4294967295\nbytes              5\n" +
				"record-max         6\nentries-max        7\ndumps-started      8\ndumps-finished     9\ndumps-abandoned    10\n" +
				"dumps-interrupted  11\ndumps-open         12\npages              13\nrecords            14\n" +
				"scanned            15\ndumps-memory       16\nlog-floor          17\ntombstones         18\ntombstones-max     19\n",
			"jsonl": `{"count":1,"generation":2,"id_min":0,"id_max":4294967295,"bytes":5,"record_max":6,"entries_max":7,` +
				`"dumps_started":8,"dumps_finished":9,"dumps_abandoned":10,"dumps_interrupted":11,"dumps_open":12,` +
				`"pages":13,"records":14,"scanned":15,"dumps_memory":16,"log_floor":17,"tombstones":18,"tombstones_max":19}` + "\n",
			"csv": "count,generation,id-min,id-max,bytes,record-max,entries-max,dumps-started,dumps-finished,dumps-abandoned," +
				"dumps-interrupted,dumps-open,pages,records,scanned,dumps-memory,log-floor,tombstones,tombstones-max\n" +
				"1,2,0,4294967295,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19\n",
		}},
	} {
		for format, want := range tt.format {
			t.Run(fmt.Sprint(tt.args, format), func(t *testing.T) {
				f := &fakeTable{entry: seven, state: state}
				run(t, f, append(tt.args, "-o", format)...).check(t, ran{stdout: want})
				if want := []string{tt.asked, "close"}; !slices.Equal(f.asked, want) {
					t.Errorf("asked: got %q, want %q", f.asked, want)
				}
			})
		}
	}
}

// An empty table has no bounds.
func TestTableEmpty(t *testing.T) {
	f := &fakeTable{state: client.Table{Generation: 1}}
	run(t, f, "table", "-o", "csv").check(t, ran{stdout: "count,generation,id-min,id-max,bytes,record-max,entries-max,dumps-started," +
		"dumps-finished,dumps-abandoned,dumps-interrupted,dumps-open,pages,records,scanned,dumps-memory,log-floor,tombstones," +
		"tombstones-max\n0,1,,,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n"})
	run(t, f, "table").check(t, ran{stdout: "" +
		"count              0\ngeneration         1\nbytes              0\nrecord-max         0\nentries-max        0\n" +
		"dumps-started      0\ndumps-finished     0\ndumps-abandoned    0\ndumps-interrupted  0\ndumps-open         0\n" +
		"pages              0\nrecords            0\nscanned            0\ndumps-memory       0\nlog-floor          0\n" +
		"tombstones         0\ntombstones-max     0\n"})
}

// The defaults of the flags, and what is given without a format.
func TestFillDefaults(t *testing.T) {
	f := &fakeTable{}
	run(t, f, "fill", "4294967295").check(t, ran{stdout: "count       4294967295\ngeneration  3\nchecksum    0x0000000000000abc\n"})
	if want := "fill {Count:4294967295 Seed:0 IDStart:0 IDStride:1 PayloadMin:0 PayloadMax:0}"; f.asked[0] != want {
		t.Errorf("asked: got %q, want %q", f.asked[0], want)
	}
	// Without --payload-max all payloads are of the same size.
	if got := run(t, f, "fill", "1", "--payload-min", "9"); got.code != 0 {
		t.Errorf("with --payload-min alone: exit code %d, stderr %q", got.code, got.stderr)
	}
}

// set changes what is given, even if it is zero, and nothing else.
func TestSetChangesOnlyWhatIsGiven(t *testing.T) {
	name, flags, value := "ten", uint32(0), uint64(0)
	for _, tt := range []struct {
		args []string
		want client.Change
	}{
		{[]string{"--name", "ten"}, client.Change{Name: &name}},
		{[]string{"--flags", "0"}, client.Change{Flags: &flags}},
		{[]string{"--value", "0"}, client.Change{Value: &value}},
		{[]string{"--payload", ""}, client.Change{Payload: []byte{}}},
		{[]string{"--name", "ten", "--create"}, client.Change{Name: &name, Create: true}},
		{[]string{"--name", "ten", "--flags", "0", "--value", "0", "--payload", "x"},
			client.Change{Name: &name, Flags: &flags, Value: &value, Payload: []byte("x")}},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			f := &fakeTable{}
			run(t, f, append([]string{"set", "10"}, tt.args...)...).check(t, ran{stdout: "id          10\ngeneration  1001\n"})
			tt.want.ID = 10
			if !reflect.DeepEqual(f.change, tt.want) {
				t.Errorf("got %#v, want %#v", f.change, tt.want)
			}
		})
	}
}
