// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"io/fs"
	"os"
)

// traceWithoutNames stops trace events from enabling the scheduler's events,
// which they use to learn the names of tasks. Otherwise the first event patches
// code that every processor runs all the time. With TCG, a processor may then
// execute the int3 that is there during the patch, and the guest dies. The
// cause: QEMU discards old translations just before it stores the bytes that a
// processor writes, not together with the store (accel/tcg/cputlb.c,
// notdirty_write), so another processor can translate the old code again in
// between. New trace instances inherit this setting.
func traceWithoutNames() error {
	err := os.WriteFile("/sys/kernel/tracing/options/record-cmd", []byte("0"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without it
	}
	return err
}
