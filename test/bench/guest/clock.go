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

// copyBytes copies with rep movsb, the instruction that the kernel uses.
func copyBytes(to, from *byte, n uint64)

// measureClock counts loops whose number of instructions is known. If an
// instruction does not take one nanosecond, no figure is valid.
func measureClock(kernel string) (figure.Clock, error) {
	const times, size = 50_000, 32 << 10
	from, to := make([]byte, size), make([]byte, size)
	count, countAll := least(200, func() { countdown(times) })
	// Just after the boot, the kernel has more to do than its clock.
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
		return c, fmt.Errorf("an instruction takes %.4f ns, not 1: run it with vm/run --icount", c.NS)
	}
	return c, nil
}

// least returns the least time of fn, when no interrupt came in between, and
// the average.
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

// settle waits until nothing else uses the processor. After the boot, a kernel
// tests its cryptography (7.3 does it in threads named cryptomgr_test). Those
// instructions would count for the first reader.
func settle() error { return settled(othersShare) }

// settled waits for a whole second in which others had almost nothing. The
// clock's interrupts take less than a fiftieth.
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

// othersShare returns the share of others in a loop of 20 ms. That is long
// enough for each thread that is ready to get a turn.
func othersShare() float64 {
	const times = 10_000_000
	start := time.Now()
	countdown(times)
	return float64(time.Since(start))/(2*times) - 1
}
