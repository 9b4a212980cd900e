// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"time"
)

// phases are the parts of a run that have a limit of their own. In the order
// in which they come.
const (
	phaseBoot    = "the boot"
	phaseLoad    = "loading the modules"
	phaseCommand = "the command"
	phaseStop    = "ending the command"
	phaseOutput  = "taking the rest of the output"
	phaseUnload  = "the unload"
	phaseExit    = "the guest's end"
)

// unlimited is as long as the user likes.
const unlimited = 365 * 24 * time.Hour

// phaseLimit is how long a phase may last. An emulated processor is given more,
// and so is a kernel that checks each access to memory.
func phaseLimit(phase, accel string, opts *machineOptions) time.Duration {
	limit := 20 * time.Second
	if phase == phaseCommand {
		limit = 300 * time.Second
	}
	if accel == "tcg" {
		limit *= 3
	}
	if opts.icount {
		limit *= 3
	}
	if checksItself(opts.kernel) {
		limit *= 4
	}
	switch {
	case opts.gdb:
		return unlimited // the guest stands still while its user thinks
	case phase == phaseBoot && opts.bootLimit != 0:
		return opts.bootLimit
	case phase == phaseCommand && opts.timeout != 0:
		return opts.timeout
	case phase == phaseCommand && opts.shell:
		return unlimited
	case phase == phaseStop && opts.timeout != 0:
		// Whoever asks for a short run does not want to wait long for a hang.
		return min(limit, max(opts.timeout, 10*time.Second))
	case phase == phaseUnload && opts.timeout != 0:
		return min(limit, max(opts.timeout, limit/3)) // kmemleak scans there
	}
	return limit
}
