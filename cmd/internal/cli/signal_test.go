// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two signals at once, as timeout(1) sends them, end the context and do not kill. One
// that comes later kills.
func TestUntilSignal(t *testing.T) {
	const child = "BULKDUMP_TEST_SIGNALED"
	if os.Getenv(child) != "" {
		ctx := UntilSignal(t.Context())
		_ = unix.Kill(unix.Getpid(), unix.SIGTERM)
		<-ctx.Done()
		_ = unix.Kill(unix.Getpid(), unix.SIGTERM)
		time.Sleep(2 * sameSignal)
		fmt.Println(SignalOf(ctx))
		_ = unix.Kill(unix.Getpid(), unix.SIGTERM)
		time.Sleep(time.Minute)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUntilSignal$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM || string(out) != "terminated\n" {
		t.Errorf("%q, %v, want the word and then death by SIGTERM", out, err)
	}
}
