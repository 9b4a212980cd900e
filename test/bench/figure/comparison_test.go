// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func comparison() *Comparison {
	return &Comparison{Kernel: "6.1", Go: "go1.26", Rounds: 3, Tables: []ComparedTable{
		{Name: "routes", Entries: 1000, Readers: []Reading{
			{Reader: Bulkdump, Wall: 10 * time.Millisecond, User: 4 * time.Millisecond, System: 6 * time.Millisecond, PeakRSS: 5 << 20},
			{Reader: "list", Wall: 40 * time.Millisecond, User: 36 * time.Millisecond, System: 9 * time.Millisecond, PeakRSS: 500 << 20},
			{Reader: "ip", Skipped: "no iproute2 here"},
		}},
		{Name: "conntrack", Entries: 1000, Skipped: "the kernel has none"},
	}, AtOnce: []AtOnce{{Bulkdump, 1.92}, {"bare loop", 1.955}}, AtOnceEntries: 500}
}

func TestComparisonTables(t *testing.T) {
	var b strings.Builder
	if err := comparison().WriteTables(&b); err != nil {
		t.Fatal(err)
	}
	want := `1000 routes, kernel 6.1: multiples of bulkdump, the least of 3 rounds

            WALL   CPU  USER   SYS  PEAK RSS  WALL MS  USER MS  SYS MS  RSS MIB
  bulkdump  1.00  1.00  1.00  1.00      1.00       10        4       6      5.0
      list  4.00  4.50  9.00  1.50    100.00       40       36       9    500.0
  ip: skipped: no iproute2 here

conntrack, kernel 6.1: skipped: the kernel has none

500 routes in each of two namespaces, kernel 6.1: both at once, how many times as fast as one after the other

                ×
   bulkdump  1.92
  bare loop  1.96
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Counted, a table has instructions per record. Those of a process that reads an
// empty table are not the records'.
func TestComparisonCounts(t *testing.T) {
	c := comparison()
	c.Counted = true
	c.Tables[0].Readers[0].Empty = 9_500_000
	c.Tables[0].Readers[1].Empty = 38_000_000
	var b strings.Builder
	if err := c.WriteTables(&b); err != nil {
		t.Fatal(err)
	}
	want := `1000 routes, kernel 6.1: instructions per record, the least of 3 rounds

            RECORD     ×  START, 1000
  bulkdump     500  1.00         9500
      list    2000  4.00        38000
  ip: skipped: no iproute2 here

conntrack, kernel 6.1: skipped: the kernel has none

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// A count that differs by more than the tolerance is told, and so is one that is
// not kept.
func TestComparisonDifferences(t *testing.T) {
	counted := func(ours, pages time.Duration) *Comparison {
		return &Comparison{Counted: true, Tables: []ComparedTable{{Name: "routes", Entries: 1000, Readers: []Reading{
			{Reader: Bulkdump, Wall: ours, Empty: 100_000},
			{Reader: "bulkdump pages", Wall: pages, Empty: 100_000},
			{Reader: "bare loop", Wall: 600_000, Empty: 100_000},
			{Reader: "list", Wall: ours * pages},
		}}}}
	}
	kept := counted(1_100_000, 900_000)
	if got := counted(1_130_000, 880_000).Differences(kept); got != nil {
		t.Errorf("%q", got)
	}
	want := []string{
		"1000 routes, bulkdump: 1050.0 instructions per record, kept are 1000.0: +5.0 %",
		"1000 routes, bulkdump pages: 760.0 instructions per record, kept are 800.0: -5.0 %",
	}
	if got := counted(1_150_000, 860_000).Differences(kept); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	want = []string{"1000 routes, bulkdump: not in both", "1000 routes, bulkdump pages: not in both", "1000 routes, bare loop: not in both"}
	if got := kept.Differences(&Comparison{}); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Without a reading of ours, there is nothing to compare with.
func TestComparisonWithoutOurs(t *testing.T) {
	c := comparison()
	c.Tables[0].Readers = c.Tables[0].Readers[1:]
	if err := c.WriteTables(io.Discard); err == nil {
		t.Error("a table is written")
	}
	if err := c.Tables[0].WriteBars(io.Discard, "6.1"); err == nil {
		t.Error("bars are drawn")
	}
	if got := times(time.Second, 0); got != "-" {
		t.Errorf("a multiple of nothing is %s", got)
	}
}

func TestComparisonBars(t *testing.T) {
	c := comparison()
	got := wellFormed(t, func(w io.Writer) error { return c.Tables[0].WriteBars(w, "6.1") })
	for _, bar := range []string{
		`x="140.0" y="64.0" width="65.0" height="16.0" class="fill"`,
		`x="140.0" y="86.0" width="260.0" height="16.0" class="fill"`,
		`x="480.0" y="64.0" width="2.6" height="16.0" class="user"`,
		`x="480.0" y="86.0" width="260.0" height="16.0" class="user"`,
	} {
		if !strings.Contains(got, bar) {
			t.Errorf("no %s in\n%s", bar, got)
		}
	}
	if strings.Contains(got, ">ip<") {
		t.Error("a reader that was skipped is drawn")
	}
	if err := c.Tables[1].WriteBars(io.Discard, "6.1"); !errors.Is(err, ErrNothing) {
		t.Errorf("bars of a table that was skipped: %v", err)
	}
}

func TestLeast(t *testing.T) {
	a := Reading{Reader: "x", Wall: 1, User: 5, System: 3, PeakRSS: 9}
	b := Reading{Reader: "x", Wall: 2, User: 6, System: 1, PeakRSS: 8}
	want := Reading{Reader: "x", Wall: 1, User: 6, System: 1, PeakRSS: 8}
	if a.Least(b) != want || b.Least(a) != want {
		t.Errorf("%+v, %+v", a.Least(b), b.Least(a))
	}
}

func TestComparisonWriteAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compare.json")
	var b bytes.Buffer
	if err := comparison().Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadComparison(file); err != nil || !reflect.DeepEqual(got, comparison()) {
		t.Errorf("%+v, %v", got, err)
	}
}

// The README has the tables of the comparisons in the repository.
func TestREADMEHasTheComparisons(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"../pictures/compare.json", "../pictures/compare-counted.json"} {
		c, err := ReadComparison(file)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := c.Paste(string(text)); err != nil || want != string(text) {
			t.Errorf("README.md and %s have different tables: make compare-keep makes both (%v)", file, err)
		}
	}
}
