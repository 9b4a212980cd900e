// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reapUntil reaps every child, adopted ones too, until pid has ended.
func reapUntil(pid int) syscall.WaitStatus {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		if got == pid {
			return ws
		}
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return syscall.WaitStatus(statusCannot << 8)
		}
	}
}

// userProcesses returns all processes except this one and kernel threads, each
// with its command line. Zombies have none and are left out.
func userProcesses() map[int]string {
	procs := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(dir + "/cmdline")
		if err != nil || len(line) == 0 {
			continue
		}
		line = bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '})
		procs[pid] = strings.ToValidUTF8(string(line), "?")
	}
	return procs
}

// endLeftovers kills and reaps the processes that the command left running, in
// any session. It returns what it found, and says which processes did not die
// in time: those keep the modules from unloading.
func endLeftovers() []string {
	names := []string{}
	seen := map[int]bool{}
	deadline := time.Now().Add(10 * time.Second)
	for {
		procs := userProcesses()
		for pid, line := range procs {
			if !seen[pid] {
				seen[pid] = true
				names = append(names, fmt.Sprintf("%s (pid %d)", line, pid))
			}
			unix.Kill(pid, unix.SIGKILL)
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		if len(procs) == 0 {
			return names
		}
		if time.Now().After(deadline) {
			return append(names, fmt.Sprintf("%d of them cannot be killed", len(procs)))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
