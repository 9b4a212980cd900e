// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"time"

	"bulkdump/vm/harness/internal/kernels"
)

// phases are the parts of a run that have a limit of their own. In the order
// in which they come.
const (
	PhaseBoot    = "the boot"
	PhaseLoad    = "loading the modules"
	PhaseCommand = "the command"
	PhaseStop    = "ending the command"
	PhaseOutput  = "taking the rest of the output"
	PhaseUnload  = "the unload"
	PhaseExit    = "the guest's end"
)

// unlimited is as long as the user likes.
const unlimited = 365 * 24 * time.Hour

// phaseLimit is how long a phase may last. An emulated processor is given more,
// and so is a kernel that checks each access to memory.
func Limit(phase, accel string, opts *Settings) time.Duration {
	limit := 20 * time.Second
	if phase == PhaseCommand {
		limit = 300 * time.Second
	}
	if accel == "tcg" {
		limit *= 3
	}
	if opts.ICount {
		limit *= 3
	}
	if kernels.ChecksItself(opts.Kernel) {
		limit *= 4
	}
	switch {
	case opts.GDB:
		return unlimited // the guest stands still while its user thinks
	case phase == PhaseBoot && opts.BootLimit != 0:
		return opts.BootLimit
	case phase == PhaseCommand && opts.Timeout != 0:
		return opts.Timeout
	case phase == PhaseCommand && opts.Shell:
		return unlimited
	case phase == PhaseStop && opts.Timeout != 0:
		// Whoever asks for a short run does not want to wait long for a hang.
		return min(limit, max(opts.Timeout, 10*time.Second))
	case phase == PhaseUnload && opts.Timeout != 0:
		return min(limit, max(opts.Timeout, limit/3)) // kmemleak scans there
	}
	return limit
}
