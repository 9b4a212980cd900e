// SPDX-License-Identifier: BSD-3-Clause

package figure

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
)

// Read reads a file that Write wrote.
func Read(file string) (*Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Write writes the report as JSON.
func (r *Report) Write(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// Only returns the report with only the figures of wanted contenders.
func (r *Report) Only(wanted func(contender string) bool) *Report {
	only := *r
	only.Figures = slices.DeleteFunc(slices.Clone(r.Figures), func(f Figure) bool { return !wanted(f.Contender) })
	return &only
}

// Merge puts the figures of another report in place of the same ones of r. New ones come
// after the one that is before them there.
func (r *Report) Merge(now *Report) error {
	if r.Processor != now.Processor || r.Go != now.Go || r.CC != now.CC {
		return fmt.Errorf("the others were measured with %s, %s, %s; these with %s, %s, %s: measure all", r.Processor, r.Go, r.CC, now.Processor, now.Go, now.CC)
	}
	at := -1
	for _, f := range now.Figures {
		same := slices.IndexFunc(r.Figures, func(old Figure) bool {
			return old.Kernel == f.Kernel && old.Contender == f.Contender && old.Entries == f.Entries
		})
		if at++; same >= 0 {
			at = same
			r.Figures[at] = f
		} else {
			r.Figures = slices.Insert(r.Figures, at, f)
		}
	}
	return nil
}

// Kernels returns the kernels of the figures, in order of appearance.
func (r *Report) Kernels() []string {
	return distinct(r, func(f *Figure) string { return f.Kernel })
}

// Sizes returns the sizes of the tables, in order of appearance.
func (r *Report) Sizes() []uint32 {
	return distinct(r, func(f *Figure) uint32 { return f.Entries })
}

// Contenders returns the contenders of the figures, in order of appearance.
func (r *Report) Contenders() []string {
	return distinct(r, func(f *Figure) string { return f.Contender })
}

func distinct[T comparable](r *Report, of func(*Figure) T) []T {
	var all []T
	for i := range r.Figures {
		if v := of(&r.Figures[i]); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// These say by how much a figure may differ from the one in the repository.
// Go's runtime has threads of its own: one reader takes 220 or 234 instructions
// in user space for the same bytes, depending on when they run. Readers that
// allocate for each record also depend on when the garbage collector runs.
const (
	tolerance          = 0.02
	toleranceGo        = 0.04
	toleranceCollected = 0.10
)

func (f *Figure) tolerance() float64 {
	switch {
	case f.Mallocs == nil: // not a reader in Go
		return tolerance
	case f.PerRecord(*f.Mallocs) > 0.5:
		return toleranceCollected
	}
	return toleranceGo
}

// Compare returns the figures that are missing now, and those that differ from
// the kept ones by more than the tolerance.
func Compare(kept, now *Report) []string {
	var all []string
	for _, k := range kept.Figures {
		n := now.Find(k.Kernel, k.Contender, k.Entries)
		if n == nil {
			all = append(all, fmt.Sprintf("%s: not measured now", k.name()))
			continue
		}
		if change := n.Cost()/k.Cost() - 1; !(math.Abs(change) <= k.tolerance()) {
			all = append(all, fmt.Sprintf("%s: %.1f instructions per record, kept are %.1f: %+.1f %%", k.name(), n.Cost(), k.Cost(), 100*change))
		}
	}
	for _, n := range now.Figures {
		if kept.Find(n.Kernel, n.Contender, n.Entries) == nil {
			all = append(all, fmt.Sprintf("%s: not among those kept", n.name()))
		}
	}
	return all
}

func (f *Figure) name() string {
	return fmt.Sprintf("%s, %d entries, %s", f.Kernel, f.Entries, f.Contender)
}
