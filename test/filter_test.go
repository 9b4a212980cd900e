// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// filtered is what a filter is to leave of a table.
func filtered(all []client.Entry, o client.DumpOptions) (ids []uint32) {
	for _, e := range all {
		if (o.IDFrom == nil || e.ID >= *o.IDFrom) && (o.IDTo == nil || e.ID <= *o.IDTo) &&
			strings.HasPrefix(e.Name, o.NamePrefix) && e.Flags&o.FlagsMask == o.Flags {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Filters, alone and together, with every cursor that has the order of ids.
func TestFilters(t *testing.T) {
	c := setup(t)
	r := rand.New(rand.NewPCG(5, 6))
	for id := range uint32(1000) {
		makeEntry(t, c, client.Entry{ID: id * 7, Name: fmt.Sprintf("%c%c%d", 'a'+rune(r.IntN(3)), 'a'+rune(r.IntN(3)), id), Flags: r.Uint32N(16)})
	}
	all := collect(t, c, client.DumpOptions{})
	some := 0
	for i := range 120 {
		o := client.DumpOptions{Cursor: []client.Cursor{client.CursorKey, client.CursorIndex}[i%2], Encoding: encodings[i%3]}
		if r.IntN(2) == 0 {
			o.IDFrom = ptr(r.Uint32N(5000))
		}
		if r.IntN(2) == 0 {
			o.IDTo = ptr(5000 + r.Uint32N(2500))
		}
		if r.IntN(2) == 0 {
			o.NamePrefix = []string{"a", "ab", "abc", "b1", "c", "ca12"}[r.IntN(6)]
		}
		if r.IntN(2) == 0 {
			o.FlagsMask = 1 + r.Uint32N(15)
			o.Flags = r.Uint32() & o.FlagsMask
		}
		got, want := mustDump(t, c, o), filtered(all, o)
		if fmt.Sprint(got.ids) != fmt.Sprint(want) {
			t.Errorf("%+v: %d records, want %d", o, len(got.ids), len(want))
		}
		if narrow := o.IDFrom != nil || o.IDTo != nil || o.NamePrefix != "" || o.FlagsMask != 0; got.stats.Filtered != narrow {
			t.Errorf("%+v: NLM_F_DUMP_FILTERED: %v", o, got.stats.Filtered)
		}
		if n := len(want); n > 0 && n < len(all) {
			some++
		}
	}
	if some < 40 {
		t.Errorf("only %d filters left some entries and not all", some)
	}
}

// Rule 10: every record and DONE tell that a filter was applied, and none does
// if there is none.
func TestFilteredOnEveryMessage(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 300})
	for _, tt := range []struct {
		name  string
		attr  []byte
		wants bool
	}{
		{"nothing", nil, false},
		{"fields", attrU32(attrFields, 1), false},
		{"cursor", attrU32(attrCursor, uint32(client.CursorWalker)), false},
		{"id", nest(attrFilter, attrU32(attrIDTo, 200)), true},
		{"prefix", nest(attrFilter, attrText(attrNamePrefix, "entry-1")), true},
		{"flags", nest(attrFilter, attrU32(attrFlagsValue, 1), attrU32(attrFlagsMask, 1)), true},
		{"nothing left", nest(attrFilter, attrText(attrNamePrefix, "x")), true},
		{"since", attr(attrSince, 1, 0, 0, 0), true},
	} {
		for _, encoding := range encodings {
			s := openRaw(t, client.FamilyName, 64<<10)
			body := [][]byte{attrU32(attrEncoding, uint32(encoding))}
			if tt.attr != nil {
				body = append(body, tt.attr)
			}
			since := attrU32(attrSince, uint32(state(t, c).LogFloor))
			if tt.name == "since" {
				body[1] = since
			}
			s.send(cmdEntryGet, flagDump, body...)
			pages, _ := s.readDump()
			for _, ms := range pages {
				for _, m := range ms {
					if got := m.Flags&flagFiltered != 0; got != tt.wants {
						t.Fatalf("%s, %v: message of type %d has flags %#x", tt.name, encoding, m.Type, m.Flags)
					}
					if m.Flags&unix.NLM_F_MULTI == 0 {
						t.Fatalf("%s, %v: message of type %d without NLM_F_MULTI", tt.name, encoding, m.Type)
					}
				}
			}
		}
	}
}

// A dump from an id on starts there, and one up to an id ends there.
func TestFilterByIDDoesNotScan(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 20_000})
	before := state(t, c).Scanned
	d := mustDump(t, c, client.DumpOptions{IDFrom: ptr(uint32(7000)), IDTo: ptr(uint32(7099))})
	scanned := state(t, c).Scanned - before
	if len(d.ids) != 100 || scanned < 100 || scanned > 110 { // one for each page again
		t.Errorf("%d records, %d entries looked at", len(d.ids), scanned)
	}
}

// A filter that nothing passes makes no page, so the kernel goes through the
// whole table in one system call; but it lets itself be killed there.
func TestFilteredScanCanBeKilled(t *testing.T) {
	c := setup(t)
	count := aMillion(t)
	fill(t, c, client.FillOptions{Count: count})
	eachCursor(t, func(t *testing.T, cursor client.Cursor) {
		before := state(t, c)
		cmd := exec.Command("bulkdump", "dump", "-o", "count", "--name-prefix", "nothing", "--cursor", cursor.String())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "a dump that is open", func() bool { return state(t, c).DumpsOpen == 1 })
		if err := cmd.Process.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		after := checkCounters(t, c)
		// Index counts what it has passed again after each pause, which is
		// looking at it; in all that is 100 times the table and more.
		if scanned := after.Scanned - before.Scanned; scanned == 0 || cursor != client.CursorIndex && scanned >= uint64(count) {
			t.Errorf("%d of %d entries were looked at", scanned, count)
		}
	})
}
