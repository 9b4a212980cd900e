// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

const tracefs = "/sys/kernel/tracing"

// A tracer collects the module's trace events, in a buffer of its own.
type tracer struct {
	t   testing.TB
	dir string
	all []traced
}

// A traced is an event: its name and its fields.
type traced struct {
	name   string
	fields map[string]string
}

func (e traced) number(field string) int64 {
	n, err := strconv.ParseInt(e.fields[field], 0, 64)
	if err != nil {
		return -1 << 62
	}
	return n
}

func (e traced) String() string { return fmt.Sprint(e.name, e.fields) }

// trace starts to collect the events whose names match a shell pattern.
func trace(t testing.TB, events string) *tracer {
	t.Helper()
	if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil && err != unix.EBUSY {
		t.Fatal(err)
	}
	tr := &tracer{t: t, dir: filepath.Join(tracefs, "instances", "test")}
	if err := os.Mkdir(tr.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tr.on("0", "*")
		if err := unix.Rmdir(tr.dir); err != nil {
			t.Error(err)
		}
	})
	// It counts the events of all processors. The global clock may give two of them
	// the same time, and then their order is lost (kernel/trace/trace_clock.c).
	tr.write("trace_clock", "counter")
	tr.on("1", events)
	return tr
}

func (tr *tracer) write(file, text string) {
	tr.t.Helper()
	writeFile(tr.t, filepath.Join(tr.dir, file), text)
}

func (tr *tracer) on(value, events string) {
	tr.t.Helper()
	files, err := filepath.Glob(filepath.Join(tr.dir, "events/bulkdump", events, "enable"))
	if err != nil || len(files) == 0 {
		tr.t.Fatalf("no event %s (%v)", events, err)
	}
	for _, f := range files {
		writeFile(tr.t, f, value)
	}
}

var traceLine = regexp.MustCompile(`: (\w+): (.*)$`)

// events returns all that was collected since the start.
func (tr *tracer) events() []traced {
	tr.t.Helper()
	text, err := os.ReadFile(filepath.Join(tr.dir, "trace"))
	if err != nil {
		tr.t.Fatal(err)
	}
	if bytes.Contains(text, []byte("LOST")) {
		tr.t.Fatal("the trace lost events")
	}
	tr.all = tr.all[:0]
	for line := range strings.Lines(string(text)) {
		m := traceLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		e := traced{name: m[1], fields: make(map[string]string)}
		for field := range strings.FieldsSeq(m[2]) {
			key, value, _ := strings.Cut(field, "=")
			e.fields[key] = value
		}
		tr.all = append(tr.all, e)
	}
	return tr.all
}

// count returns how many events with a name were collected.
func (tr *tracer) count(name string) (n int) {
	tr.t.Helper()
	for _, e := range tr.events() {
		if e.name == name {
			n++
		}
	}
	return n
}

// The events of a dump match what its reader got.
func TestTraceOfDump(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 1000})
	tr := trace(t, "dump_*")
	s := openRaw(t, client.FamilyName, 64<<10)
	seq := s.send(cmdEntryGet, flagDump)
	pages, sizes := s.readDump()
	checkCounters(t, c)

	events := tr.events()
	if len(events) < 3 {
		t.Fatalf("%d events", len(events))
	}
	start, done := events[0], events[len(events)-1]
	if start.name != "dump_start" || start.number("err") != 0 || done.name != "dump_done" || done.number("abandoned") != 0 {
		t.Errorf("from %v to %v", start, done)
	}
	for i, e := range events {
		if e.number("seq") != int64(seq) || e.number("portid") != start.number("portid") || e.number("netns") <= 0 {
			t.Errorf("%v is of another dump", e)
		}
		if i == 0 || i == len(events)-1 {
			continue
		}
		records, bytes, last := 0, 0, i == len(events)-2
		if i <= len(pages) {
			records, bytes = len(pages[i-1]), sizes[i-1]
		}
		if last { // with DONE, or without any record
			records, bytes = max(records-1, 0), max(bytes-20, 0)
		}
		if e.name != "dump_page" || e.number("records") != int64(records) || e.number("bytes") != int64(bytes) || (e.number("ret") == 0) != last {
			t.Errorf("page %d: %v, want %d records in %d bytes", i, e, records, bytes)
		}
		if e.number("rmem") <= 0 || e.number("rcvbuf") <= 0 || e.number("room") < e.number("bytes") {
			t.Errorf("page %d: %v", i, e)
		}
	}
	if place := events[len(events)-2].number("place"); place != 1000 {
		t.Errorf("the last place is %d, want 1000", place)
	}
}

// There are also events for a refused dump and for an abandoned one.
func TestTraceOfDumpThatFails(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 1000})
	tr := trace(t, "dump_*")
	s := openRaw(t, client.FamilyName, 64<<10)
	if v := s.ask(flagDump, request(cmdEntryGet, attrU32(attrSince, 0))); v.errno != unix.ESTALE {
		t.Fatalf("%+v, want ESTALE", v)
	}
	if e := tr.events(); len(e) != 1 || e[0].name != "dump_start" || e[0].number("err") != -int64(unix.ESTALE) {
		t.Errorf("of the refused one: %v", e)
	}
	s.send(cmdEntryGet, flagDump)
	s.close()
	checkCounters(t, c)
	events := tr.events()
	if done := events[len(events)-1]; done.name != "dump_done" || done.number("abandoned") != 1 {
		t.Errorf("at the end of the abandoned one: %v", done)
	}
}

func TestTraceOfChanges(t *testing.T) {
	c := setup(t)
	tr := trace(t, "table_change")
	makeEntry(t, c, client.Entry{ID: 5})
	if _, err := c.Set(t.Context(), client.Change{ID: 5, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delete(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	fill(t, c, client.FillOptions{Count: 10, IDStart: 7})
	// Generations pass, but there is no change.
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 5, IDStart: 5}); err == nil {
		t.Fatal("a fill over a taken id succeeded")
	}
	flush(t, c)
	generation := int64(state(t, c).Generation)
	want := []struct {
		change         string
		id, generation int64
	}{{"new", 5, generation - 18}, {"set", 5, generation - 17}, {"del", 5, generation - 16}, {"fill", 7, generation - 6}, {"flush", 0, generation}}
	events := tr.events()
	if len(events) != len(want) {
		t.Fatalf("%v, want %v", events, want)
	}
	for i, w := range want {
		if e := events[i]; e.fields["change"] != w.change || e.number("id") != w.id || e.number("generation") != w.generation {
			t.Errorf("%v, want %v", e, w)
		}
	}
}
