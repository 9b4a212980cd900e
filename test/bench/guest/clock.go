// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"math"
	"time"

	"bulkdump/test/bench/figure"
)

// countdown executes 2n instructions.
func countdown(n uint64)

// copyBytes copies with the one instruction that the kernel copies with.
func copyBytes(to, from *byte, n uint64)

// measureClock counts loops whose instructions are known. If a nanosecond is no
// instruction, no figure is one.
func measureClock(kernel string) (figure.Clock, error) {
	const times, size = 50_000, 32 << 10
	from, to := make([]byte, size), make([]byte, size)
	count, countAll := least(200, func() { countdown(times) })
	// After the boot the kernel has more to do than its clock.
	for range 9 {
		again, all := least(200, func() { countdown(times) })
		count, countAll = min(count, again), min(countAll, all)
	}
	copied, _ := least(100, func() { copyBytes(&to[0], &from[0], size) })
	c := figure.Clock{
		Kernel:     kernel,
		NS:         count / (2 * times),
		Interrupts: countAll/count - 1,
		Copied:     copied / size,
	}
	if math.Abs(c.NS-1) > 0.002 {
		return c, fmt.Errorf("an instruction takes %.4f ns, not 1: this is for vm/run --icount", c.NS)
	}
	return c, nil
}

// least is what fn takes at least, when no interrupt comes in between, and what
// it takes on average.
func least(times int, fn func()) (least, average float64) {
	least = math.Inf(1)
	for range times {
		start := time.Now()
		fn()
		took := float64(time.Since(start))
		least = min(least, took)
		average += took / float64(times)
	}
	return least, average
}

// settle waits until the processor is the reader's alone. After its boot a
// kernel tests its own cryptography (7.3 does, in threads named cryptomgr_test),
// and would be counted with whoever reads first.
func settle() error { return settled(othersShare) }

// settled waits until others have had next to nothing of a whole second. What
// the clock's interrupts take is less than a fiftieth.
func settled(others func() float64) error {
	const quiet, tries = 50, 500
	share, run := 0.0, 0
	for range tries {
		if share = others(); share > 0.02 {
			run = 0
		} else if run++; run == quiet {
			return nil
		}
	}
	return fmt.Errorf("something else runs: it had %.0f %% of the processor when last looked at", 100*share)
}

// othersShare is what others had of the time of a loop of 20 ms, which is long
// enough for each that is ready to have its turn.
func othersShare() float64 {
	const times = 10_000_000
	start := time.Now()
	countdown(times)
	return float64(time.Since(start))/(2*times) - 1
}
