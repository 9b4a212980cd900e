// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"bulkdump/client"
)

// pagesOf yields the pages, and then the error if it is not nil.
func pagesOf(err error, pages ...*client.Columns) iter.Seq2[*client.Columns, error] {
	return func(yield func(*client.Columns, error) bool) {
		for _, p := range pages {
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

var (
	first = &client.Columns{
		IDs: []uint32{1, 1<<32 - 1}, NameEnds: []uint16{3, 5}, Names: []byte("oneX\xff"), Flags: []uint32{11, 12}, Values: []uint64{21, 1<<64 - 1},
		PayloadEnds: []uint16{0, 2}, Payloads: []byte{7, 8}, Hits: []uint64{31, 32}, Bytes: []uint64{41, 42},
		Created: []uint64{1e9, 2e9}, Updated: []uint64{1e9 + 1, 2e9 + 1}, Generations: []uint64{51, 52},
	}
	second = &client.Columns{
		IDs: []uint32{7}, NameEnds: []uint16{5}, Names: []byte("seven"), Flags: []uint32{13}, Values: []uint64{0},
		PayloadEnds: []uint16{0}, Hits: []uint64{0}, Bytes: []uint64{0}, Created: []uint64{0}, Updated: []uint64{0}, Generations: []uint64{53},
	}
)

// readBack returns the rows of a stream, as Arrow prints them, by column.
func readBack(t *testing.T, stream []byte) (columns map[string][]string, batches int) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	columns = map[string][]string{}
	for r.Next() {
		batches++
		batch := r.RecordBatch()
		for i, c := range batch.Columns() {
			if c.NullN() > 0 {
				t.Errorf("%s has nulls", batch.ColumnName(i))
			}
			for row := range c.Len() {
				columns[batch.ColumnName(i)] = append(columns[batch.ColumnName(i)], c.ValueStr(row))
			}
		}
	}
	if r.Err() != nil && !errors.Is(r.Err(), io.EOF) {
		t.Error(r.Err())
	}
	return columns, batches
}

func TestWriteTable(t *testing.T) {
	var out bytes.Buffer
	if err := writeTable(&out, client.FieldsAll, pagesOf(nil, first, second)); err != nil {
		t.Fatal(err)
	}
	got, batches := readBack(t, out.Bytes())
	if batches != 1 {
		t.Errorf("%d batches", batches)
	}
	want := map[string]string{
		"id": "1 4294967295 7", "name": "one X\ufffd seven", "flags": "11 12 13", "value": "21 18446744073709551615 0",
		"payload": " Bwg= ", "hits": "31 32 0", "bytes": "41 42 0",
		"created": "1970-01-01T00:00:01Z 1970-01-01T00:00:02Z 1970-01-01T00:00:00Z",
		"updated": "1970-01-01T00:00:01.000000001Z 1970-01-01T00:00:02.000000001Z 1970-01-01T00:00:00Z", "generation": "51 52 53",
	}
	for name, text := range want {
		if row := strings.Join(got[name], " "); row != text {
			t.Errorf("%s: %q, want %q", name, row, text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("columns %v", got)
	}
}

func TestWriteSomeFields(t *testing.T) {
	var out bytes.Buffer
	page := &client.Columns{IDs: []uint32{1}, Values: []uint64{2}}
	if err := writeTable(&out, client.FieldValue, pagesOf(nil, page)); err != nil {
		t.Fatal(err)
	}
	if got, _ := readBack(t, out.Bytes()); len(got) != 2 || got["id"][0] != "1" || got["value"][0] != "2" {
		t.Errorf("columns %v", got)
	}
}

// An empty table is a stream with a schema and no rows.
func TestWriteNothing(t *testing.T) {
	var out bytes.Buffer
	if err := writeTable(&out, client.FieldsAll, pagesOf(nil)); err != nil {
		t.Fatal(err)
	}
	if got, batches := readBack(t, out.Bytes()); len(got) != 0 || batches != 0 {
		t.Errorf("%d batches: %v", batches, got)
	}
}

// Many pages make few batches, and no row is lost between them.
func TestBatches(t *testing.T) {
	const pages, rows = 300, 1000
	var out bytes.Buffer
	err := writeTable(&out, 0, func(yield func(*client.Columns, error) bool) {
		page := &client.Columns{IDs: make([]uint32, rows)}
		for p := range uint32(pages) {
			for i := range page.IDs {
				page.IDs[i] = p*rows + uint32(i)
			}
			if !yield(page, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	next, batches := uint32(0), 0
	for r.Next() {
		batches++
		for _, id := range r.RecordBatch().Column(0).(*array.Uint32).Uint32Values() {
			if id != next {
				t.Fatalf("id %d, want %d", id, next)
			}
			next++
		}
	}
	if next != pages*rows || batches != pages*rows/batchRows+1 {
		t.Errorf("%d rows in %d batches", next, batches)
	}
}

// A stream of an interrupted dump is whole; that of a dump that failed has no end.
func TestWriteTableFails(t *testing.T) {
	var whole, interrupted, failed bytes.Buffer
	if err := writeTable(&whole, client.FieldsAll, pagesOf(nil, first)); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(&interrupted, client.FieldsAll, pagesOf(client.ErrInterrupted, first)); !errors.Is(err, client.ErrInterrupted) {
		t.Error(err)
	}
	if !bytes.Equal(whole.Bytes(), interrupted.Bytes()) {
		t.Errorf("%d bytes, interrupted %d", whole.Len(), interrupted.Len())
	}
	if err := writeTable(&failed, client.FieldsAll, pagesOf(client.ErrBadReply, first)); !errors.Is(err, client.ErrBadReply) {
		t.Error(err)
	}
	if bytes.Equal(whole.Bytes(), failed.Bytes()) {
		t.Error("a table of which pages are missing looks whole")
	}
	if err := writeTable(io.Discard, client.FieldsAll, pagesOf(nil, &client.Columns{IDs: []uint32{1}})); !errors.Is(err, client.ErrBadReply) {
		t.Errorf("a page without values: %v", err)
	}
	full := errors.New("no space")
	if err := writeTable(failingWriter{full}, client.FieldsAll, pagesOf(nil, first)); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"--from 5 --to 4":    "--from 5 is above --to 4",
		"--from x":           "must be a number from 0 to 4294967295",
		"--to 4294967296":    "must be a number from 0 to 4294967295",
		"--fields nosuch":    "nosuch",
		"--name-prefix=":     "must have 1 to 63 bytes",
		"table.arrows":       "there are only flags",
		"--format parquet":   "unknown flag",
		"--allow-interupted": "unknown flag",
	} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), out, &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %d, %s", line, code, &stderr)
		}
		out.Close()
	}
	o, err := parse(strings.Fields("--from 0x10 --to 020 --fields value,stats --name-prefix eth --allow-interrupted"))
	if err != nil || *o.dump.IDFrom != 16 || *o.dump.IDTo != 20 || *o.dump.Fields != client.FieldValue|client.FieldStats ||
		o.dump.NamePrefix != "eth" || !o.allowInterrupted {
		t.Errorf("%+v, %v", o, err)
	}
}
