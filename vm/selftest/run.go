// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// result is the result of a row.
type result struct {
	check  check
	code   int
	took   time.Duration
	reason string   // from the verdict, or what was there instead
	wrong  string   // what was expected instead, if it differs
	log    []string // printed by vm/run
}

// args returns the row's command line for vm/run.
func (c check) args() []string {
	args := append([]string{"--kernel", c.kernel}, c.flags...)
	if !slices.Contains(c.flags, "--test") {
		args = append(args, "--")
	}
	return append(args, c.command...)
}

// line returns a shell line that repeats the run by hand.
func (c check) line() string {
	words := []string{program}
	for _, a := range c.args() {
		if strings.ContainsAny(a, " $&|<>;'\"{}\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	line := strings.Join(words, " ")
	if c.host != nil {
		line += " # " + c.host.how
	}
	return line
}

// run runs the row. It ends when the context does, or when patience is over.
func run(ctx context.Context, c check) result {
	if c.moment != nil {
		return runMoment(ctx, c)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, c.args()...)
	var stderr watched
	cmd.Stderr = &stderr
	r := result{check: c}
	after := func() error { return nil }
	if c.host != nil {
		dir, err := os.MkdirTemp("", "bulkdump-selftest.")
		if err == nil {
			defer os.RemoveAll(dir)
			after, err = c.host.prepare(cmd, dir)
		}
		if err != nil {
			r.code, r.reason, r.wrong = -1, err.Error(), "it could not be run "+c.host.how
			return r
		}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := time.Now()
	err := cmd.Run()
	errAfter := after()
	r.took, r.log = time.Since(started), strings.Split(strings.TrimRight(stderr.String(), "\n"), "\n")
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
		r.code, r.reason, r.wrong = -1, err.Error(), program+" did not end by itself"
		return r
	}
	r.code = cmd.ProcessState.ExitCode()
	r.judge()
	if r.wrong == "" && errAfter != nil {
		r.wrong = errAfter.Error()
	}
	return r
}

// judge compares the result with what the row expects.
func (r *result) judge() {
	green, reason, ok := parseVerdict(r.log[len(r.log)-1])
	r.reason = reason
	switch {
	case !ok:
		r.wrong = "its last line is no verdict"
	case r.code != r.check.code:
		r.wrong = fmt.Sprintf("exit code %d was expected", r.check.code)
	case green != (r.check.reason == ""):
		r.wrong = "the exit code and the verdict's word contradict each other"
	case !regexp.MustCompile("^(?:" + r.check.reason + ")").MatchString(reason):
		r.wrong = fmt.Sprintf("the reason that was expected: %s", r.check.reason)
	}
}

// busyHost is what a verdict says of any limit that passed while the host was busy.
var busyHost = regexp.MustCompile(` \(busy host: [^)]*\)`)

// parseVerdict splits the last line of vm/run into PASS or FAIL and the reason.
// It removes the facts about the run and the host, in parentheses at the end.
func parseVerdict(line string) (green bool, reason string, ok bool) {
	word, rest, ok := strings.Cut(strings.TrimPrefix(line, "vm: "), " ")
	if !ok || !strings.HasPrefix(line, "vm: ") {
		return false, line, false
	}
	if i := strings.LastIndex(rest, "(kernel "); i >= 0 {
		rest = strings.TrimSpace(rest[:i])
	}
	rest = busyHost.ReplaceAllString(rest, "")
	switch {
	case word == "PASS" && rest == "":
		return true, "PASS", true
	case word == "FAIL:" && rest != "":
		return false, rest, true
	}
	return false, line, false
}
