// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkdump/client"
)

func TestDumpFormats(t *testing.T) {
	const tableHead = "        ID       FLAGS                 VALUE  PAYLOAD      HITS            GENERATION  NAME\n"
	const csvHead = "id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n"
	all := []client.Entry{first, seven, last}
	for _, tt := range []struct {
		name, format string
		records      []client.Entry
		want         string
	}{
		{"table", "table", all, tableHead +
			"         0  0x00000000                     0        0         0                     1  first\n" +
			"         7  0x00000010                    49        3         3                    12  seven\n" +
			"4294967295  0xffffffff  18446744073709551615        0  99999999  18446744073709551615  \"last, \\\"quoted\\\"\"\n"},
		{"json", "json", all, "[\n" +
			`{"id":0,"name":"first","flags":0,"value":0,"stats":{"hits":0,"bytes":0},"generation":1},` + "\n" +
			`{"id":7,"name":"seven","flags":16,"value":49,"payload":"wP/u","stats":{"hits":3,"bytes":9,` +
			`"created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05.000000678Z"},"generation":12},` + "\n" +
			`{"id":4294967295,"name":"last, \"quoted\"","flags":4294967295,"value":18446744073709551615,` +
			`"stats":{"hits":99999999,"bytes":18446744073709551615},"generation":18446744073709551615}` + "\n]\n"},
		{"jsonl", "jsonl", all[:2], "" +
			`{"id":0,"name":"first","flags":0,"value":0,"stats":{"hits":0,"bytes":0},"generation":1}` + "\n" +
			`{"id":7,"name":"seven","flags":16,"value":49,"payload":"wP/u","stats":{"hits":3,"bytes":9,` +
			`"created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05.000000678Z"},"generation":12}` + "\n"},
		{"csv", "csv", all, csvHead +
			"0,first,0,0,,0,0,,,1,false\n" +
			"7,seven,16,49,c0ffee,3,9,2026-01-02T03:04:05Z,2026-01-02T03:04:05.000000678Z,12,false\n" +
			`4294967295,"last, ""quoted""",4294967295,18446744073709551615,,99999999,18446744073709551615,,,18446744073709551615,false` + "\n"},
		{"count", "count", all, "3\n"},
		{"empty table", "table", nil, tableHead},
		{"empty json", "json", nil, "[\n]\n"},
		{"empty jsonl", "jsonl", nil, ""},
		{"empty csv", "csv", nil, csvHead},
		{"empty count", "count", nil, "0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, &fakeTable{records: tt.records}, "dump", "-o", tt.format).check(t, ran{stdout: tt.want})
		})
	}
}

// names that some format has to treat with care.
var names = []string{
	"plain", "two words", " blanks ", `quote " quote`, `back\slash`, "comma,comma", "new\nline", "\n", "tab\t",
	"bell\a escape\x1b[31m", "del\x7f", "c1 \u009b31m", "zero\x00byte", "größe", "日本", "bidi \u202e", "line \u2028",
	"\xff\xfe", "half \xc3", "<html>&amp;", "<b>two words</b>", "'", `""`, "", strings.Repeat("x", client.NameLenMax),
}

// entries with those names, and values that differ.
func namedEntries() []client.Entry {
	var all []client.Entry
	for i, name := range names {
		e := client.Entry{ID: uint32(i), Name: name, Flags: uint32(i) << 28, Value: 1 << i, Generation: uint64(i) + 1}
		if i%2 == 1 {
			e.Payload = bytes.Repeat([]byte{byte(i), 0xff}, i)
			e.Stats = client.Stats{Hits: 1 << i, Bytes: 2 << i, Created: time.Unix(int64(i), 0).UTC(), Updated: time.Unix(1<<34, int64(i)).UTC()}
		}
		all = append(all, e)
	}
	return all
}

// deleted is what a dump with since sends of a deleted entry.
var deleted = client.Entry{ID: 1<<32 - 1, Generation: 1 << 40, Deleted: true}

func TestJSONIsThatOfEntry(t *testing.T) {
	all := append(namedEntries(), deleted)
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	for i := range all {
		if err := e.Encode(all[i]); err != nil {
			t.Fatal(err)
		}
	}
	// But for these, which a terminal might take for more than text.
	text := strings.NewReplacer("\x7f", `\u007f`, "\u009b", `\u009b`, "\u202e", `\u202e`).Replace(want.String())
	f := &fakeTable{records: all}
	run(t, f, "dump", "-o", "jsonl").check(t, ran{stdout: text})

	lines := strings.TrimSuffix(text, "\n")
	array := "[\n" + strings.ReplaceAll(lines, "\n", ",\n") + "\n]\n"
	run(t, f, "dump", "-o", "json").check(t, ran{stdout: array})
}

// encoding/csv reads back the entries, byte for byte.
func TestCSVIsReadBack(t *testing.T) {
	all := append(namedEntries(), deleted)
	got := run(t, &fakeTable{records: all}, "dump", "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, got.stdout)
	}
	if len(rows) != len(all)+1 {
		t.Fatalf("got %d rows, want %d", len(rows), len(all)+1)
	}
	when := func(v time.Time) string {
		if v.IsZero() {
			return ""
		}
		return v.Format(time.RFC3339Nano)
	}
	for i, e := range all {
		want := []string{
			strconv.FormatUint(uint64(e.ID), 10), e.Name, strconv.FormatUint(uint64(e.Flags), 10),
			strconv.FormatUint(e.Value, 10), hex.EncodeToString(e.Payload), strconv.FormatUint(e.Stats.Hits, 10),
			strconv.FormatUint(e.Stats.Bytes, 10), when(e.Stats.Created), when(e.Stats.Updated),
			strconv.FormatUint(e.Generation, 10), strconv.FormatBool(e.Deleted),
		}
		if !slices.Equal(rows[i+1], want) {
			t.Errorf("row of %q:\ngot  %q\nwant %q", e.Name, rows[i+1], want)
		}
	}
}

// No name can control the terminal, and each line of a table is one entry.
func TestTableIsOnlyText(t *testing.T) {
	all := namedEntries()
	lines := strings.Split(run(t, &fakeTable{records: all}, "dump").stdout, "\n")
	if len(lines) != len(all)+2 {
		t.Fatalf("got %d lines, want %d", len(lines), len(all)+2)
	}
	nameAt := strings.Index(lines[0], "NAME")
	for i, e := range all {
		line := lines[i+1]
		got := line[nameAt:]
		if unquoted, err := strconv.Unquote(got); got != e.Name && (err != nil || unquoted != e.Name) {
			t.Errorf("name: got %s, want %q", got, e.Name)
		}
		if strings.Contains(e.Name, " ") && got == e.Name {
			t.Errorf("name: got %s, want it in quotes, to show where it ends", got)
		}
		one := run(t, &fakeTable{entry: e}, "get", "1").stdout
		for _, text := range []string{line, one} {
			for _, r := range strings.ReplaceAll(text, "\n", "") {
				if !strconv.IsPrint(r) {
					t.Errorf("%q has the character %U", text, r)
				}
			}
		}
		if e.Name != "" && !strings.Contains(one, " "+got+"\n") { // no entry is without
			t.Errorf("get prints %q, dump %q", one, got)
		}
	}
}

func TestTableOfDeleted(t *testing.T) {
	lines := strings.Split(run(t, &fakeTable{records: []client.Entry{seven, deleted}}, "dump", "--since", "1").stdout, "\n")
	want := "4294967295           -                     -        -         -         1099511627776  (deleted)"
	if lines[2] != want || len(lines[1]) <= strings.Index(want, "(") || lines[1][strings.Index(want, "("):] != seven.Name {
		t.Errorf("got\n%s\n%s\nwant\n%s", lines[1], lines[2], want)
	}
}
