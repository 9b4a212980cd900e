// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Speedup says how many times as fast a table is read on two processors as on
// one. It is timed, because instructions do not show it, and so it differs from
// run to run.
type Speedup struct {
	Kernel  string  `json:"kernel"`
	Reader  string  `json:"reader"`
	Entries uint32  `json:"entries"`
	Times   float64 `json:"times"`
}

// Races returns the names of the readers that are timed on two processors.
func Races() []string {
	var names []string
	for _, encoding := range []string{"plain", "direct", "columns"} {
		names = append(names, "go "+encoding+TwoSockets, "go "+encoding+TwoSockets+Unordered, "c "+encoding+TwoProcesses)
	}
	return names
}

// These follow the name of the single reader.
const (
	TwoSockets   = ", 2 sockets"
	Unordered    = ", unordered"
	TwoProcesses = ", 2 processes"
)

// writeSpeedups writes a line for each reader and kernel.
func (r *Report) writeSpeedups(w io.Writer) error {
	if len(r.Speedups) == 0 {
		return nil
	}
	fmt.Fprint(w, "On two processors: how many times as fast, timed\n\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\tKERNEL\tENTRIES\t×\t")
	for _, s := range r.Speedups {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%.2f\t\n", s.Reader, s.Kernel, s.Entries, s.Times)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
