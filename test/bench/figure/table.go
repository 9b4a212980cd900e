// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTables writes two tables for each kernel: the cost of a record in tables
// of each size, and where the instructions go in the largest one. It ends with
// the speedup on two processors.
func (r *Report) WriteTables(w io.Writer) error {
	sizes := r.Sizes()
	for _, kernel := range r.Kernels() {
		if err := r.writeCosts(w, kernel, sizes); err != nil {
			return err
		}
		if err := r.writeSplit(w, kernel, sizes[len(sizes)-1]); err != nil {
			return err
		}
	}
	return r.writeSpeedups(w)
}

// writeCosts writes a line for each contender, with two columns for each size.
func (r *Report) writeCosts(w io.Writer, kernel string, sizes []uint32) error {
	fmt.Fprintf(w, "Kernel %s: instructions per record, and as a multiple of %s\n\n", kernel, Ours)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "ENTRIES")
	for _, n := range sizes {
		fmt.Fprintf(tw, "\t%d\t×", n)
	}
	fmt.Fprintln(tw, "\t")
	for _, c := range r.Contenders() {
		fmt.Fprint(tw, c)
		for _, n := range sizes {
			fmt.Fprintf(tw, "\t%s\t%s", r.cost(kernel, c, n), r.ratio(kernel, c, n))
		}
		fmt.Fprintln(tw, "\t")
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (r *Report) cost(kernel, contender string, entries uint32) string {
	if f := r.Find(kernel, contender, entries); f != nil {
		return fmt.Sprintf("%.0f", f.Cost())
	}
	return "-"
}

func (r *Report) ratio(kernel, contender string, entries uint32) string {
	f, ours := r.Find(kernel, contender, entries), r.Find(kernel, Ours, entries)
	if f == nil || ours == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", f.Cost()/ours.Cost())
}

// Split says where the instructions of a record go.
type Split struct {
	Fill float64 // in the kernel, without the copy
	Copy float64 // reading the same number of bytes from a file
	User float64 // outside of system calls
}

// Split splits a figure. It returns false if the parts are unknown.
func (r *Report) Split(f *Figure) (s Split, ok bool) {
	floor := r.Find(f.Kernel, CopyOf+Ours+settingOf(f.Contender), f.Entries)
	if floor == nil {
		floor = r.Find(f.Kernel, CopyOf+Ours, f.Entries)
	}
	if f.System == nil || f.Bytes == nil || floor == nil || floor.System == nil || floor.Bytes == nil {
		return s, false
	}
	// The product comes first, so the fill of the floor itself is 0, not -0.0.
	s.Copy = float64(*floor.System) * float64(*f.Bytes) / float64(*floor.Bytes) / float64(f.Records)
	s.Fill = f.PerRecord(*f.System) - s.Copy
	s.User = f.Cost() - f.PerRecord(*f.System)
	return s, true
}

// writeSplit writes a line for each contender.
func (r *Report) writeSplit(w io.Writer, kernel string, entries uint32) error {
	fmt.Fprintf(w, "Kernel %s, %d entries: where they go, and what else it took\n\n", kernel, entries)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tALL\tFILL\tCOPY\tUSER\tBYTES/RECORD\tPAGES\tCALLS\tREADS\tRECORDS/READ\tMALLOCS/RECORD\tRSS KIB\t")
	for _, c := range r.Contenders() {
		f := r.Find(kernel, c, entries)
		if f == nil {
			continue
		}
		fmt.Fprintf(tw, "%s\t%.1f", c, f.Cost())
		if s, ok := r.Split(f); ok {
			fmt.Fprintf(tw, "\t%.1f\t%.1f\t%.1f", s.Fill, s.Copy, s.User)
		} else {
			fmt.Fprint(tw, "\t-\t-\t-")
		}
		fmt.Fprintf(tw, "\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n",
			known(f.Bytes, "%.1f", f.PerRecord), known(f.Pages, "%.0f", whole), known(f.Calls, "%.0f", whole), known(f.Reads, "%.0f", whole),
			known(f.Reads, "%.1f", func(n uint64) float64 { return float64(f.Records) / float64(n) }),
			known(f.Mallocs, "%.3f", f.PerRecord), known(f.PeakRSS, "%.0f", func(n uint64) float64 { return float64(n >> 10) }))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func whole(n uint64) float64 { return float64(n) }

// known formats a number that may be unknown.
func known(n *uint64, format string, of func(uint64) float64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf(format, of(*n))
}
