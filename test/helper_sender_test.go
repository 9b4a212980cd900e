// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// startSender starts a process that sends a request on the socket, on a processor. It
// can be killed while the kernel works on the request. What is answered then comes to
// the socket: the end of a dump, and nothing else. The core sends no answer for
// -EINTR, which it takes for a dump that has started (af_netlink.c:netlink_rcv_skb).
func startSender(t testing.TB, s *rawSocket, cpu int, flags uint16, body []byte) *exec.Cmd {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	socket := os.NewFile(uintptr(fd), "socket")
	defer socket.Close()
	cmd := roleCommand(t, roleSend)
	cmd.Stdin = bytes.NewReader(s.message(flags, body))
	cmd.ExtraFiles = []*os.File{socket}
	startOn(t, cmd, cpu)
	return cmd
}

// playSend sends its input to the socket in the first file after stderr.
func playSend() error {
	message, err := io.ReadAll(os.Stdin)
	return errors.Join(err, unix.Sendto(3, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
}

// startOn starts a command on a processor.
func startOn(t testing.TB, cmd *exec.Cmd, cpu int) {
	t.Helper()
	if err := onProcessor(t, cpu, cmd.Start); err != nil {
		t.Fatal(err)
	}
}

// onProcessor calls do on one processor.
func onProcessor(t testing.TB, cpu int, do func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		setAffinity(t, cpu)
		done <- do()
	}()
	return <-done
}

// waitInSend waits until a thread of the process waits inside of its sendto().
func waitInSend(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	call := fmt.Sprint(unix.SYS_SENDTO, " ")
	waitFor(t, "its request waits in the kernel", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", cmd.Process.Pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("it has ended before: %v", err)
		}
		for _, task := range tasks {
			if text, _ := os.ReadFile(task); strings.HasPrefix(string(text), call) {
				return true
			}
		}
		return false
	})
}

// kill kills the process, and waits for its end.
func kill(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	diedOf(t, cmd, unix.SIGKILL)
}
