// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"bulkdump/vm/internal/proto"
)

// Exit codes beside the command's own.
const (
	exitHarness = 121 // the harness or the host failed, or the call was wrong
	exitDirty   = 122 // the command ran; log, taint or unload are not clean
	exitTimeout = 123 // a limit passed after the command was started
	exitCrash   = 124 // no boot, a panic, or an end without the last word
)

// allowedTaint: a module of ours is out of tree (12) and not signed (13).
const allowedTaint = 1<<12 | 1<<13

// taintNames are the letters of the kernel's taint bits.
const taintNames = "PFSRMBUDAWCIOELKXTN"

// outcome is a run to be judged.
type outcome struct {
	seen
	err     error          // the harness's own
	signal  syscall.Signal // that ended the harness
	suite   *suite         // with --test
	decoder *decoder       // nil decodes nothing

	scan  sync.Once
	found []finding
}

// verdict is the run's exit code and its last line.
func (o *outcome) verdict() (int, string) {
	code, why := o.judge()
	facts := []string{"kernel " + o.kernel}
	if o.accel != "" {
		facts = append(facts, o.accel)
	}
	if o.running {
		facts = append(facts, fmt.Sprintf("boot %.1f s", o.boot.Seconds()))
	}
	switch {
	case o.suite != nil:
		passed, failed, skipped := o.suite.count()
		facts = append(facts, fmt.Sprintf("%d tests run, %d failed, %d skipped", passed+failed, failed, skipped))
	case o.exit != nil && why != o.command():
		facts = append(facts, o.command())
	}
	if o.hello {
		switch n := len(o.findings()); {
		case n > 0:
			facts = append(facts, fmt.Sprintf("log: %d bad lines", n))
		case o.done:
			facts = append(facts, "log clean")
		}
	}
	line := "vm: PASS"
	if why != "" {
		line = "vm: FAIL: " + why
	}
	return code, line + " (" + strings.Join(facts, ", ") + ")"
}

// judge finds the worst of what happened; no reason means PASS.
func (o *outcome) judge() (code int, why string) {
	findings := o.findings()
	panicked := slices.IndexFunc(findings, finding.isFatal)
	switch {
	case o.signal != 0:
		return 128 + int(o.signal), "ended by signal: " + o.signal.String()
	case o.err != nil:
		return exitHarness, firstLine(o.err)
	case panicked >= 0:
		why := "kernel panic: " + findings[panicked].line + findings[panicked].where()
		if !o.hello {
			why = "boot failure: " + findings[panicked].line
		}
		if panicked > 0 && findings[0].name != "call trace" {
			why += " (first: " + headline(findings) + ")"
		}
		return exitCrash, why
	case o.timedOut != "":
		code = exitTimeout
		if !o.running {
			code = exitCrash
		}
		return code, fmt.Sprintf("timeout: %s took longer than %v", o.timedOut, o.limit) + o.hang()
	case !o.hello:
		return exitCrash, "boot failure: the guest never spoke; " + o.qemuEnd()
	case !o.running:
		why := o.gone()
		if len(o.faults) > 0 {
			why = strings.Join(o.faults, "; ")
		}
		return exitCrash, "the command was not started: " + why
	case o.garbled != nil:
		return exitCrash, "the guest's word is garbled: " + o.garbled.Error()
	case o.exit == nil || !o.done && len(o.faults) == 0:
		return exitCrash, o.gone()
	}
	if dirt := o.dirt(findings); len(dirt) > 0 {
		return exitDirty, strings.Join(dirt, "; ")
	}
	if o.suite != nil {
		if why := o.suite.verdict(); why != "" {
			return 1, why
		}
	}
	switch {
	case o.exit.Signal != 0:
		return 128 + o.exit.Signal, o.command()
	case o.exit.Status != 0:
		return o.exit.Status, o.command()
	}
	return 0, ""
}

// dirt lists what is not clean about a run whose command ended.
func (o *outcome) dirt(findings []finding) []string {
	dirt := slices.Clone(o.faults)
	if len(findings) > 0 {
		dirt = append(dirt, "kernel log: "+headline(findings))
	}
	if o.failed {
		return dirt // of the rest it could not speak
	}
	switch {
	case o.unloaded == nil:
		dirt = append(dirt, "no word of the modules' unload")
	case o.unloaded.Text != "":
		dirt = append(dirt, o.unloaded.Text)
	}
	switch {
	case o.taint == nil:
		dirt = append(dirt, "no word of the kernel's taint")
	case o.taint.Taint&^allowedTaint != 0:
		dirt = append(dirt, "kernel tainted: "+taintLetters(o.taint.Taint&^allowedTaint))
	}
	if !o.whole {
		dirt = append(dirt, "output was lost")
	}
	if !o.done || o.qemuCode != proto.DebugExitCode {
		dirt = append(dirt, o.gone())
	}
	return dirt
}

// hang says what does not go on, where a limit passed.
func (o *outcome) hang() string {
	switch {
	case o.timedOut == phaseBoot && !o.hello:
		return ", and the guest never spoke"
	case o.timedOut == phaseCommand && o.exit == nil && o.stopping:
		return ", and it cannot be killed"
	case o.timedOut == phaseCommand && o.exit == nil:
		return ", and the guest does not answer"
	case o.unread != "":
		return ", and " + o.unread
	case o.timedOut == phaseOutput && !o.whole:
		return ": output was lost"
	}
	return ""
}

func (o *outcome) gone() string {
	if o.done {
		return "the guest did not end as it should; " + o.qemuEnd()
	}
	return "the guest went away without its last word; " + o.qemuEnd()
}

// command says how the command ended.
func (o *outcome) command() string {
	switch e := o.exit; {
	case e.Signal != 0:
		return fmt.Sprintf("command killed by signal %d (%s)", e.Signal, syscall.Signal(e.Signal))
	case e.Text != "":
		return fmt.Sprintf("command not run: %s", e.Text)
	default:
		return fmt.Sprintf("command exited %d", e.Status)
	}
}

// findings are those of the kernel's log as the guest sent it, and those that
// only the console has: a dying kernel sends no more. Call it when all is read.
func (o *outcome) findings() []finding {
	o.scan.Do(func() {
		o.found = scanLog(o.kmsg)
		seen := map[string]bool{}
		for _, f := range o.found {
			seen[f.line] = true
		}
		for _, f := range scanLog(o.console) {
			if !seen[f.line] {
				f.onConsole = true
				o.found = append(o.found, f)
			}
		}
	})
	return o.found
}

// headline is the first finding that says of what it is.
func headline(findings []finding) string {
	for _, f := range findings {
		if f.line != cutHere && !strings.HasSuffix(f.line, leakCount) {
			return f.line + f.where()
		}
	}
	return findings[0].line + findings[0].where()
}

// evidence is what a reader wants to see before the verdict.
func (o *outcome) evidence() []string {
	var lines []string
	if o.err != nil && strings.Contains(o.err.Error(), "\n") {
		lines = append(lines, o.err.Error())
	}
	found := o.findings()
	switch {
	case o.err == nil && o.signal == 0 && !o.done && len(o.console) > 0:
		// The guest died: only the console has all of it.
		if found = scanLog(o.console); len(found) == 0 {
			return append(append(lines, "vm: the end of the console:"), o.decode(o.console[max(0, len(o.console)-endLines):])...)
		}
		lines = append(lines, "vm: the console, from the first bad line:")
		return append(lines, o.decode(excerpt(o.console[found[0].at:]))...)
	case len(found) > 0:
		log := o.kmsg
		if found[0].onConsole {
			log = o.console
		}
		lines = append(lines, "vm: the kernel's log, from the first bad line:")
		lines = append(lines, o.decode(excerpt(log[found[0].at:]))...)
	}
	return lines
}

// How much of a log is shown: --out has the rest.
const (
	firstLines = 45
	endLines   = 30
)

// excerpt is the start of lines, where the report is, and their end, where the
// guest was when it stopped.
func excerpt(lines []string) []string {
	left := len(lines) - firstLines - endLines
	if left <= 1 {
		return lines
	}
	cut := fmt.Sprintf("vm: %d lines are left out here", left)
	return slices.Concat(lines[:firstLines], []string{cut}, lines[len(lines)-endLines:])
}

func (o *outcome) decode(lines []string) []string {
	if o.decoder == nil {
		return lines
	}
	if o.unloaded != nil {
		o.decoder.loaded = o.unloaded.Sections
	}
	return o.decoder.decode(lines)
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

// blame puts what the kernel said down to the tests that ran then: they have
// failed, whatever they think of it. Call it when all is read.
func (o *outcome) blame() {
	if o.suite == nil {
		return
	}
	for _, f := range o.findings() {
		if f.line == cutHere || f.name == "call trace" {
			continue
		}
		for _, name := range f.tests {
			o.suite.blame(name, "kernel log: "+f.line)
		}
	}
}
