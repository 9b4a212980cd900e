// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asProgram makes the test binary behave as bulkdump.
const asProgram = "BULKDUMP_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func TestProgramExitCode(t *testing.T) {
	var stdout, stderr bytes.Buffer
	cmd := program(t, "bogus")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err, exit := cmd.Run(), (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
		t.Errorf("got %v, want exit code %d", err, exitUsage)
	}
	if stdout.Len() > 0 || !strings.HasPrefix(stderr.String(), `bulkdump: unknown command "bogus"`) {
		t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
	}
}

// A closed pipe as stdout does not kill it.
func TestProgramOutlivesItsReader(t *testing.T) {
	cmd := program(t, "--help")
	cmd.Stdout = closedPipe(t)
	if err := cmd.Run(); err != nil {
		t.Errorf("got %v, want success", err)
	}
}
