// SPDX-License-Identifier: BSD-3-Clause

// Package tools holds what stock tools make of the family: the kernel's YNL
// command line with the family's spec, iproute2's genl, tshark behind nlmon;
// whether package nldump dumps of the kernel's own families what iproute2's ip, ss
// and genl print; and which of their dumps tell of a change. The tests run in a
// guest that has the tools (make vm-tools); elsewhere they are skipped.
package tools

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// patience bounds what takes a moment, even on a slow machine.
const patience = 180 * time.Second

// init keeps the process's first thread for the tests' main. A test may end its
// thread in another namespace; this one would stay there instead, and /proc/net is
// where it is.
func init() { runtime.LockOSThread() }

// setup returns a client of the empty table.
func setup(t *testing.T) *client.Client {
	t.Helper()
	// They flush the table: not on just any machine.
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make vm-tools")
	}
	c, err := client.Dial(client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	flush := func() {
		if _, err := c.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	}
	flush()
	t.Cleanup(func() {
		flush()
		_ = c.Close()
	})
	return c
}

// run runs a program, which must succeed, and returns what it printed.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	// Not the test's: that one has ended where it cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String(), errs.String()
}

// waitFor asks until ok says yes.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// olderThan tells whether the kernel is older than a version.
func olderThan(t *testing.T, major, minor int) bool {
	t.Helper()
	m, n := kernelVersion(kernelRelease(t))
	return m < major || m == major && n < minor
}

// kernelRelease is what uname -r prints.
func kernelRelease(t *testing.T) string {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(uts.Release[:])
}

func kernelVersion(release string) (major, minor int) {
	number := func(s string) (n int, rest string) {
		for s != "" && s[0] >= '0' && s[0] <= '9' {
			n, s = 10*n+int(s[0]-'0'), s[1:]
		}
		return n, strings.TrimPrefix(s, ".")
	}
	major, release = number(release)
	minor, _ = number(release)
	return major, minor
}

func ptr[T any](v T) *T { return &v }
