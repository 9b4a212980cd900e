// SPDX-License-Identifier: BSD-3-Clause

// Package every reads each dump that a kernel has, with package nldump and with a
// reader in C, and compares them. It runs in a guest with objects of as many kinds
// as its kernel's modules know (make every-dump). Elsewhere it is skipped.
package every

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// init keeps the process's first thread for the tests' main: /proc/net is where
// it is, and a test ends its thread in another namespace.
func init() { runtime.LockOSThread() }

// inGuest skips a test outside of a guest, and returns the kernel's version,
// such as 6.1.
func inGuest(t *testing.T) string {
	t.Helper()
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make every-dump")
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	f := strings.SplitN(unix.ByteSliceToString(uts.Release[:]), ".", 3)
	return f[0] + "." + f[1]
}

// ownNetNS puts the test into a network namespace of its own, which ends with
// the thread, and with everything in it.
func ownNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocks
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the thread's namespace, which must succeed.
func run(t *testing.T, stdin io.Reader, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}
