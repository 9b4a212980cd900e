// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"fmt"
	"time"

	"bulkdump/cmd/internal/term"
)

// Progress tells on a terminal how far a dump is. A nil one tells nothing.
type Progress struct {
	console *term.Console
	total   uint64
	done    uint64
	next    time.Time
}

// How often the status changes.
const (
	ProgressEvery    = 200 * time.Millisecond
	ProgressInterval = 1 << 12 // records between two looks at the clock
)

// NewProgress returns a Progress of total records, 0 if that is unknown.
func NewProgress(c *term.Console, total uint64) *Progress {
	return &Progress{console: c, total: total, next: time.Now().Add(ProgressEvery)}
}

// Add counts a record.
func (p *Progress) Add() {
	if p == nil {
		return
	}
	if p.done++; p.done%ProgressInterval != 0 {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(ProgressEvery)
	if p.total == 0 {
		p.console.Show(fmt.Sprintf("%d records", p.done))
		return
	}
	// The table may have grown meanwhile.
	percent := min(p.done*100/p.total, 100)
	p.console.Show(fmt.Sprintf("%d of %d records", p.done, p.total), fmt.Sprintf("%d%%", percent))
}

// End removes the status.
func (p *Progress) End() {
	if p != nil {
		p.console.Clear()
	}
}
