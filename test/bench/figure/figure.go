// SPDX-License-Identifier: BSD-3-Clause

// Package figure holds what the bench measures, and writes it as tables,
// comparisons and plots.
package figure

import (
	"slices"
	"strings"
)

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

// A Setting is another guest, in which some contenders are measured, too. They have
// its name after their own.
type Setting struct {
	Name string
	VM   []string // flags for vm/run
	Of   []string // the contenders
}

// Settings are all of them. The first is the one of most figures.
var Settings = []Setting{
	{},
	{
		Name: ", guard grab", VM: []string{"--param", "bulkdump.guard=grab"},
		Of: []string{Ours, "set", "set, 10 dumps open"},
	},
	// The kernel copies eight bytes with each instruction, not as many as there are
	// with one. QEMU counts that one as an instruction for each byte.
	{
		Name: ", no rep movsb", VM: []string{"--cpu-features", "erms=off,fsrm=off"},
		Of: []string{
			Ours, "go direct", "go columns", "go columns, arrays", "c plain", "c direct", "c columns",
			"mdlayher iter", CopyOf + Ours, CopyOf + "go columns",
		},
	},
}

// Has reports whether a contender is measured in this setting.
func (s *Setting) Has(contender string) bool {
	return s.Of == nil || slices.Contains(s.Of, contender)
}

// settingOf returns the name of the setting in which a figure was measured.
func settingOf(contender string) string {
	for _, s := range Settings[1:] {
		if strings.HasSuffix(contender, s.Name) {
			return s.Name
		}
	}
	return ""
}

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
