// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// linux is the running kernel, as far as the command guard needs it.
type linux struct {
	tracefs string // where it is mounted
}

func (linux) kind() (string, error) {
	text, err := os.ReadFile("/sys/module/bulkdump/parameters/guard")
	if err != nil {
		return "", fmt.Errorf("which guard the module has: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// A process is a reader that is another process: it alone can be killed.
type process struct{ cmd *exec.Cmd }

// stayIn starts a dump that looks for what is not there, in the slowest way
// that there is: it ends when it is killed, or in some hours.
func (linux) stayIn() (guardStayer, error) {
	cmd := exec.Command("/proc/self/exe", "dump", "-o", "count", "--name-prefix", "nothing", "--cursor", "index")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // ^C is for us, who then end it
		Pdeathsig: syscall.SIGKILL, // if we are killed
	}
	return process{cmd}, cmd.Start()
}

func (p process) owns(tid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.cmd.Process.Pid, tid))
	return err == nil
}

func (p process) kill() error {
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil || ws.Signal() != unix.SIGKILL {
		return fmt.Errorf("the reader that was to stay in ended by itself: %v", p.cmd.ProcessState)
	}
	return nil
}

// A traceInstance is a trace buffer of our own, with settings of its own.
type traceInstance struct{ dir string }

func (l linux) trace() (guardTrace, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(l.tracefs, &st); err != nil {
		return nil, fmt.Errorf("the kernel has no tracefs: %s: %w", l.tracefs, err)
	}
	if st.Type != unix.TRACEFS_MAGIC {
		return nil, fmt.Errorf("tracefs is not mounted: mount -t tracefs tracefs %s", l.tracefs)
	}
	dir, err := os.MkdirTemp(filepath.Join(l.tracefs, "instances"), "bulkdump-guard.")
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("tracing is for root: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return traceInstance{dir}, nil
}

func (t traceInstance) start() error {
	// In order of time across processors.
	if err := os.WriteFile(filepath.Join(t.dir, "trace_clock"), []byte("global"), 0); err != nil {
		return err
	}
	for event := range guardSteps {
		if err := os.WriteFile(filepath.Join(t.dir, "events/bulkdump", event, "enable"), []byte("1"), 0); err != nil {
			return err
		}
	}
	return nil
}

func (t traceInstance) close() error { return unix.Rmdir(t.dir) }

// COMM-TID [CPU] FLAGS SECONDS: EVENT: FIELDS
var guardLine = regexp.MustCompile(`-(\d+) +\[\d+\] +\S+ +(\d+)\.(\d{6}): (guard_\w+): readers=(\d+) writing=([01])$`)

func (t traceInstance) events() ([]guardEvent, error) {
	text, err := os.ReadFile(filepath.Join(t.dir, "trace"))
	if err != nil {
		return nil, err
	}
	return parseGuardTrace(text)
}

func parseGuardTrace(text []byte) ([]guardEvent, error) {
	if bytes.Contains(text, []byte("LOST")) {
		return nil, errors.New("the trace lost events: is the table in use besides?")
	}
	var events []guardEvent
	var first uint64
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := guardLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("a line of the trace that is none: %q", line)
		}
		e := guardEvent{Event: m[4], Writing: m[6] == "1"}
		tid, err1 := strconv.ParseInt(m[1], 10, 32)
		at, err2 := strconv.ParseUint(m[2]+m[3], 10, 64)
		readers, err3 := strconv.ParseUint(m[5], 10, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("a line of the trace that is none: %w", err)
		}
		if events == nil {
			first = at
		}
		e.tid, e.Micros, e.Readers = int(tid), at-first, readers
		events = append(events, e)
	}
	return events, nil
}
