// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"bulkdump/vm/internal/coverage"
)

var (
	counted    = &host{"with --coverage, where the lines of taint are counted, and those of warn are not", prepareCounted}
	notCounted = &host{"with --coverage, which must leave no counts", prepareNotCounted}
)

// countedSource is the module with the faults.
const countedSource = "vm/selftest/kmod/faulty.c"

func prepareCounted(cmd *exec.Cmd, dir string) (func() error, error) {
	to := withCoverage(cmd, dir)
	return func() error { return checkCounted(to, countedSource) }, nil
}

func prepareNotCounted(cmd *exec.Cmd, dir string) (func() error, error) {
	to := withCoverage(cmd, dir)
	return func() error {
		if files, err := os.ReadDir(to); err == nil {
			return fmt.Errorf("it left %v, although the guest had died", files)
		}
		return nil
	}, nil
}

func withCoverage(cmd *exec.Cmd, dir string) (to string) {
	to = filepath.Join(dir, "coverage")
	cmd.Args = slices.Insert(cmd.Args, 1, "--coverage", to)
	return to
}

// checkCounted compares the counts in dir with what the guest did: it loaded the
// module, set off taint, and unloaded the module.
func checkCounted(dir, source string) error {
	path, err := filepath.Abs(source)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	files, err := coverage.Read(filepath.Join(dir, coverage.Name))
	if err != nil {
		return err
	}
	if files[path] == nil {
		return fmt.Errorf("%s has no counts of %s", dir, path)
	}
	for line, want := range map[string]bool{
		"add_taint(TAINT_USER, LOCKDEP_STILL_OK);":    true,
		"return load_fails ? -EIO : 0;":               true,
		"if (exit_hangs)":                             true,
		"WARN(1, \"faulty: a warning to order\\n\");": false,
		"__module_get(THIS_MODULE);":                  false,
	} {
		number := 1 + slices.IndexFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.TrimSpace(l) == line })
		count, ok := files[path].Lines[number]
		if !ok {
			return fmt.Errorf("%s:%d, %s: it is not counted", source, number, line)
		}
		if count > 0 != want {
			return fmt.Errorf("%s:%d, %s: executed %d times", source, number, line, count)
		}
	}
	return nil
}
