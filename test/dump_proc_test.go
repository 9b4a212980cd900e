// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkdump/client"
)

const procFile = "/proc/thread-self/net/bulkdump"

// procLine returns the expected line of an entry.
func procLine(e client.Entry) string {
	escape := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`)
	return fmt.Sprintf("%d 0x%x %d %d %d %s", e.ID, e.Flags, e.Value, e.Generation, len(e.Payload), escape.Replace(e.Name))
}

func readProc(t testing.TB) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(procFile)
	if err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != "id flags value generation payload name" {
		t.Fatalf("header %q", lines[0])
	}
	return lines[1:]
}

// The file has the same entries as a dump.
func TestProcIsTheTable(t *testing.T) {
	c := setup(t)
	if lines := readProc(t); len(lines) != 0 {
		t.Errorf("of an empty table: %q", lines)
	}
	fill(t, c, client.FillOptions{Count: 5000, IDStart: 5, IDStride: 1000, PayloadMax: 9})
	makeEntry(t, c, client.Entry{ID: 0, Name: "a b\tc\nd\\e"})
	makeEntry(t, c, client.Entry{ID: 1<<32 - 2, Name: "last but one"})
	makeEntry(t, c, client.Entry{ID: 1<<32 - 1, Name: "last", Flags: 1<<32 - 1, Value: 1<<64 - 1})
	all := collect(t, c, client.DumpOptions{})
	lines := readProc(t)
	if len(lines) != len(all) {
		t.Fatalf("%d lines, %d entries", len(lines), len(all))
	}
	for i, e := range all {
		if lines[i] != procLine(e) {
			t.Fatalf("line %d is %q, want %q", i+1, lines[i], procLine(e))
		}
	}
}

// Entries that are created or deleted between two reads do not shift others.
func TestProcUnderChange(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 1000, IDStride: 2})
	f, err := os.Open(procFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	times := make(map[uint32]int)
	r := bufio.NewReaderSize(f, 16)
	_, _ = r.ReadString('\n')
	for n := uint32(0); ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		var id uint32
		if _, err := fmt.Sscan(line, &id); err != nil {
			t.Fatal(err)
		}
		times[id]++
		if n%50 == 0 { // an entry that was read, the next one, and a new one
			for _, at := range []uint32{n &^ 3, (id + 204) &^ 3} {
				_, _ = c.Delete(t.Context(), at)
			}
			makeEntry(t, c, client.Entry{ID: id | 1})
		}
	}
	for id := uint32(2); id < 2000; id += 4 { // never touched
		if times[id] != 1 {
			t.Errorf("id %d was read %d times", id, times[id])
		}
	}
}

// Each namespace has a file of its own.
func TestProcOfNamespace(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 10})
	inNewNetNS(t, func() {
		if n := len(readProc(t)); n != 0 {
			t.Errorf("%d entries in a new namespace", n)
		}
	})
	if n := len(readProc(t)); n != 10 {
		t.Errorf("%d entries here, want 10", n)
	}
}
