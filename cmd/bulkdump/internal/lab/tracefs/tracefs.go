// SPDX-License-Identifier: BSD-3-Clause

// Package tracefs collects the kernel's trace events in a buffer of its own, so
// that nobody else's settings change.
package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Clocks that are the same on all processors (Documentation/trace/ftrace.rst).
const (
	ClockGlobal = "global"
	ClockMono   = "mono" // CLOCK_MONOTONIC
)

// An Instance is a trace buffer of our own.
type Instance struct{ dir string }

// New makes a buffer in the tracefs that is mounted at root. It takes much longer
// than the other calls.
func New(root, name string) (*Instance, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		return nil, fmt.Errorf("the kernel has no tracefs: %s: %w", root, err)
	}
	if st.Type != unix.TRACEFS_MAGIC {
		return nil, fmt.Errorf("tracefs is not mounted: mount -t tracefs tracefs %s", root)
	}
	dir, err := os.MkdirTemp(filepath.Join(root, "instances"), name+".")
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("tracing writes to tracefs, which needs root (CAP_DAC_OVERRIDE in the initial user namespace): %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &Instance{dir}, nil
}

// Start collects the events of a system from now on.
func (i *Instance) Start(clock, system string, events ...string) error {
	if err := os.WriteFile(filepath.Join(i.dir, "trace_clock"), []byte(clock), 0); err != nil {
		return err
	}
	for _, event := range events {
		if err := os.WriteFile(filepath.Join(i.dir, "events", system, event, "enable"), []byte("1"), 0); err != nil {
			return err
		}
	}
	return nil
}

// Events returns all events since the start, in order of time. It is an error if
// some were lost.
func (i *Instance) Events() ([]Event, error) {
	text, err := os.ReadFile(filepath.Join(i.dir, "trace"))
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Close removes the buffer.
func (i *Instance) Close() error { return unix.Rmdir(i.dir) }
