// SPDX-License-Identifier: BSD-3-Clause

// Package figure holds what the bench measures, and writes it as tables,
// comparisons and plots.
package figure

// A Figure is the cost of reading one table once with one contender.
type Figure struct {
	Kernel    string `json:"kernel"`
	Contender string `json:"contender"`
	Entries   uint32 `json:"entries"` // in the table
	Records   uint64 `json:"records"` // received

	// Instructions counts all instructions of the processor, from the opening
	// of the socket to the end of the dump.
	Instructions uint64 `json:"instructions"`

	// System is the part of them that was in system calls, or nil if unknown.
	System *uint64 `json:"system,omitempty"`

	Calls *uint64 `json:"calls,omitempty"` // system calls
	Reads *uint64 `json:"reads,omitempty"` // those that read, including those that only peek
	Bytes *uint64 `json:"bytes,omitempty"` // returned by those reads
	Pages *uint64 `json:"pages,omitempty"` // of the dump; nil if there was no dump

	Mallocs *uint64 `json:"mallocs,omitempty"`  // on Go's heap
	PeakRSS *uint64 `json:"peak_rss,omitempty"` // bytes
}

// Ours is the contender that the others are compared with.
const Ours = "go plain"

// CopyOf begins the name of a contender's floor: reading the same number of
// bytes from a file.
const CopyOf = "copy of "

// UnderGrab are the contenders that are measured with the module's guard set to grab,
// not rcu, too. They run in a guest of their own, and have GuardGrab after their names.
var UnderGrab = []string{Ours, "set", "set, 10 dumps open"}

const GuardGrab = ", guard grab"

// A Clock is a test of the guest's clock, with loops whose number of
// instructions is known.
type Clock struct {
	Kernel     string  `json:"kernel"`
	NS         float64 `json:"ns_per_instruction"`
	Interrupts float64 `json:"interrupts"` // their share of all instructions
	Copied     float64 `json:"ns_per_byte_of_rep_movsb"`
}

// A Line is a line that the guest prints. It has one of Clock, Figure and
// Speedup. In a profile, it also names the program.
type Line struct {
	Clock   *Clock   `json:"clock,omitempty"`
	Figure  *Figure  `json:"figure,omitempty"`
	Speedup *Speedup `json:"speedup,omitempty"`
	Program string   `json:"program,omitempty"`
}

// A Report is the result of one run of the bench.
type Report struct {
	Processor string    `json:"processor"` // QEMU's flags
	Go        string    `json:"go"`
	CC        string    `json:"cc"`
	Clocks    []Clock   `json:"clocks"` // one for each guest
	Figures   []Figure  `json:"figures"`
	Speedups  []Speedup `json:"speedups,omitempty"`
}

// PerRecord returns n divided by the number of records.
func (f *Figure) PerRecord(n uint64) float64 { return float64(n) / float64(f.Records) }

// Cost returns the instructions per record.
func (f *Figure) Cost() float64 { return f.PerRecord(f.Instructions) }

// Find returns the figure of a contender, or nil if there is none.
func (r *Report) Find(kernel, contender string, entries uint32) *Figure {
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Kernel == kernel && f.Contender == contender && f.Entries == entries {
			return f
		}
	}
	return nil
}
