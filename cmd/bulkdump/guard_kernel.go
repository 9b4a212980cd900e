// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/bulkdump/internal/tracefs"
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
		return fmt.Errorf("reader A ended by itself, before it was killed (%v): give more --entries", p.cmd.ProcessState)
	}
	return nil
}

// A guardInstance collects the guard's events in a buffer of the kernel's.
type guardInstance struct{ *tracefs.Instance }

func (l linux) trace() (guardTrace, error) {
	i, err := tracefs.New(l.tracefs, "bulkdump-guard")
	if err != nil {
		return nil, err
	}
	return guardInstance{i}, nil
}

func (g guardInstance) start() error {
	return g.Start(tracefs.ClockGlobal, "bulkdump", slices.Collect(maps.Keys(guardSteps))...)
}

func (g guardInstance) close() error { return g.Close() }

func (g guardInstance) events() ([]guardEvent, error) {
	traced, err := g.Events()
	if err != nil {
		return nil, err
	}
	return guardEvents(traced)
}

func guardEvents(traced []tracefs.Event) ([]guardEvent, error) {
	var events []guardEvent
	for _, e := range traced {
		r := e.Read()
		events = append(events, guardEvent{
			Micros: e.Micros - traced[0].Micros, Event: e.Name, tid: e.TID,
			Readers: r.Uint("readers", 32), Writing: r.Bool("writing"),
		})
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	return events, nil
}
