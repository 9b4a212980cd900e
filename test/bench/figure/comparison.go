// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// Bulkdump is the reader that the libraries are compared with.
const Bulkdump = "bulkdump"

// A Comparison is what readers of the kernel's own tables took. It is timed, so
// only the ratios within one table mean something on another machine.
type Comparison struct {
	Kernel string          `json:"kernel"`
	Go     string          `json:"go"`
	Rounds int             `json:"rounds"` // the least of them counts
	Tables []ComparedTable `json:"tables"`
}

// A ComparedTable is one of the kernel's tables.
type ComparedTable struct {
	Name    string    `json:"name"`
	Entries int       `json:"entries"`
	Skipped string    `json:"skipped,omitempty"` // why there are no readings
	Readers []Reading `json:"readers,omitempty"`
}

// A Reading is what one reader took: a process, from its start to its end.
type Reading struct {
	Reader  string        `json:"reader"`
	Skipped string        `json:"skipped,omitempty"` // why it was not measured
	Wall    time.Duration `json:"wall_ns,omitempty"`
	User    time.Duration `json:"user_ns,omitempty"`
	System  time.Duration `json:"system_ns,omitempty"`
	PeakRSS uint64        `json:"peak_rss,omitempty"` // bytes
}

// ReadComparison reads what Write wrote.
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

// Least keeps the less of two readings of the same reader: of wall time, of
// processor time, of memory. The kernel knows the processor time of a process
// exactly, but how much of it was the user's only by its ticks, so the two stay
// together.
func (r Reading) Least(other Reading) Reading {
	r.Wall, r.PeakRSS = min(r.Wall, other.Wall), min(r.PeakRSS, other.PeakRSS)
	if other.User+other.System < r.User+r.System {
		r.User, r.System = other.User, other.System
	}
	return r
}

// bulkdump is our reading of a table.
func (t *ComparedTable) bulkdump() (Reading, error) {
	for _, r := range t.Readers {
		if r.Reader == Bulkdump {
			return r, nil
		}
	}
	return Reading{}, fmt.Errorf("%s: no reading of %s", t.Name, Bulkdump)
}

// WriteTables writes a table for each of the kernel's.
func (c *Comparison) WriteTables(w io.Writer) error {
	for i := range c.Tables {
		if err := c.writeTable(w, &c.Tables[i]); err != nil {
			return err
		}
	}
	return nil
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
	for _, r := range t.Readers {
		if r.Skipped != "" {
			fmt.Fprintf(w, "  %s: skipped: %s\n", r.Reader, r.Skipped)
		}
	}
	_, err = fmt.Fprintln(w)
	return err
}

// Paste returns the text with these tables in place of those that it has.
func (c *Comparison) Paste(text string) (string, error) {
	return paste(text, "make compare-keep", c.WriteTables)
}

// times is n as a multiple of ours. A processor's time may be too short for the
// kernel's clock.
func times[T time.Duration | uint64](n, ours T) string {
	if ours == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(n)/float64(ours))
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// WriteBars draws how much time a reader of a table takes, as a multiple of
// ours, and how much memory.
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
