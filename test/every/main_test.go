// SPDX-License-Identifier: BSD-3-Clause

// Package every reads each dump of a kernel with package nldump and with a
// reader in C, and compares the results. It runs in a guest with as many kinds
// of objects as the kernel's modules support (make every-dump). Elsewhere it is
// skipped.
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

// init keeps the process's first thread for TestMain: /proc/net shows the
// namespace of that thread, and a test ends its thread in another namespace.
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

// ownNetNS puts the test into its own network namespace. The namespace and
// everything in it end with the thread.
func ownNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the thread's namespace. The program must succeed.
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
