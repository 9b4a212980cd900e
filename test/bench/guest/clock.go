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
	const times, size = 50_000_000, 32 << 10
	c := figure.Clock{Kernel: kernel}
	start := time.Now()
	countdown(times)
	c.NS = float64(time.Since(start)) / (2 * times)
	if math.Abs(c.NS-1) > 0.001 {
		return c, fmt.Errorf("an instruction takes %.4f ns, not 1: this is for vm/run --icount", c.NS)
	}
	from, to := make([]byte, size), make([]byte, size)
	copyBytes(&to[0], &from[0], size)
	start = time.Now()
	for range 100 {
		copyBytes(&to[0], &from[0], size)
	}
	c.Copied = float64(time.Since(start)) / (100 * size)
	return c, nil
}
