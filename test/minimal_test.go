// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// These tests also work for each family that started as a copy of minimal/.
// BULKDUMP_FAMILY is the name of the family and of its module.
var (
	minimalCopy   = os.Getenv("BULKDUMP_FAMILY")
	minimalModule = cmp.Or(minimalCopy, "bulkdump_minimal")
	minimalFamily = cmp.Or(minimalCopy, "bulkdump_min")
)

const (
	minimalCmdGet = 1
	minimalID     = 1
	minimalValue  = 2
)

func loadMinimal(t testing.TB, entries int) {
	t.Helper()
	loadCopied(t, minimalModule, fmt.Sprintf("entries=%d", entries))
}

// loadCopied loads a module that is a template, or a copy of one, until the
// test ends.
func loadCopied(t testing.TB, module, params string) {
	t.Helper()
	if minimalCopy == "" {
		setup(t)
	} else {
		// It is loaded instead of the project's module.
		guestOnly(t)
		if err := unload(module); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Fatal(err)
		}
	}
	load(t, module, params)
	t.Cleanup(func() { mustUnload(t, module) })
}

func resizeMinimal(t testing.TB, entries int) {
	t.Helper()
	writeMinimal(t, "entries", fmt.Sprint(entries))
}

func writeMinimal(t testing.TB, parameter, text string) {
	t.Helper()
	writeFile(t, "/sys/module/"+minimalModule+"/parameters/"+parameter, text)
}

// dumpMinimal reads a dump and calls between after each record. It returns the
// number of records, the number of marked ones, and how the dump ended.
func dumpMinimal(t testing.TB, between func(n int)) (n, marked int, last error) {
	t.Helper()
	return dumpMinimalBy(t, smallBuffer, between)
}

// dumpMinimalBy does the same with pages of that size.
func dumpMinimalBy(t testing.TB, size int, between func(n int)) (n, marked int, last error) {
	t.Helper()
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{BufferSize: size})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	req := nldump.Message{Type: getFamily(t, minimalFamily).ID, Data: request(minimalCmdGet)}
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			return n, marked, err
		}
		var id, value uint32
		a := nldump.Parse(m.Data[4:])
		for a.Next() {
			switch a.Type() {
			case minimalID:
				id = a.Uint32()
			case minimalValue:
				value = a.Uint32()
			}
		}
		if a.Err() != nil || m.Data[0] != minimalCmdGet || m.Flags&unix.NLM_F_MULTI == 0 {
			t.Fatalf("record %d: command %d, flags %#x, error %v", n, m.Data[0], m.Flags, a.Err())
		}
		if id != 10*uint32(n) || value != ^id {
			t.Fatalf("record %d has id %d and value %d", n, id, value)
		}
		n++
		if m.Flags&flagIntr != 0 {
			marked++
		}
		between(n)
	}
	return n, marked, nil
}

func TestMinimalDump(t *testing.T) {
	loadMinimal(t, 0)
	for _, entries := range []int{0, 1, 100, int(large()) / 10} {
		resizeMinimal(t, entries)
		if n, marked, err := dumpMinimal(t, func(int) {}); err != nil || marked != 0 || n != entries {
			t.Errorf("%d records, %d of them marked, error %v; want %d", n, marked, err, entries)
		}
	}
	resizeMinimal(t, 1000)
	for size := smallBuffer; size <= smallBuffer+36; size += 4 { // each place in a record at which a page may end
		if n, _, err := dumpMinimalBy(t, size, func(int) {}); err != nil || n != 1000 {
			t.Errorf("pages of %d bytes: %d records, error %v; want 1000", size, n, err)
		}
	}
	resizeMinimal(t, 1)
	wantOnePage(t, minimalFamily, 1)
}

// wantOnePage wants all records of a small table and DONE on one page.
func wantOnePage(t testing.TB, family string, records int) {
	t.Helper()
	s := openRaw(t, family, smallBuffer)
	s.send(minimalCmdGet, flagDump)
	ms, _ := s.read()
	if len(ms) != records+1 || ms[records].Type != unix.NLMSG_DONE {
		t.Errorf("the first page has %d messages, want %d and DONE", len(ms), records)
	}
}

// A writer waits until a page is made. So a dump of one page has all of a change or
// nothing.
func TestMinimalPageIsOneState(t *testing.T) {
	loadMinimal(t, 0)
	wantOneState(t, minimalFamily, minimalModule, "entries", "0", "50", func(nldump.Message) int { return 1 })
}

// wantOneState takes dumps of one page while somebody writes two values to a
// parameter: with one, the table is empty, with the other it has 50 objects. count
// returns those in a message.
func wantOneState(t *testing.T, family, module, parameter, none, fifty string, count func(nldump.Message) int) {
	t.Helper()
	file, err := os.OpenFile("/sys/module/"+module+"/parameters/"+parameter, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var enough atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !enough.Load() {
			for _, text := range []string{none, fifty} {
				if _, err := file.WriteAt([]byte(text), 0); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer func() {
		enough.Store(true)
		writer.Wait()
	}()
	s := openRaw(t, family, smallBuffer)
	seen := make(map[int]int)
	dumps := 0
	waitFor(t, "dumps of both states", func() bool {
		s.send(minimalCmdGet, flagDump)
		pages, _ := s.readDump()
		n := 0
		for _, m := range slices.Concat(pages...) {
			if m.Type != unix.NLMSG_DONE {
				n += count(m)
			}
		}
		seen[n]++
		dumps++
		return dumps >= unwatched(1000) && len(seen) >= 2
	})
	if len(seen) != 2 || seen[0] == 0 || seen[50] == 0 {
		t.Errorf("dumps, by how many objects they had: %v, want 0 and 50 only", seen)
	}
}

// An entry that is made, changed or removed between two pages, behind the cursor and
// before it. The others come, and the change is reported.
func TestMinimalDumpEntry(t *testing.T) {
	const entries = 4000
	loadMinimal(t, entries)
	s := openRaw(t, minimalFamily, smallBuffer)
	for _, tt := range []struct {
		what  string
		entry string
		count int // of records that come
		id    uint32
		value uint32 // of that id; 0 if it does not come
	}{
		{"made before the cursor", "5 1", entries, 5, 0},
		{"removed before the cursor", "5", entries + 1, 5, 1}, // it was sent
		{"made behind the cursor", "39985 1", entries + 1, 39985, 1},
		{"changed behind the cursor", "39985 2", entries + 1, 39985, 2},
		{"removed behind the cursor", "39985", entries, 39985, 0},
		{"gone already", "39985", entries, 39985, 0},
		{"made with the largest id", "4294967294 1", entries + 1, 4294967294, 1},
	} {
		s.send(minimalCmdGet, flagDump)
		n, value, marked := 0, uint32(0), false
		for page, done := 0, false; !done; page++ {
			read, _ := s.read()
			for _, m := range read {
				marked = marked || m.Flags&flagIntr != 0
				if done = m.Type == unix.NLMSG_DONE; done {
					break
				}
				n++
				a := nldump.Parse(m.Data[4:])
				a.Find(minimalID)
				if a.Uint32() == tt.id && a.Find(minimalValue) {
					value = a.Uint32()
				}
			}
			if page == 1 {
				writeMinimal(t, "entry", tt.entry)
			}
		}
		if n != tt.count || value != tt.value || !marked {
			t.Errorf("%s: %d records, value %d, marked %t; want %d, %d, true", tt.what, n, value, marked, tt.count, tt.value)
		}
	}
}

// entries tells how many there are, and leaves none beside those that it makes.
func TestMinimalParameters(t *testing.T) {
	loadMinimal(t, 10)
	for _, tt := range []struct {
		parameter, text string
		want            int
	}{
		{"entry", "5 1", 11}, {"entry", "5 2", 11}, {"entry", "5", 10}, {"entry", "5", 10}, {"entry", "4294967294 1", 11},
		{"entry", "5 1", 12}, {"entry", "10", 11}, {"entries", "4", 4}, {"entries", "10", 10},
	} {
		writeMinimal(t, tt.parameter, tt.text)
		if n, err := os.ReadFile("/sys/module/" + minimalModule + "/parameters/entries"); err != nil || strings.TrimSpace(string(n)) != fmt.Sprint(tt.want) {
			t.Errorf("%s=%q: there are %q, %v, want %d", tt.parameter, tt.text, n, err, tt.want)
		}
	}
	if n, _, err := dumpMinimal(t, func(int) {}); n != 10 || err != nil {
		t.Errorf("%d records, %v, want 10", n, err)
	}
}

// What is no entry, and no size, is refused.
func TestMinimalParametersRefused(t *testing.T) {
	loadMinimal(t, 10)
	for _, tt := range []struct{ parameter, text string }{
		{"entry", "\n"}, {"entry", "x"}, {"entry", "-10"}, {"entry", "10 x"}, {"entry", "10x"}, {"entry", "10 1 1"},
		{"entry", "4294967295"}, {"entry", "4294967295 1"}, {"entry", "4294967303 5"}, {"entry", "10 4294967296"},
		{"entry", "18446744073709551626"}, {"entry", "18446744073709551626 5"}, {"entry", "10 18446744073709551626"},
		{"entries", "\n"}, {"entries", "-1"}, {"entries", "1x"}, {"entries", "429496730"},
	} {
		if err := os.WriteFile("/sys/module/"+minimalModule+"/parameters/"+tt.parameter, []byte(tt.text), 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s=%q: %v, want EINVAL", tt.parameter, tt.text, err)
		}
	}
	if n, _, err := dumpMinimal(t, func(int) {}); n != 10 || err != nil {
		t.Errorf("%d records, %v, want 10", n, err)
	}
}

// Every entry that stays comes, and the change is reported.
func TestMinimalDumpInterrupted(t *testing.T) {
	const before = 4000
	loadMinimal(t, before)
	for _, after := range []int{before / 2, before, 2 * before} {
		resizeMinimal(t, before)
		n, marked, err := dumpMinimal(t, func(n int) {
			if n == 1 {
				resizeMinimal(t, after)
			}
		})
		if !errors.Is(err, nldump.ErrInterrupted) {
			t.Errorf("from %d to %d: error %v, want %v", before, after, err, nldump.ErrInterrupted)
		}
		if n != after || marked != 1 {
			t.Errorf("from %d to %d: %d records, %d of them marked, want 1", before, after, n, marked)
		}
	}
}

// A change between the start and the first page is reported, too.
func TestMinimalDumpChangedEarly(t *testing.T) {
	loadMinimal(t, 100)
	wantEarlyChangeTold(t, minimalFamily, func() { resizeMinimal(t, 200) })
}

// wantEarlyChangeTold starts a dump without room for its first page, and checks
// the mark on the first record.
func wantEarlyChangeTold(t testing.TB, family string, change func()) {
	t.Helper()
	s := openRaw(t, family, smallBuffer)
	s.stuff()
	seq := s.send(minimalCmdGet, flagDump)
	change()
	for {
		n, err := s.recv(0)
		if err == unix.ENOBUFS {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if first := messages(t, s.buf[:n])[0]; first.Seq == seq {
			if first.Type != s.family || first.Flags&flagIntr == 0 {
				t.Errorf("the first record: type %d, flags %#x", first.Type, first.Flags)
			}
			return
		}
	}
}

func TestMinimalDumpParked(t *testing.T) {
	loadMinimal(t, 10_000)
	s := openRaw(t, minimalFamily, smallBuffer)
	s.send(minimalCmdGet, flagDump)
	if err := unload(minimalModule); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("unload during a dump: %v, want EAGAIN", err)
	}
	s.read()
	s.close() // so that loadMinimal can unload the module
}

func TestMinimalDumpRefusesAttributes(t *testing.T) {
	loadMinimal(t, 10)
	wantAttributesRefused(t, minimalFamily, minimalID, minimalValue)
}

// wantAttributesRefused requests dumps with these attributes, and with one that
// does not exist.
func wantAttributesRefused(t testing.TB, family string, types ...uint16) {
	t.Helper()
	s := openRaw(t, family, smallBuffer)
	for _, typ := range append(types, 60) {
		if v := s.ask(flagDump, request(minimalCmdGet, attrU32(typ, 1))); v.errno != unix.EINVAL || v.text == "" {
			t.Errorf("attribute %d: %v %q, want EINVAL with an explanation", typ, v.errno, v.text)
		}
	}
}
