// SPDX-License-Identifier: BSD-3-Clause

// Package figure has what the bench measures, and what becomes of it: a table,
// a comparison, plots.
package figure

// A Figure is what one contender took to read one table, once.
type Figure struct {
	Kernel    string `json:"kernel"`
	Contender string `json:"contender"`
	Entries   uint32 `json:"entries"` // of the table
	Records   uint64 `json:"records"` // that came

	// Instructions are all that the processor executed from the opening of the
	// socket to the end of the dump.
	Instructions uint64 `json:"instructions"`

	// System are those of them in system calls; nil where that is not known.
	System *uint64 `json:"system,omitempty"`

	Calls *uint64 `json:"calls,omitempty"` // system calls
	Reads *uint64 `json:"reads,omitempty"` // those of them that read, to peek too
	Bytes *uint64 `json:"bytes,omitempty"` // that those returned
	Pages *uint64 `json:"pages,omitempty"` // of the dump; nil if it was none

	Mallocs *uint64 `json:"mallocs,omitempty"`  // of Go's heap
	PeakRSS *uint64 `json:"peak_rss,omitempty"` // bytes
}

// Ours is the contender that the others are compared with.
const Ours = "go plain"

// CopyOf begins the name of the floor of another contender: a file of as many
// bytes, read.
const CopyOf = "copy of "

// Grabbed is ours where the module's guard is grab, not rcu: in a guest of its own.
const Grabbed = Ours + ", guard grab"

// A Clock is what the guest's clock counts, measured with loops whose
// instructions are known.
type Clock struct {
	Kernel     string  `json:"kernel"`
	NS         float64 `json:"ns_per_instruction"`
	Interrupts float64 `json:"interrupts"` // what they add, as a part of all
	Copied     float64 `json:"ns_per_byte_of_rep_movsb"`
}

// A Line is one of those that the guest prints: one of the three. Of what is
// profiled it names the program, too.
type Line struct {
	Clock   *Clock   `json:"clock,omitempty"`
	Figure  *Figure  `json:"figure,omitempty"`
	Speedup *Speedup `json:"speedup,omitempty"`
	Program string   `json:"program,omitempty"`
}

// A Report is what one bench measured.
type Report struct {
	Processor string    `json:"processor"` // QEMU's flags
	Go        string    `json:"go"`
	CC        string    `json:"cc"`
	Clocks    []Clock   `json:"clocks"` // one for each guest
	Figures   []Figure  `json:"figures"`
	Speedups  []Speedup `json:"speedups,omitempty"`
}

// PerRecord is n for each record.
func (f *Figure) PerRecord(n uint64) float64 { return float64(n) / float64(f.Records) }

// Cost is instructions for each record.
func (f *Figure) Cost() float64 { return f.PerRecord(f.Instructions) }

// Find returns the figure of a contender, nil if there is none.
func (r *Report) Find(kernel, contender string, entries uint32) *Figure {
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Kernel == kernel && f.Contender == contender && f.Entries == entries {
			return f
		}
	}
	return nil
}
