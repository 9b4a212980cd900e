// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Readers that allocate nothing for each record. The others are compared with Bulkdump.
const (
	Bulkdump = "bulkdump"
	Pages    = "bulkdump pages"
	BareLoop = "bare loop"
)

// A Comparison is the time and memory that readers of the kernel's own tables
// take. On another machine, only the ratios within one table are comparable.
type Comparison struct {
	Kernel  string          `json:"kernel"`
	Go      string          `json:"go"`
	Rounds  int             `json:"rounds"`            // the least of them counts
	Counted bool            `json:"counted,omitempty"` // a nanosecond of Wall and Empty is an instruction
	Tables  []ComparedTable `json:"tables"`

	AtOnce        []AtOnce `json:"at_once,omitempty"`
	AtOnceEntries int      `json:"at_once_entries,omitempty"` // in each of the two
}

// AtOnce says how many times as fast two namespaces' routes are read at once, on
// two processors, as one after the other.
type AtOnce struct {
	Reader string  `json:"reader"`
	Times  float64 `json:"times"`
}

// A ComparedTable is one of the kernel's tables.
type ComparedTable struct {
	Name    string    `json:"name"`
	Entries int       `json:"entries"`
	Skipped string    `json:"skipped,omitempty"` // why there are no readings
	Readers []Reading `json:"readers,omitempty"`
}

// A Reading is what one reader took, from the start of its process to the end.
type Reading struct {
	Reader  string        `json:"reader"`
	Skipped string        `json:"skipped,omitempty"` // why it was not measured
	Wall    time.Duration `json:"wall_ns,omitempty"`
	Empty   time.Duration `json:"empty_ns,omitempty"` // the same, before the entries were created
	User    time.Duration `json:"user_ns,omitempty"`
	System  time.Duration `json:"system_ns,omitempty"`
	PeakRSS uint64        `json:"peak_rss,omitempty"` // bytes
}

// ReadComparison reads a file that Write wrote.
func ReadComparison(file string) (*Comparison, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := new(Comparison)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Write writes the comparison as JSON.
func (c *Comparison) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(c)
}

// Least returns the least of two readings of the same reader, separately for
// wall time, processor time and memory. User and system time stay together: the
// kernel knows their sum exactly, but splits it by clock ticks.
func (r Reading) Least(other Reading) Reading {
	r.Wall, r.PeakRSS = min(r.Wall, other.Wall), min(r.PeakRSS, other.PeakRSS)
	if other.User+other.System < r.User+r.System {
		r.User, r.System = other.User, other.System
	}
	return r
}

// bulkdump returns our reading of the table.
func (t *ComparedTable) bulkdump() (Reading, error) {
	r, ok := t.reading(Bulkdump)
	if !ok {
		return r, fmt.Errorf("%s: no reading of %s", t.Name, Bulkdump)
	}
	return r, nil
}

func (t *ComparedTable) reading(name string) (r Reading, ok bool) {
	if i := slices.IndexFunc(t.Readers, func(r Reading) bool { return r.Reader == name }); i >= 0 {
		return t.Readers[i], true
	}
	return r, false
}

// WriteTables writes one table of figures for each compared table.
func (c *Comparison) WriteTables(w io.Writer) error {
	for i := range c.Tables {
		if err := c.writeTable(w, &c.Tables[i]); err != nil {
			return err
		}
	}
	if len(c.AtOnce) == 0 || c.Counted {
		return nil
	}
	fmt.Fprintf(w, "%d routes in each of two namespaces, kernel %s: both at once, how many times as fast as one after the other\n\n",
		c.AtOnceEntries, c.Kernel)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\t×\t")
	for _, a := range c.AtOnce {
		fmt.Fprintf(tw, "%s\t%.2f\t\n", a.Reader, a.Times)
	}
	return tw.Flush()
}

func (c *Comparison) writeTable(w io.Writer, t *ComparedTable) error {
	if t.Skipped != "" {
		_, err := fmt.Fprintf(w, "%s, kernel %s: skipped: %s\n\n", t.Name, c.Kernel, t.Skipped)
		return err
	}
	ours, err := t.bulkdump()
	if err != nil {
		return err
	}
	if c.Counted {
		if err := c.writeCounts(w, t, ours); err != nil {
			return err
		}
		return writeSkipped(w, t)
	}
	fmt.Fprintf(w, "%d %s, kernel %s: multiples of %s, the least of %d rounds\n\n", t.Entries, t.Name, c.Kernel, Bulkdump, c.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tWALL\tCPU\tUSER\tSYS\tPEAK RSS\tWALL MS\tUSER MS\tSYS MS\tRSS MIB\t")
	for _, r := range t.Readers {
		if r.Skipped != "" {
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%.0f\t%.0f\t%.1f\t\n", r.Reader,
			times(r.Wall, ours.Wall), times(r.User+r.System, ours.User+ours.System), times(r.User, ours.User), times(r.System, ours.System),
			times(r.PeakRSS, ours.PeakRSS),
			milliseconds(r.Wall), milliseconds(r.User), milliseconds(r.System), mib(r.PeakRSS))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return writeSkipped(w, t)
}

// writeCounts writes a table of instructions per record, without those of the start.
func (c *Comparison) writeCounts(w io.Writer, t *ComparedTable, ours Reading) error {
	fmt.Fprintf(w, "%d %s, kernel %s: instructions per record, the least of %d rounds\n\n", t.Entries, t.Name, c.Kernel, c.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tRECORD\t×\tSTART, 1000\t")
	for _, r := range t.Readers {
		if r.Skipped == "" {
			fmt.Fprintf(tw, "%s\t%.0f\t%.2f\t%d\t\n", r.Reader, t.perRecord(r), t.perRecord(r)/t.perRecord(ours), r.Empty.Microseconds())
		}
	}
	return tw.Flush()
}

// perRecord returns a reader's instructions per record, if they are counted.
func (t *ComparedTable) perRecord(r Reading) float64 {
	return float64(r.Wall-r.Empty) / float64(t.Entries)
}

// Has reports whether a table with this many entries was read.
func (c *Comparison) Has(name string, entries int) bool { return c.table(name, entries) != nil }

func (c *Comparison) table(name string, entries int) *ComparedTable {
	i := slices.IndexFunc(c.Tables, func(t ComparedTable) bool { return t.Name == name && t.Entries == entries })
	if i < 0 {
		return nil
	}
	return &c.Tables[i]
}

// steady are the readers that Differences compares. The others allocate for each
// record, so their figures also depend on when the garbage collector runs.
var steady = []string{Bulkdump, Pages, BareLoop}

// Differences returns the counts of steady readers that differ from the kept ones by
// more than the tolerance, of those tables that c has.
func (c *Comparison) Differences(kept *Comparison) []string {
	var all []string
	for _, now := range c.Tables {
		then := cmp.Or(kept.table(now.Name, now.Entries), new(ComparedTable))
		for _, name := range steady {
			n, measured := now.reading(name)
			k, known := then.reading(name)
			if !measured || !known {
				all = append(all, fmt.Sprintf("%d %s, %s: not in both", now.Entries, now.Name, name))
				continue
			}
			was, is := then.perRecord(k), now.perRecord(n)
			if change := is/was - 1; !(math.Abs(change) <= toleranceGo) {
				all = append(all, fmt.Sprintf("%d %s, %s: %.1f instructions per record, kept are %.1f: %+.1f %%",
					now.Entries, now.Name, name, is, was, 100*change))
			}
		}
	}
	return all
}

// writeSkipped writes which readers were not measured, and why.
func writeSkipped(w io.Writer, t *ComparedTable) error {
	for _, r := range t.Readers {
		if r.Skipped != "" {
			fmt.Fprintf(w, "  %s: skipped: %s\n", r.Reader, r.Skipped)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// Paste returns the text with its tables replaced by these.
func (c *Comparison) Paste(text string) (string, error) {
	if c.Counted {
		return paste(text, "make compare-keep COUNT=1", c.WriteTables)
	}
	return paste(text, "make compare-keep", c.WriteTables)
}

// times returns n as a multiple of ours. A processor time may be 0, because the
// kernel's clock is too coarse for it.
func times[T time.Duration | uint64](n, ours T) string {
	if ours == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(ours))
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// WriteBars draws the time and the memory of each reader of a table, as
// multiples of ours.
func (t *ComparedTable) WriteBars(w io.Writer, kernel string) error {
	const label, width, numbers, row, top = 140, 260, 80, 22, 72
	if t.Skipped != "" {
		return ErrNothing
	}
	ours, err := t.bulkdump()
	if err != nil {
		return err
	}
	var readers []Reading
	var slowest, largest float64
	for _, r := range t.Readers {
		if r.Skipped == "" {
			readers = append(readers, r)
			slowest, largest = max(slowest, r.Wall.Seconds()), max(largest, mib(r.PeakRSS))
		}
	}
	c := newCanvas(label+2*(width+numbers), top+10+row*len(readers))
	c.text(10, 22, "title", "", fmt.Sprintf("To read %d %s, kernel %s", t.Entries, t.Name, kernel))
	time, memory := float64(label), float64(label+width+numbers)
	c.text(time, 54, "", "", "wall time, as a multiple of "+Bulkdump)
	c.text(memory, 54, "", "", "peak RSS, MiB")
	for i, r := range readers {
		y := float64(top - 8 + i*row)
		c.text(label-8, y+13, "", "end", r.Reader)
		bar := func(x, part float64, class, text string) {
			c.rect(x, y, part*width, row-6, class)
			c.text(x+part*width+6, y+13, "", "", text)
		}
		bar(time, r.Wall.Seconds()/slowest, "fill", times(r.Wall, ours.Wall))
		bar(memory, mib(r.PeakRSS)/largest, "user", fmt.Sprintf("%.1f", mib(r.PeakRSS)))
	}
	return c.writeTo(w)
}
