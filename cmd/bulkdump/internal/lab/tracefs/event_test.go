// SPDX-License-Identifier: BSD-3-Clause

package tracefs

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The kernel's own text, with a reader whose name looks like a part of it.
func TestParse(t *testing.T) {
	const text = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 2/2   #P:2\n#\n" +
		"        bulkdump-84      [001] .....     9.000001: guard_read_enter: readers=1 writing=0\n" +
		" a-1 [0] x: y-4194304 [000] d..1.    10.250002: table_change: netns=1 change=new id=7 generation=18446744073709551615\n"
	got, err := Parse([]byte(text))
	want := []Event{
		{84, 9_000_001, "guard_read_enter", "readers=1 writing=0"},
		{4194304, 10_250_002, "table_change", "netns=1 change=new id=7 generation=18446744073709551615"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	r := got[1].Read()
	if id, change, generation := r.Uint32("id"), r.Text("change"), r.Uint("generation", 64); id != 7 || change != "new" || generation != 1<<64-1 || r.Err() != nil {
		t.Errorf("%d %s %d, %v", id, change, generation, r.Err())
	}
	r = got[0].Read()
	if r.Bool("writing") || !r.Bool("readers") || r.Err() != nil {
		t.Errorf("flags, %v", r.Err())
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"CPU:1 [LOST 5 EVENTS]\n":                                                     ErrLost.Error(),
		"# entries-in-buffer/entries-written: 2/3   #P:2\n":                           ErrLost.Error(),
		"# entries-in-buffer/entries-written: 2/3\n":                                  ErrLost.Error(),
		" x-1 [000] ..... 1.000000\n":                                                 "not a line of a trace",
		" x-99999999999 [000] ..... 1.000000: guard_read_wait: readers=1 writing=0\n": "not a line of a trace",
	} {
		if got, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, got, err, want)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	e := Event{Name: "dump_page", fields: "ret=-5 records=x rmem=4294967296"}
	for want, read := range map[string]func(*Reader){
		"dump_page: field room: missing":                      func(r *Reader) { r.Text("room") },
		`field records: "x" is not a number of 32 bits`:       func(r *Reader) { r.Uint32("records") },
		`field rmem: "4294967296" is not a number of 32 bits`: func(r *Reader) { r.Uint32("rmem") },
		`field ret: "-5" is not a number of 1 bits`:           func(r *Reader) { r.Bool("ret") },
	} {
		r := e.Read()
		if read(r); r.Err() == nil || !strings.Contains(r.Err().Error(), want) {
			t.Errorf("%v, want %q", r.Err(), want)
		}
		first := r.Err()
		if r.Int("ret") != -5 || !errors.Is(r.Err(), first) {
			t.Errorf("%v took the place of %v", r.Err(), first)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# entries-in-buffer/entries-written: 1/1 #P:2\n x-1 [0] . 1.000000: dump_done: netns=1 portid=2 seq=3 abandoned=0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		events, err := Parse(text)
		if err != nil && events != nil {
			t.Error("events beside an error")
		}
		for _, e := range events {
			if e.Name == "" || e.TID < 0 {
				t.Errorf("%+v", e)
			}
			e.Read().Uint32("netns")
		}
	})
}

func TestTraceFSIsNeeded(t *testing.T) {
	dir := t.TempDir()
	for where, want := range map[string]string{
		filepath.Join(dir, "none"): "the kernel has no tracefs",
		dir:                        "tracefs is not mounted: mount -t tracefs tracefs " + dir,
	} {
		if _, err := New(where, "test"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", where, err, want)
		}
	}
}
