// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkdump/vm/internal/proto"
)

// goodOutcome is one that PASSes. Every test breaks one thing of it.
func goodOutcome() *outcome {
	log := []string{"[    0.000000] Linux version 6.1.0", "[    1.000000] Run /init as init process"}
	return &outcome{seen: seen{
		kernel: "6.1.0", accel: "tcg", boot: 6500 * time.Millisecond,
		hello: true, running: true,
		exit:     &proto.Message{Kind: proto.KindExit},
		whole:    true,
		unloaded: &proto.Message{Kind: proto.KindUnloaded},
		taint:    &proto.Message{Kind: proto.KindTaint, Taint: 1<<12 | 1<<13},
		done:     true,
		qemuCode: proto.DebugExitCode,
		console:  log,
		kmsg:     slices.Clone(log),
	}}
}

func TestVerdictPass(t *testing.T) {
	code, line := goodOutcome().verdict()
	want := "vm: PASS (kernel 6.1.0, tcg, boot 6.5 s, command exited 0, log clean)"
	if code != 0 || line != want {
		t.Errorf("got %d %q, want 0 %q", code, line, want)
	}
}

func TestVerdictNeedsEveryGuarantee(t *testing.T) {
	for _, tt := range []struct {
		name   string
		breaks func(*outcome)
		code   int
		why    string // in the verdict's reason
	}{
		{"signal", func(o *outcome) { o.signal = syscall.SIGINT }, 130, "ended by signal: interrupt"},
		{"harness", func(o *outcome) { o.err = errors.New("no disk\nat all") }, 121, "no disk ("},
		{"panic on the console", func(o *outcome) {
			o.console = append(o.console, "[    9.000000] Kernel panic - not syncing: Fatal exception")
		}, 124, "kernel panic: Kernel panic - not syncing: Fatal exception"},
		{"what came before a panic", func(o *outcome) {
			o.kmsg = append(o.kmsg, "[    8.000000] BUG: unable to handle page fault for address: 0")
			o.console = append(o.console, "[    9.000000] Kernel panic - not syncing: Fatal exception")
		}, 124, "(first: BUG: unable to handle page fault"},
		{"no boot", func(o *outcome) { *o = outcome{seen: seen{kernel: "6.1", qemuCode: 1, qemuLog: "no such machine"}} },
			124, "boot failure: the guest never spoke; QEMU exited with 1 no such machine"},
		{"boot timeout", func(o *outcome) {
			*o = outcome{seen: seen{kernel: "6.1", timedOut: phaseBoot, limit: time.Minute, qemuCode: -1}}
		}, 124, "timeout: the boot took longer than 1m0s"},
		{"module does not load", func(o *outcome) {
			o.running, o.exit, o.done = false, nil, false
			o.fault("load bulkdump.ko: invalid argument")
		}, 124, "the command was not started: guest: load bulkdump.ko: invalid argument ("},
		{"panic before init", func(o *outcome) {
			*o = outcome{seen: seen{kernel: "6.1", console: []string{"[    3.000000] Kernel panic - not syncing: VFS: Unable to mount root fs"}}}
		}, 124, "boot failure: Kernel panic - not syncing: VFS: Unable to mount root fs"},
		{"silent", func(o *outcome) {
			*o = outcome{seen: seen{kernel: "6.1", timedOut: phaseBoot, limit: time.Second, qemuCode: -1}}
		}, 124, "timeout: the boot took longer than 1s, and the guest never spoke ("},
		{"gone before the command", func(o *outcome) { o.running, o.exit, o.done, o.qemuCode = false, nil, false, 0 }, 124,
			"the command was not started: the guest went away without its last word; QEMU exited with 0 ("},
		{"command timeout", func(o *outcome) { o.timedOut, o.limit = phaseCommand, 5*time.Second }, 123,
			"timeout: the command took longer than 5s ("},
		{"cannot be killed", func(o *outcome) {
			o.timedOut, o.limit, o.stopping, o.exit = phaseCommand, 5*time.Second, true, nil
		}, 123, "timeout: the command took longer than 5s, and it cannot be killed ("},
		{"does not answer", func(o *outcome) { o.timedOut, o.limit, o.exit = phaseCommand, 5*time.Second, nil }, 123,
			"timeout: the command took longer than 5s, and the guest does not answer ("},
		{"output that does not come", func(o *outcome) { o.timedOut, o.limit, o.whole = phaseOutput, 5*time.Second, false }, 123,
			"timeout: taking the rest of the output took longer than 5s: output was lost ("},
		{"command whose output nobody reads", func(o *outcome) {
			o.timedOut, o.limit, o.unread = phaseCommand, 5*time.Second, "nobody read stdout for 4s"
		}, 123, "timeout: the command took longer than 5s, and nobody read stdout for 4s ("},
		{"output that nobody reads", func(o *outcome) {
			o.timedOut, o.limit, o.unread = phaseOutput, 5*time.Second, "nobody read stdout for 4s"
		}, 123, "timeout: taking the rest of the output took longer than 5s, and nobody read stdout for 4s ("},
		{"unload timeout", func(o *outcome) { o.timedOut, o.limit, o.done = phaseUnload, time.Minute, false }, 123,
			"timeout: the unload took longer than 1m0s"},
		{"garbled", func(o *outcome) { o.garbled, o.done = errors.New("not a control message"), false }, 124,
			"the guest's word is garbled: not a control message"},
		{"no exit", func(o *outcome) { o.exit, o.done = nil, false }, 124, "the guest went away without its last word"},
		{"no last word", func(o *outcome) { o.done = false }, 124, "the guest went away without its last word"},
		{"log", func(o *outcome) { o.kmsg = append(o.kmsg, "[    9.000000] WARNING: CPU: 0 PID: 1 at x") }, 122,
			"kernel log: WARNING: CPU: 0 PID: 1 at x"},
		{"what a report is about", func(o *outcome) {
			o.kmsg = append(o.kmsg, "[    9.000000] ------------[ cut here ]------------", "[    9.000000] WARNING: CPU: 0 PID: 1 at y")
		}, 122, "kernel log: WARNING: CPU: 0 PID: 1 at y"},
		{"half a report", func(o *outcome) { o.kmsg = append(o.kmsg, "[    9.000000] ------------[ cut here ]------------") }, 122,
			"kernel log: ------------[ cut here ]"},
		{"console alone", func(o *outcome) { o.console = append(o.console, "[    9.000000] UBSAN: shift-out-of-bounds in x") }, 122,
			"kernel log: UBSAN: shift-out-of-bounds in x"},
		{"lost log", func(o *outcome) { o.fault("kernel log overran its buffer: records are lost") }, 122,
			"guest: kernel log overran its buffer"},
		{"fault instead of the last word", func(o *outcome) { o.fault("read taint"); o.done = false }, 122, "guest: read taint"},
		{"the rest it could not say", func(o *outcome) {
			o.fault("relay output: no such device")
			o.failed, o.done, o.whole, o.unloaded, o.taint = true, false, false, nil, nil
		}, 122, "FAIL: guest: relay output: no such device ("},
		{"leak", func(o *outcome) {
			o.kmsg = append(o.kmsg, "[    9.000000] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
				"[    9.000000] kmemleak: unreferenced object 0xffff888003a5c000 (size 64):")
		}, 122, "kernel log: kmemleak: unreferenced object 0xffff888003a5c000 (size 64)"},
		{"unload not told", func(o *outcome) { o.unloaded = nil }, 122, "no word of the modules' unload"},
		{"unload refused", func(o *outcome) { o.unloaded.Text = "module bulkdump does not unload: resource busy" }, 122,
			"module bulkdump does not unload: resource busy"},
		{"taint not told", func(o *outcome) { o.taint = nil }, 122, "no word of the kernel's taint"},
		{"taint", func(o *outcome) { o.taint.Taint |= 1<<9 | 1<<5 }, 122, "kernel tainted: B (bit 5), W (bit 9)"},
		{"unknown taint", func(o *outcome) { o.taint.Taint |= 1 << 40 }, 122, "kernel tainted: ? (bit 40)"},
		{"output lost", func(o *outcome) { o.whole = false }, 122, "output was lost"},
		{"QEMU's end", func(o *outcome) { o.qemuCode = 0 }, 122, "the guest did not end as it should; QEMU exited with 0"},
		{"suite", func(o *outcome) { o.suite = &suite{tests: []*testResult{{name: "TestX", result: resultFail}}} }, 1,
			"1 of 1 tests failed: TestX"},
		{"status", func(o *outcome) { o.exit.Status = 7 }, 7, "command exited 7"},
		{"killed", func(o *outcome) { o.exit.Signal = 9 }, 137, "command killed by signal 9 (killed)"},
		{"not found", func(o *outcome) { o.exit.Status, o.exit.Text = 127, "x: command not found" }, 127,
			"command not run: x: command not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := goodOutcome()
			tt.breaks(o)
			code, line := o.verdict()
			if code != tt.code || !strings.HasPrefix(line, "vm: FAIL: ") || !strings.Contains(line, tt.why) {
				t.Errorf("got %d %q, want %d with %q", code, line, tt.code, tt.why)
			}
		})
	}
}

func TestVerdictCountsTests(t *testing.T) {
	o := goodOutcome()
	o.suite = &suite{tests: []*testResult{{name: "TestA", result: resultPass}, {name: "TestB", result: resultFail}, {name: "TestC", result: resultSkip}}}
	if _, line := o.verdict(); !strings.Contains(line, ", 2 tests run, 1 failed, 1 skipped, log clean)") {
		t.Error(line)
	}
}

// Dirt outweighs a status: a command that fails on a dirty kernel is no
// ordinary failure. All of it is told.
func TestVerdictTellsAllDirt(t *testing.T) {
	o := goodOutcome()
	o.exit.Status = 3
	o.whole = false
	o.taint = nil
	code, line := o.verdict()
	if code != exitDirty || !strings.Contains(line, "output was lost") || !strings.Contains(line, "taint") || !strings.Contains(line, "command exited 3") {
		t.Errorf("got %d %q", code, line)
	}
}

func TestEvidence(t *testing.T) {
	o := goodOutcome()
	if lines := o.evidence(); len(lines) != 0 {
		t.Errorf("a clean run shows %q", lines)
	}

	o = goodOutcome()
	for i := range 100 {
		o.kmsg = append(o.kmsg, fmt.Sprintf("[    9.000000] line %d", i))
	}
	o.kmsg[10] = "[    9.000000] BUG: here"
	lines := o.evidence()
	if len(lines) != 1+firstLines+1+endLines || lines[1] != "[    9.000000] BUG: here" ||
		lines[1+firstLines] != "vm: 17 lines are left out here" || lines[len(lines)-1] != o.kmsg[101] {
		t.Errorf("a dirty log shows %d lines: %q", len(lines), lines)
	}

	o = goodOutcome()
	o.console = append(o.console, "[    9.000000] UBSAN: here", "[    9.100000] and on")
	if lines := o.evidence(); len(lines) != 3 || lines[1] != "[    9.000000] UBSAN: here" {
		t.Errorf("a dirty console shows %q", lines)
	}

	o = goodOutcome()
	o.done = false
	if lines := o.evidence(); len(lines) != 3 || lines[2] != o.console[1] {
		t.Errorf("a guest that went away shows %q", lines)
	}

	o = goodOutcome()
	o.done = false
	o.console = append(o.console, "[    8.000000] BUG: here", "[    9.000000] Kernel panic - not syncing: x")
	if lines := o.evidence(); len(lines) != 3 || !slices.Equal(lines[1:], o.console[2:]) {
		t.Errorf("a panic shows %q", lines)
	}

	o = goodOutcome()
	o.err = errors.New("go: exit status 1\nx.go:1: oh no")
	if lines := o.evidence(); !slices.Contains(lines, o.err.Error()) {
		t.Errorf("an error of several lines shows %q", lines)
	}
}

func TestAllowedTaintIsOursAlone(t *testing.T) {
	if got, want := taintLetters(allowedTaint), "O (bit 12), E (bit 13)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A passed test in whose time the kernel warned has failed, everywhere; what
// came outside of tests is no test's fault.
func TestBlame(t *testing.T) {
	o := goodOutcome()
	o.suite, _ = runSuite(t, []string{"TestA", "TestC"}, passA+skipC+end)
	o.kmsg = append(o.kmsg, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] "+cutHere, "[    7.100000] WARNING: CPU: 0 PID: 9 at x.c:1", "[    7.100000] Call Trace:",
		"[    7.200000] bulkdump-vm: test TestA ends", "[    7.300000] bulkdump-vm: test TestC starts",
		"[    7.400000] bulkdump-vm: test TestC ends", "[    8.000000] BUG: leak")
	o.blame()
	if got := o.suite.summary(); got != "0 passed, 1 failed, 1 skipped" {
		t.Error(got)
	}
	code, line := o.verdict()
	if code != exitDirty || !strings.Contains(line, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1 (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	text := o.suite.tests[0].output.String()
	if !strings.HasSuffix(text, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1\n") || strings.Contains(text, "Call Trace") ||
		strings.Contains(text, cutHere) || strings.Contains(text, "leak") {
		t.Errorf("TestA's output: %q", text)
	}
	if got := []string{o.suite.tests[0].result, o.suite.tests[1].result}; !slices.Equal(got, []string{resultFail, resultSkip}) {
		t.Errorf("results %q", got)
	}
	o.suite = nil
	o.blame()
}

// A dying kernel's last words are on the console alone; so is the mark.
func TestBlameForAPanic(t *testing.T) {
	o := goodOutcome()
	o.suite, _ = runSuite(t, []string{"TestA"}, strings.SplitAfter(passA, "\n")[1])
	o.done, o.exit = false, nil
	o.console = append(o.console, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] Kernel panic - not syncing: Fatal exception")
	o.blame()
	code, line := o.verdict()
	if code != exitCrash || !strings.Contains(line, "Fatal exception (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	if text := o.suite.tests[0].output.String(); !strings.Contains(text, "kernel log: Kernel panic") {
		t.Errorf("TestA's output: %q", text)
	}
}
