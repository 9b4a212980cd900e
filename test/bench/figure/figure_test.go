// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func sample() *Report {
	ours := Figure{
		Kernel: "6.1", Contender: Ours, Entries: 1000, Records: 1000, Instructions: 1_000_000,
		System: new(uint64(700_000)), Calls: new(uint64(12)), Reads: new(uint64(10)), Bytes: new(uint64(80_000)), Pages: new(uint64(10)),
		Mallocs: new(uint64(20)), PeakRSS: new(uint64(4 << 20)),
	}
	cat := Figure{Kernel: "6.1", Contender: "cat", Entries: 1000, Records: 500, Instructions: 1_500_000}
	floor := Figure{
		Kernel: "6.1", Contender: CopyOf + Ours, Entries: 1000, Records: 1000, Instructions: 110_000,
		Bytes: new(uint64(80_000)), System: new(uint64(100_000)),
	}
	collected := Figure{Kernel: "6.1", Contender: "collected", Entries: 2000, Records: 2000, Instructions: 2_000_000, Mallocs: new(uint64(2000))}
	larger := ours
	larger.Entries, larger.Records, larger.Instructions = 2000, 2000, 2_400_000
	return &Report{Processor: "max", Figures: []Figure{ours, cat, floor, larger, collected}}
}

func TestTables(t *testing.T) {
	r := sample()
	r.Figures = r.Figures[:3]
	r.Speedups = []Speedup{{"6.1", "cat", 1000, 1.954}, {"7.3", "ours, 2 sockets", 1000, 1}}
	var b strings.Builder
	if err := r.WriteTables(&b); err != nil {
		t.Fatal(err)
	}
	want := `Kernel 6.1: instructions per record, and as a multiple of go plain

           ENTRIES  1000     ×
          go plain  1000  1.00
               cat  3000  3.00
  copy of go plain   110  0.11

Kernel 6.1, 1000 entries: where they go, and what else it took

                       ALL   FILL   COPY   USER  BYTES/RECORD  PAGES  CALLS  READS  RECORDS/READ  MALLOCS/RECORD  RSS KIB
          go plain  1000.0  600.0  100.0  300.0          80.0     10     12     10         100.0           0.020     4096
               cat  3000.0      -      -      -             -      -      -      -             -               -        -
  copy of go plain   110.0    0.0  100.0   10.0          80.0      -      -      -             -               -        -

On two processors: how many times as fast, timed

                   KERNEL  ENTRIES     ×
              cat     6.1     1000  1.95
  ours, 2 sockets     7.3     1000  1.00

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// The cell of a size in which a contender was not measured is empty.
func TestTableOfTwoSizes(t *testing.T) {
	var b strings.Builder
	if err := sample().writeCosts(&b, "6.1", []uint32{1000, 2000}); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ENTRIES  1000     ×  2000     ×", "go plain  1000  1.00  1200  1.00", "cat  3000  3.00     -     -"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Report)
		want   string // in the only message
	}{
		"nothing":        {func(*Report) {}, ""},
		"a little more":  {func(r *Report) { r.Figures[0].Instructions = 1_039_000 }, ""},
		"more":           {func(r *Report) { r.Figures[0].Instructions = 1_041_000 }, "6.1, 1000 entries, go plain: 1041.0 instructions per record, kept are 1000.0: +4.1 %"},
		"less":           {func(r *Report) { r.Figures[0].Instructions = 959_000 }, "-4.1 %"},
		"in C":           {func(r *Report) { r.Figures[1].Instructions = 1_529_000 }, ""},
		"in C, more":     {func(r *Report) { r.Figures[1].Instructions = 1_531_000 }, "cat: 3062.0 instructions per record, kept are 3000.0: +2.1 %"},
		"collected":      {func(r *Report) { r.Figures[4].Instructions = 2_190_000 }, ""},
		"collected more": {func(r *Report) { r.Figures[4].Instructions = 2_210_000 }, "collected: 1105.0 instructions per record, kept are 1000.0: +10.5 %"},
		"no records":     {func(r *Report) { r.Figures[0].Instructions, r.Figures[0].Records = 0, 0 }, "NaN"},
		"not measured":   {func(r *Report) { r.Figures = slices.Delete(r.Figures, 3, 4) }, "6.1, 2000 entries, go plain: not measured now"},
		"another one":    {func(r *Report) { r.Figures = append(r.Figures, Figure{Kernel: "7.3", Contender: "x"}) }, "x: not among those kept"},
		"the processor":  {func(r *Report) { r.Processor = "host" }, ""},
	} {
		now := sample()
		c.change(now)
		got := Compare(sample(), now)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOnly(t *testing.T) {
	all := sample()
	only := all.Only(func(contender string) bool { return contender == "cat" })
	if got := only.Contenders(); !slices.Equal(got, []string{"cat"}) || !reflect.DeepEqual(all, sample()) {
		t.Errorf("%v, of %v", got, all.Contenders())
	}
}

func TestWriteAndRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := sample().Write(file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(file)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPaste(t *testing.T) {
	begin := tablesBegin("make bench-keep")
	for _, text := range []string{"", "# A text\n" + begin, tablesEnd + begin, tablesBegin("make compare-keep") + tablesEnd} {
		if got, err := sample().Paste(text); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
	got, err := sample().Paste("before\n" + begin + "old\n" + tablesEnd + "after\n")
	if err != nil || !strings.HasPrefix(got, "before\n"+begin+"Kernel 6.1") || !strings.HasSuffix(got, "\n"+tablesEnd+"after\n") ||
		strings.Contains(got, "old") {
		t.Errorf("%q, %v", got, err)
	}
	if again, err := sample().Paste(got); err != nil || again != got {
		t.Errorf("the second time: %q, %v", again, err)
	}
}

// The README has the tables of the figures in the repository.
func TestREADMEHasTheFigures(t *testing.T) {
	r, err := Read("../figures.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.Paste(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if want != string(text) {
		t.Error("README.md and figures.json have different tables: make bench-keep makes both")
	}
}

// What was measured again replaces what was kept, and what is new has its place.
func TestMerge(t *testing.T) {
	f := func(contender string, cost uint64) Figure {
		return Figure{Kernel: "6.1", Contender: contender, Entries: 10, Records: 1, Instructions: cost}
	}
	kept := &Report{Go: "1", Figures: []Figure{f("a", 1), f("b", 2), f("c", 3)}, Speedups: []Speedup{{Times: 2}}}
	other := f("b", 7)
	other.Entries = 20
	if err := kept.Merge(&Report{Go: "1", Figures: []Figure{f("new", 4), f("b", 5), f("after b", 6), other}}); err != nil {
		t.Fatal(err)
	}
	want := []Figure{f("new", 4), f("a", 1), f("b", 5), f("after b", 6), other, f("c", 3)}
	if !reflect.DeepEqual(kept.Figures, want) || len(kept.Speedups) != 1 {
		t.Errorf("%+v", kept)
	}
	if err := kept.Merge(&Report{Go: "2", Figures: []Figure{f("a", 8)}}); err == nil || kept.Figures[1].Instructions != 1 {
		t.Errorf("figures of two compilers are mixed: %v", err)
	}
}

// A figure of another setting is split by the copy that was measured there, or, if
// none was, by the first setting's.
func TestSplitInSettings(t *testing.T) {
	r := sample()
	ours, floor := r.Figures[0], r.Figures[2]
	for _, in := range []string{", guard grab", ", no rep movsb"} {
		other := ours
		other.Contender += in
		r.Figures = append(r.Figures, other)
	}
	floor.Contender += ", no rep movsb"
	floor.System = new(uint64(20_000))
	r.Figures = append(r.Figures, floor)
	for in, want := range map[string]Split{
		"":               {Fill: 600, Copy: 100, User: 300},
		", guard grab":   {Fill: 600, Copy: 100, User: 300},
		", no rep movsb": {Fill: 680, Copy: 20, User: 300},
	} {
		if got, ok := r.Split(r.Find("6.1", Ours+in, 1000)); !ok || got != want {
			t.Errorf("%s%s: %+v, want %+v", Ours, in, got, want)
		}
	}
}
