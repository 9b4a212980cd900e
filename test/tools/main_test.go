// SPDX-License-Identifier: BSD-3-Clause

// Package tools checks what stock tools show of the family: the kernel's YNL
// command line with the family's spec, iproute2's genl, and tshark with nlmon.
// It also checks that package nldump dumps the same of the kernel's own
// families as iproute2's ip, ss and genl print, and which of those dumps report
// a change. The tests run in a guest that has the tools (make vm-tools).
// Elsewhere they are skipped.
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

// patience limits things that take a moment, even on a slow machine.
const patience = 180 * time.Second

// init keeps the process's first thread for TestMain. A test may end its thread
// in another namespace, but the first thread would stay there, and /proc/net
// shows its namespace.
func init() { runtime.LockOSThread() }

// setup returns a client of the empty table.
func setup(t *testing.T) *client.Client {
	t.Helper()
	// The tests flush the table, so they do not run on just any machine.
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

// run runs a program, which must succeed, and returns its output.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	// Not the test's context, which has ended during cleanup.
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

// waitFor polls until ok returns true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// olderThan reports whether the kernel is older than a version.
func olderThan(t *testing.T, major, minor int) bool {
	t.Helper()
	m, n := kernelVersion(kernelRelease(t))
	return m < major || m == major && n < minor
}

// kernelRelease returns the output of uname -r.
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
