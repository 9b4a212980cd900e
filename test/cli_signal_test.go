// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// startDump starts a dump that is in its middle when this returns, and cannot
// come to its end unless somebody reads the rest.
func startDump(t testing.TB, c *client.Client, stderr io.Writer) (cmd *exec.Cmd, stdout io.ReadCloser) {
	t.Helper()
	fill(t, c, client.FillOptions{Count: 20_000})
	return startCLI(t, stderr, 1000, "dump", "-o", "jsonl")
}

// startCLI starts the CLI and returns when it has printed so many bytes.
func startCLI(t testing.TB, stderr io.Writer, printed int, args ...string) (cmd *exec.Cmd, stdout io.ReadCloser) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "bulkdump", args...)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, printed)); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout
}

func wantAbandoned(t testing.TB, c *client.Client, before client.Table) {
	t.Helper()
	if got := checkCounters(t, c).DumpsAbandoned - before.DumpsAbandoned; got != 1 {
		t.Errorf("abandoned dumps rose by %d, want 1", got)
	}
}

// Whoever closes the pipe has seen enough; the dump is abandoned, not failed.
func TestCLIDumpIntoClosedPipe(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	stderr := new(bytes.Buffer)
	cmd, stdout := startDump(t, c, stderr)
	_ = stdout.Close()
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
	wantAbandoned(t, c, before)
}

func TestCLIEndsOnSignal(t *testing.T) {
	c := setup(t)
	before := state(t, c)
	stderr := new(bytes.Buffer)
	cmd, stdout := startDump(t, c, stderr)
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "signal") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
	wantAbandoned(t, c, before)
}

// Nobody reads, so the dump cannot end by itself: it says so, and a second
// signal kills it. (Many at once would be more than Go's runtime can take.)
func TestCLISecondSignalKills(t *testing.T) {
	c := setup(t)
	stderr, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	cmd, stdout := startDump(t, c, theirs)
	theirs.Close()
	defer stdout.Close()
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(line, "send the signal again") {
		t.Fatalf("after one signal it says %q, %v", line, err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	diedOfInterrupt(t, cmd)
}

// One signal ends a fill, and nothing is left of it.
func TestCLIFillEndsOnSignal(t *testing.T) {
	c := setup(t)
	cmd := exec.CommandContext(t.Context(), "bulkdump", "fill", "4000000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "an entry of the fill", func() bool {
		d, _ := dump(t, c, client.DumpOptions{IDTo: ptr(uint32(0))})
		return d.count > 0
	})
	// The thread that a signal goes to must be free to take it.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil || !strings.HasPrefix(string(stat), fmt.Sprintf("%d (bulkdump) S", cmd.Process.Pid)) {
		t.Errorf("its first thread does not wait for signals: %.40q, %v", stat, err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	diedOfInterrupt(t, cmd)
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries are left", s.Count)
	}
}

func diedOfInterrupt(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != unix.SIGINT {
		t.Errorf("%v, want death by SIGINT", cmd.ProcessState)
	}
}
