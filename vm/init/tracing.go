// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"io/fs"
	"os"
)

// traceWithoutNames keeps trace events from switching the scheduler's own on,
// as they do to learn the names of tasks: then the first event patches code
// that every processor runs all the time, and with TCG one may go on with the
// instruction that is there meanwhile, an int3, and die of it. QEMU throws old
// translations away just before it stores what a processor writes, and not
// with it (accel/tcg/cputlb.c, notdirty_write), so that another can translate
// the old code again. Instances begin with what holds here.
func traceWithoutNames() error {
	err := os.WriteFile("/sys/kernel/tracing/options/record-cmd", []byte("0"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without
	}
	return err
}
