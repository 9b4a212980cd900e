// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"os"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/target"
)

// kernel is what a run needs of the kernel, and of the packages that know its dumps.
// Tests replace it.
type kernel struct {
	// find returns the dumps that the words name: a family, and maybe a command.
	find func(ctx context.Context, words []string) ([]*target.Target, error)
	// all returns all dumps.
	all func(context.Context) ([]*target.Target, error)
	// describe gives dumps the names of the YNL specs in files or directories. Without
	// any, it looks where they are as a rule.
	describe func(targets []*target.Target, paths []string) error
	// parseKey reads what --key says.
	parseKey func(t *target.Target, text string) (target.Key, error)
	// selected is a dump with a request for what --attr says.
	selected func(t *target.Target, attrs []string) (*target.Target, error)
	// within calls a function where a dump's table is its own: in a new network
	// namespace, with objects in the table, if it is known how to make some.
	within func(t *target.Target, check func(own bool)) error
	// check runs the checks.
	check func(context.Context, *target.Target, check.Options, func(check.Result))
	// release is the kernel's, as uname -r prints it.
	release func() string
}

// running is the kernel that runs.
var running = kernel{
	find:     target.Find,
	all:      target.All,
	describe: describe,
	parseKey: func(t *target.Target, text string) (target.Key, error) {
		var names *target.AttrSet
		if t.Operation != nil {
			names = t.Operation.Set
		}
		return target.ParseKey(text, t.Header, names)
	},
	selected: (*target.Target).Select,
	within:   within,
	check:    check.Run,
	release:  release,
}

func describe(targets []*target.Target, paths []string) error {
	if len(paths) == 0 {
		specs, err := target.FindSpecs(targets)
		if err != nil {
			return nil // nobody asked for them
		}
		target.Describe(targets, specs...)
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return usagef("--spec: %v", err)
		}
		var specs []*target.Spec
		if info.IsDir() {
			specs, err = target.FindSpecs(targets, path)
		} else {
			var one *target.Spec
			one, err = target.ReadSpec(path)
			specs = []*target.Spec{one}
		}
		if err != nil {
			return usagef("--spec: %v", err)
		}
		if target.Describe(targets, specs...) == 0 {
			return usagef("--spec: %s describes none of the dumps", path)
		}
	}
	return nil
}

// ownTable is how many objects a table of its own has: some 20 pages of 4 KiB. Those of
// links are large, and slow to make.
func ownTable(t *target.Target) int {
	switch t.Command {
	case "getlink", "getqdisc", "getnetconf", "getneightbl", "getstats":
		return 100
	}
	return 1000
}

// within checks a table that nobody else has, if it can be made. Only root can.
func within(t *target.Target, check func(own bool)) error {
	if !ownable(t) || os.Geteuid() != 0 {
		here(t)
		check(false)
		return nil
	}
	done := make(chan error)
	go func() { // its thread ends with the namespace
		err := target.OwnNamespace()
		if err == nil {
			err = t.Fill(ownTable(t))
		}
		if err == nil {
			check(true)
		}
		done <- err
	}()
	return <-done
}

// ownable tells whether a table of its own can be made for a dump.
func ownable(t *target.Target) bool { return t.CanFill() && !t.Home }

// here has a dump checked where dumpcheck runs. What is known that changes its table
// may leave something behind.
func here(t *target.Target) {
	if ownable(t) {
		t.Changer = nil
	}
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
