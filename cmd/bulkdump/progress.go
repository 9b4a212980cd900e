// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// progress tells on a terminal how far a dump is. A nil one tells nothing.
type progress struct {
	console *console
	total   uint64 // 0 if unknown
	done    uint64
	next    time.Time
}

const (
	progressEvery    = 200 * time.Millisecond
	progressInterval = 1 << 12 // records between two looks at the clock
)

// startProgress returns nil if nobody would see it, or if it would mix with
// the data.
func (a *app) startProgress(ctx context.Context, t table, f *dumpFlags) *progress {
	if !a.stderr.isTerminal() || a.terminal && a.format != formatCount {
		return nil
	}
	p := &progress{console: a.stderr, next: time.Now().Add(progressEvery)}
	if f.whole() {
		if state, err := t.Table(ctx); err == nil {
			p.total = state.Count
		}
	}
	if f.limit > 0 && !f.sync && (p.total == 0 || f.limit < p.total) {
		p.total = f.limit
	}
	return p
}

func (p *progress) add() {
	if p == nil {
		return
	}
	if p.done++; p.done%progressInterval != 0 {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(progressEvery)
	if p.total == 0 {
		p.console.show(fmt.Sprintf("%d records", p.done))
		return
	}
	// The table may have grown meanwhile.
	percent := min(p.done*100/p.total, 100)
	p.console.show(fmt.Sprintf("%d of %d records", p.done, p.total), fmt.Sprintf("%d%%", percent))
}

// end removes the line.
func (p *progress) end() {
	if p != nil {
		p.console.clear()
	}
}

// peakMemory returns the largest resident set of this process in KiB. From
// proc, because the maxrss of getrusage starts with that of the process which
// called exec.
func peakMemory() (kib uint64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte("VmHWM:")); found {
			kib, err := strconv.ParseUint(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			return kib, err == nil
		}
	}
	return 0, false
}
