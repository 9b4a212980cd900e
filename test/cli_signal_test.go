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

// startDump starts a dump and returns when the dump is in its middle. It cannot
// end unless somebody reads the rest.
func startDump(t testing.TB, c *client.Client, stderr io.Writer) (cmd *exec.Cmd, stdout io.ReadCloser) {
	t.Helper()
	fill(t, c, client.FillOptions{Count: 20_000})
	return startCLI(t, stderr, 1000, "dump", "-o", "jsonl")
}

// startCLI starts the CLI and returns when it has printed that many bytes.
func startCLI(t testing.TB, stderr io.Writer, printed int, args ...string) (cmd *exec.Cmd, stdout io.ReadCloser) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "bulkdump", args...)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A pipe takes 16 pages of memory, which may be a megabyte.
	if _, err := unix.FcntlInt(stdout.(*os.File).Fd(), unix.F_SETPIPE_SZ, 64<<10); err != nil {
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

// A reader that closes the pipe has seen enough. The dump is abandoned, which
// is not a failure.
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
	diedOf(t, cmd, unix.SIGINT)
	if want := "bulkdump: ended by SIGINT before it was done\n"; stderr.String() != want {
		t.Errorf("stderr %q, want %q", stderr.String(), want)
	}
	wantAbandoned(t, c, before)
}

// The command ends even if the kernel does not finish a page. Here, the page
// waits until a fill releases the table.
func TestCLIEndsInTheKernel(t *testing.T) {
	c := reload(t, "guard=grab")
	tr := trace(t, "*")
	fill := exec.CommandContext(t.Context(), "bulkdump", "fill", "4000000")
	if err := fill.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fill.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = fill.Wait()
		if s := state(t, c); s.Count != 0 {
			t.Errorf("the fill was over, too soon, with %d entries", s.Count)
		}
	}()
	waitFor(t, "a fill that has begun", func() bool { return tr.count("guard_write_enter") == 1 })

	r := bulkdump(t, "dump", "-o", "count", "--timeout", "1s")
	if want := "bulkdump: not done within 1s: give a longer --timeout\n"; r.code != 1 || r.stdout != "" || r.stderr != want {
		t.Errorf("%+v", r)
	}
	cmd := exec.CommandContext(t.Context(), "bulkdump", "dump", "-o", "count")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a dump that waits", func() bool { return tr.count("guard_read_wait") == 2 })
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGTERM)
	waitFor(t, "the end of both dumps", func() bool { return tr.count("dump_done") == 2 })
}

// A fill that takes too long leaves nothing behind.
func TestCLIFillEndsInTime(t *testing.T) {
	c := setup(t)
	r := bulkdump(t, "fill", "4000000", "--timeout", "1s")
	if want := "bulkdump: not done within 1s: give a longer --timeout\n"; r.code != 1 || r.stdout != "" || r.stderr != want {
		t.Errorf("%+v", r)
	}
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries are left", s.Count)
	}
}

// Nobody reads, so the dump cannot end by itself. It says so, and a second
// signal kills it. (Many signals at once would be too much for Go's runtime.)
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
	diedOf(t, cmd, unix.SIGINT)
}

// One signal ends a fill, which leaves nothing behind.
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
	// The thread that gets a signal must be free to handle it.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil || !strings.HasPrefix(string(stat), fmt.Sprintf("%d (bulkdump) S", cmd.Process.Pid)) {
		t.Errorf("its first thread does not wait for signals: %.40q, %v", stat, err)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGINT)
	if s := state(t, c); s.Count != 0 {
		t.Errorf("%d entries are left", s.Count)
	}
}

func diedOf(t testing.TB, cmd *exec.Cmd, s unix.Signal) {
	t.Helper()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != s {
		t.Errorf("%v, want death by %v", cmd.ProcessState, s)
	}
}
