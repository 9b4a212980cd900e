// SPDX-License-Identifier: BSD-3-Clause

// Package results judges what was seen of a run, and reports it.
package results

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/machine"
)

// Exit codes besides the command's own.
const (
	ExitHarness = 121 // the harness or the host failed, or the call was wrong
	ExitDirty   = 122 // the command ran; log, taint or unload are not clean
	ExitTimeout = 123 // a limit passed after the command was started
	ExitCrash   = 124 // no boot, a panic, or an end without the last word
)

// modulesTaint: the modules are out of tree (12) and not signed (13).
const modulesTaint = 1<<12 | 1<<13

// taintNames are the letters of the kernel's taint bits.
const taintNames = "PFSRMBUDAWCIOELKXTN"

// Outcome is everything that the verdict depends on.
type Outcome struct {
	machine.Seen
	Err     error          // the harness's own
	Signal  syscall.Signal // that ended the harness
	Suite   *Suite         // with --test
	Vmlinux string         // the kernel with its symbols, if there is one
	Modules []string       // the files of those that were built

	scan  sync.Once
	found []finding

	expected []expectation
}

// Verdict is the run's exit code and its last line.
func (o *Outcome) Verdict() (int, string) {
	code, why := o.judge()
	facts := []string{"kernel " + o.Kernel}
	if o.Accel != "" {
		facts = append(facts, o.Accel)
	}
	if o.Running {
		facts = append(facts, fmt.Sprintf("boot %.1f s", o.Boot.Seconds()))
	}
	switch {
	case o.Suite != nil:
		passed, failed, skipped := o.Suite.count()
		never := o.Suite.neverRan()
		failed -= never
		fact := fmt.Sprintf("%d tests run, %d failed, %d skipped", passed+failed, failed, skipped)
		if never > 0 {
			fact += fmt.Sprintf(", %d never ran", never)
		}
		facts = append(facts, fact)
	case o.Exit != nil && why != o.command():
		facts = append(facts, o.command())
	}
	if o.Hello {
		switch n := len(o.findings()); {
		case n > 0:
			facts = append(facts, fmt.Sprintf("log: %d bad lines", n))
		case o.Done && len(o.expected) > 0:
			facts = append(facts, "log as expected")
		case o.Done:
			facts = append(facts, "log clean")
		}
	}
	line := "vm: PASS"
	if why != "" {
		line = "vm: FAIL: " + why
	}
	return code, line + " (" + strings.Join(facts, ", ") + ")"
}

// judge finds the worst that happened. No reason means PASS.
func (o *Outcome) judge() (code int, why string) {
	findings := o.findings()
	panicked := slices.IndexFunc(findings, finding.isFatal)
	switch {
	case o.Signal != 0:
		return 128 + int(o.Signal), "ended by signal: " + o.Signal.String()
	case o.Err != nil:
		return ExitHarness, host.FirstLine(o.Err)
	case panicked >= 0:
		why := "kernel panic: " + findings[panicked].line + findings[panicked].where()
		if !o.Hello {
			why = "boot failure: " + findings[panicked].line
		}
		if panicked > 0 && findings[0].name != "call trace" {
			why += " (first: " + headline(findings) + ")"
		}
		return ExitCrash, why
	case o.TimedOut != "":
		code = ExitTimeout
		if !o.Running {
			code = ExitCrash
		}
		return code, fmt.Sprintf("timeout: %s took longer than %v", o.TimedOut, o.Limit) + o.hang() + o.busyHost()
	case !o.Hello:
		return ExitCrash, "boot failure: the guest never spoke; " + o.QEMUEnd()
	case !o.Running:
		why := o.gone()
		if len(o.Faults) > 0 {
			why = strings.Join(o.Faults, "; ")
		}
		return ExitCrash, "the command was not started: " + why
	case o.Garbled != nil:
		return ExitCrash, "the guest's word is garbled: " + o.Garbled.Error()
	case o.Exit == nil || !o.Done && len(o.Faults) == 0:
		return ExitCrash, o.gone()
	}
	if dirt := o.dirt(findings); len(dirt) > 0 {
		return ExitDirty, strings.Join(dirt, "; ")
	}
	if o.Suite != nil {
		if why := o.Suite.verdict(); why != "" {
			return 1, why
		}
	}
	switch {
	case o.Exit.Signal != 0:
		return 128 + o.Exit.Signal, o.command()
	case o.Exit.Status != 0:
		return o.Exit.Status, o.command()
	}
	return 0, ""
}

// dirt lists what is not clean about a run whose command ended.
func (o *Outcome) dirt(findings []finding) []string {
	dirt := append(slices.Clone(o.Faults), o.missing()...)
	if len(findings) > 0 {
		dirt = append(dirt, "kernel log: "+headline(findings))
	}
	if o.Failed {
		return dirt // the guest could not report the rest
	}
	switch {
	case o.Unloaded == nil:
		dirt = append(dirt, "no word of the modules' unload")
	case o.Unloaded.Text != "":
		dirt = append(dirt, o.Unloaded.Text)
	}
	switch {
	case o.Taint == nil:
		dirt = append(dirt, "no word of the kernel's taint")
	case o.Taint.Taint&^o.allowedTaint() != 0:
		dirt = append(dirt, "kernel tainted: "+taintLetters(o.Taint.Taint&^o.allowedTaint()))
	}
	if !o.Whole {
		dirt = append(dirt, "output was lost")
	}
	if !o.Done || !o.Left {
		dirt = append(dirt, o.gone())
	}
	return dirt
}

// hang says what does not go on after a limit has passed.
func (o *Outcome) hang() string {
	switch {
	case o.TimedOut == machine.PhaseBoot && !o.Hello:
		where := o.Processors()
		if where != "" {
			where = "; " + where
		}
		return ", and the guest never spoke" + where
	case o.TimedOut == machine.PhaseCommand && o.Exit == nil && o.Stopping:
		return ", and it cannot be killed"
	case o.TimedOut == machine.PhaseCommand && o.Exit == nil:
		return ", and the guest does not answer"
	case o.Unread != "":
		return ", and " + o.Unread
	case o.TimedOut == machine.PhaseOutput && !o.Whole:
		return ": output was lost"
	}
	return ""
}

func (o *Outcome) gone() string {
	if o.Done {
		return "the guest did not end as it should; " + o.QEMUEnd()
	}
	return "the guest went away without its last word; " + o.QEMUEnd()
}

func (o *Outcome) command() string {
	switch e := o.Exit; {
	case e.Signal != 0:
		return fmt.Sprintf("command killed by signal %d (%s)", e.Signal, syscall.Signal(e.Signal))
	case e.Text != "":
		return fmt.Sprintf("command not run: %s", e.Text)
	default:
		return fmt.Sprintf("command exited %d", e.Status)
	}
}

// findings are those in the kernel's log as the guest sent it, and those that only
// the console has, because a dying kernel sends nothing more, without the expected
// ones. Call it when all output is read.
func (o *Outcome) findings() []finding {
	o.scan.Do(func() {
		o.found = scanLog(o.Kmsg)
		seen := map[string]bool{}
		for _, f := range o.found {
			seen[f.line] = true
		}
		o.found = o.withoutExpected(o.found)
		for _, f := range o.withoutExpected(scanLog(o.Console)) {
			if !seen[f.line] {
				f.onConsole = true
				o.found = append(o.found, f)
			}
		}
	})
	return o.found
}

// busyHost tells how much of the time that was too short QEMU did not get.
func (o *Outcome) busyHost() string {
	if o.Waited < o.Limit/10 {
		return ""
	}
	return fmt.Sprintf(" (busy host: it waited %v for a processor)", o.Waited.Round(time.Second))
}

// headline is the first finding that says what happened.
func headline(findings []finding) string {
	for _, f := range findings {
		if f.line != cutHere && !strings.HasSuffix(f.line, leakCount) {
			return f.line + f.where()
		}
	}
	return findings[0].line + findings[0].where()
}

// Evidence are the lines that explain the verdict.
func (o *Outcome) Evidence() []string {
	var lines []string
	if o.Err != nil && strings.Contains(o.Err.Error(), "\n") {
		lines = append(lines, o.Err.Error())
	}
	found := o.findings()
	switch {
	case o.Err == nil && o.Signal == 0 && !o.Done && len(o.Console) > 0:
		// The guest died: only the console has all of it.
		if found = scanLog(o.Console); len(found) == 0 {
			return append(append(lines, "vm: the end of the console:"), o.decode(o.Console[max(0, len(o.Console)-endLines):])...)
		}
		lines = append(lines, "vm: the console, from the first bad line:")
		return append(lines, o.decode(excerpt(o.Console[found[0].at:]))...)
	case len(found) > 0:
		log := o.Kmsg
		if found[0].onConsole {
			log = o.Console
		}
		lines = append(lines, "vm: the kernel's log, from the first bad line:")
		lines = append(lines, o.decode(excerpt(log[found[0].at:]))...)
	}
	return lines
}

// How many lines of a log are shown. --out has the rest.
const (
	firstLines = 45
	endLines   = 30
)

// excerpt is the start of the lines, where the report is, and the end, where the
// guest stopped.
func excerpt(lines []string) []string {
	left := len(lines) - firstLines - endLines
	if left <= 1 {
		return lines
	}
	cut := fmt.Sprintf("vm: %d lines are left out here", left)
	return slices.Concat(lines[:firstLines], []string{cut}, lines[len(lines)-endLines:])
}

// decode adds file and line of the sources to lines of the log.
func (o *Outcome) decode(lines []string) []string {
	d := newDecoder(o.Vmlinux, o.Modules)
	if o.Unloaded != nil {
		d.loaded = o.Unloaded.Sections
	}
	return d.decode(lines)
}

func taintLetters(t uint64) string {
	var s []string
	for bit := range 64 {
		if t&(1<<bit) == 0 {
			continue
		}
		name := "?"
		if bit < len(taintNames) {
			name = taintNames[bit : bit+1]
		}
		s = append(s, fmt.Sprintf("%s (bit %d)", name, bit))
	}
	return strings.Join(s, ", ")
}

// Blame fails each test that ran when the kernel logged a finding, whatever the
// test's own result. It tells each line once. Call it when all output is read.
func (o *Outcome) Blame() {
	if o.Suite == nil {
		return
	}
	type blamed struct{ test, line string }
	told := map[blamed]bool{}
	for _, f := range o.findings() {
		if f.line == cutHere || f.name == "call trace" {
			continue
		}
		for _, name := range f.tests {
			if b := (blamed{name, f.line}); !told[b] {
				told[b] = true
				o.Suite.blame(name, "kernel log: "+f.line)
			}
		}
	}
}
