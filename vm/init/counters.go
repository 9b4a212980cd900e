// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bulkdump/vm/internal/proto"
)

// gcovDir is where the kernel shows the counters of what was compiled with gcov's
// flags: for each object, a file named after the object's absolute path. Those
// of a module stay when the module is unloaded, and go on when it is loaded
// again (kernel/gcov/fs.c, gcov_persist).
const gcovDir = "/sys/kernel/debug/gcov"

// sendCounters sends the counters of the objects in dir. If there are none, it
// sends nothing: that is for the host to judge.
func sendCounters(ctl *proto.Writer, dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case path == dir && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case filepath.Ext(path) != ".gcda": // a directory, or a link to the notes of the compiler
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return ctl.Send(proto.Message{Kind: proto.KindCounters, Text: name, Data: data})
	})
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	return nil
}
