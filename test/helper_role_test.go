// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// roleEnv makes the test binary run as another program.
const roleEnv = "BULKDUMP_TEST_ROLE"

const (
	roleNobody = "nobody" // changes must be refused, a dump must not
	roleGuest  = "guest"  // the same, as root of a user namespace of its own
	roleOwner  = "owner"  // in a user namespace of its own: everything is allowed
	roleFill   = "fill"   // fills until it is killed
	roleCharge = "charge" // fills, and ends
	roleSync   = "sync"   // reads the table with Sync, and prints its memory
	roleRead   = "read"   // reads dumps of all kinds until it is killed
	roleSend   = "send"   // sends its input, and ends
)

func play(role string) int {
	if err := playRole(role); err != nil {
		_, _ = os.Stderr.WriteString(role + ": " + err.Error() + "\n")
		return 1
	}
	return 0
}

// roleCommand returns a command that runs this binary in a role.
func roleCommand(t testing.TB, role string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// runRole runs this binary in a role, with files after stderr.
func runRole(t testing.TB, role string, attr *syscall.SysProcAttr, files ...*os.File) {
	t.Helper()
	cmd := roleCommand(t, role)
	cmd.SysProcAttr = attr
	cmd.ExtraFiles = files
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
}
