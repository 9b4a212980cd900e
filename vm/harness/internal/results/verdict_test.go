// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkdump/vm/harness/internal/machine"
	"bulkdump/vm/internal/proto"
)

// goodOutcome is one that PASSes. Every test breaks one thing of it.
func goodOutcome() *Outcome {
	log := []string{"[    0.000000] Linux version 6.1.0", "[    1.000000] Run /init as init process"}
	return &Outcome{Seen: machine.Seen{
		Kernel: "6.1.0", Accel: "tcg", Boot: 6500 * time.Millisecond,
		Hello: true, Running: true,
		Exit:     &proto.Message{Kind: proto.KindExit},
		Whole:    true,
		Unloaded: &proto.Message{Kind: proto.KindUnloaded},
		Taint:    &proto.Message{Kind: proto.KindTaint, Taint: 1<<12 | 1<<13},
		Done:     true,
		Left:     true, QEMUCode: proto.DebugExitCode,
		Console: log,
		Kmsg:    slices.Clone(log),
	}}
}

func TestVerdictPass(t *testing.T) {
	code, line := goodOutcome().Verdict()
	want := "vm: PASS (kernel 6.1.0, tcg, boot 6.5 s, command exited 0, log clean)"
	if code != 0 || line != want {
		t.Errorf("got %d %q, want 0 %q", code, line, want)
	}
}

func TestVerdictNeedsEveryGuarantee(t *testing.T) {
	for _, tt := range []struct {
		name   string
		breaks func(*Outcome)
		code   int
		why    string // in the verdict's reason
	}{
		{"signal", func(o *Outcome) { o.Signal = syscall.SIGINT }, 130, "ended by signal: interrupt"},
		{"harness", func(o *Outcome) { o.Err = errors.New("no disk\nat all") }, 121, "no disk ("},
		{"panic on the console", func(o *Outcome) {
			o.Console = append(o.Console, "[    9.000000] Kernel panic - not syncing: Fatal exception")
		}, 124, "kernel panic: Kernel panic - not syncing: Fatal exception"},
		{"what came before a panic", func(o *Outcome) {
			o.Kmsg = append(o.Kmsg, "[    8.000000] BUG: unable to handle page fault for address: 0")
			o.Console = append(o.Console, "[    9.000000] Kernel panic - not syncing: Fatal exception")
		}, 124, "(first: BUG: unable to handle page fault"},
		{"no boot", func(o *Outcome) {
			*o = Outcome{Seen: machine.Seen{Kernel: "6.1", QEMUCode: 1, QEMULog: "no such machine"}}
		},
			124, "boot failure: the guest never spoke; QEMU exited with 1 no such machine"},
		{"boot timeout", func(o *Outcome) {
			*o = Outcome{Seen: machine.Seen{Kernel: "6.1", TimedOut: machine.PhaseBoot, Limit: time.Minute, QEMUCode: -1}}
		}, 124, "timeout: the boot took longer than 1m0s"},
		{"module does not load", func(o *Outcome) {
			o.Running, o.Exit, o.Done = false, nil, false
			o.Fault("load bulkdump.ko: invalid argument")
		}, 124, "the command was not started: guest: load bulkdump.ko: invalid argument ("},
		{"panic before init", func(o *Outcome) {
			*o = Outcome{Seen: machine.Seen{Kernel: "6.1", Console: []string{"[    3.000000] Kernel panic - not syncing: VFS: Unable to mount root fs"}}}
		}, 124, "boot failure: Kernel panic - not syncing: VFS: Unable to mount root fs"},
		{"silent", func(o *Outcome) {
			*o = Outcome{Seen: machine.Seen{Kernel: "6.1", TimedOut: machine.PhaseBoot, Limit: time.Second, QEMUCode: -1}}
		}, 124, "timeout: the boot took longer than 1s, and the guest never spoke ("},
		{"gone before the command", func(o *Outcome) { o.Running, o.Exit, o.Done, o.Left, o.QEMUCode = false, nil, false, false, 0 }, 124,
			"the command was not started: the guest went away without its last word; QEMU exited with 0 ("},
		{"command timeout on a busy host", func(o *Outcome) {
			o.TimedOut, o.Limit, o.Waited = machine.PhaseUnload, time.Minute, 400*time.Second
		}, 123, "timeout: the unload took longer than 1m0s (busy host: it waited 6m40s for a processor)"},
		{"command timeout", func(o *Outcome) { o.TimedOut, o.Limit = machine.PhaseCommand, 5*time.Second }, 123,
			"timeout: the command took longer than 5s ("},
		{"cannot be killed", func(o *Outcome) {
			o.TimedOut, o.Limit, o.Stopping, o.Exit = machine.PhaseCommand, 5*time.Second, true, nil
		}, 123, "timeout: the command took longer than 5s, and it cannot be killed ("},
		{"does not answer", func(o *Outcome) { o.TimedOut, o.Limit, o.Exit = machine.PhaseCommand, 5*time.Second, nil }, 123,
			"timeout: the command took longer than 5s, and the guest does not answer ("},
		{"output that does not come", func(o *Outcome) { o.TimedOut, o.Limit, o.Whole = machine.PhaseOutput, 5*time.Second, false }, 123,
			"timeout: taking the rest of the output took longer than 5s: output was lost ("},
		{"command whose output nobody reads", func(o *Outcome) {
			o.TimedOut, o.Limit, o.Unread = machine.PhaseCommand, 5*time.Second, "nobody read stdout for 4s"
		}, 123, "timeout: the command took longer than 5s, and nobody read stdout for 4s ("},
		{"output that nobody reads", func(o *Outcome) {
			o.TimedOut, o.Limit, o.Unread = machine.PhaseOutput, 5*time.Second, "nobody read stdout for 4s"
		}, 123, "timeout: taking the rest of the output took longer than 5s, and nobody read stdout for 4s ("},
		{"unload timeout", func(o *Outcome) { o.TimedOut, o.Limit, o.Done = machine.PhaseUnload, time.Minute, false }, 123,
			"timeout: the unload took longer than 1m0s"},
		{"garbled", func(o *Outcome) { o.Garbled, o.Done = errors.New("not a control message"), false }, 124,
			"the guest's word is garbled: not a control message"},
		{"no exit", func(o *Outcome) { o.Exit, o.Done = nil, false }, 124, "the guest went away without its last word"},
		{"no last word", func(o *Outcome) { o.Done = false }, 124, "the guest went away without its last word"},
		{"log", func(o *Outcome) { o.Kmsg = append(o.Kmsg, "[    9.000000] WARNING: CPU: 0 PID: 1 at x") }, 122,
			"kernel log: WARNING: CPU: 0 PID: 1 at x"},
		{"what a report is about", func(o *Outcome) {
			o.Kmsg = append(o.Kmsg, "[    9.000000] ------------[ cut here ]------------", "[    9.000000] WARNING: CPU: 0 PID: 1 at y")
		}, 122, "kernel log: WARNING: CPU: 0 PID: 1 at y"},
		{"half a report", func(o *Outcome) { o.Kmsg = append(o.Kmsg, "[    9.000000] ------------[ cut here ]------------") }, 122,
			"kernel log: ------------[ cut here ]"},
		{"console alone", func(o *Outcome) { o.Console = append(o.Console, "[    9.000000] UBSAN: shift-out-of-bounds in x") }, 122,
			"kernel log: UBSAN: shift-out-of-bounds in x"},
		{"lost log", func(o *Outcome) { o.Fault("kernel log overran its buffer: records are lost") }, 122,
			"guest: kernel log overran its buffer"},
		{"fault instead of the last word", func(o *Outcome) { o.Fault("read taint"); o.Done = false }, 122, "guest: read taint"},
		{"the rest it could not say", func(o *Outcome) {
			o.Fault("relay output: no such device")
			o.Failed, o.Done, o.Whole, o.Unloaded, o.Taint = true, false, false, nil, nil
		}, 122, "FAIL: guest: relay output: no such device ("},
		{"leak", func(o *Outcome) {
			o.Kmsg = append(o.Kmsg, "[    9.000000] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
				"[    9.000000] kmemleak: unreferenced object 0xffff888003a5c000 (size 64):")
		}, 122, "kernel log: kmemleak: unreferenced object 0xffff888003a5c000 (size 64)"},
		{"unload not told", func(o *Outcome) { o.Unloaded = nil }, 122, "no word of the modules' unload"},
		{"unload refused", func(o *Outcome) { o.Unloaded.Text = "module bulkdump does not unload: resource busy" }, 122,
			"module bulkdump does not unload: resource busy"},
		{"taint not told", func(o *Outcome) { o.Taint = nil }, 122, "no word of the kernel's taint"},
		{"taint", func(o *Outcome) { o.Taint.Taint |= 1<<9 | 1<<5 }, 122, "kernel tainted: B (bit 5), W (bit 9)"},
		{"unknown taint", func(o *Outcome) { o.Taint.Taint |= 1 << 40 }, 122, "kernel tainted: ? (bit 40)"},
		{"output lost", func(o *Outcome) { o.Whole = false }, 122, "output was lost"},
		{"QEMU's end", func(o *Outcome) { o.Left, o.QEMUCode = false, 0 }, 122, "the guest did not end as it should; QEMU exited with 0"},
		{"suite", func(o *Outcome) { o.Suite = &Suite{tests: []*testResult{{name: "TestX", result: resultFail}}} }, 1,
			"1 of 1 tests failed: TestX"},
		{"status", func(o *Outcome) { o.Exit.Status = 7 }, 7, "command exited 7"},
		{"killed", func(o *Outcome) { o.Exit.Signal = 9 }, 137, "command killed by signal 9 (killed)"},
		{"not found", func(o *Outcome) { o.Exit.Status, o.Exit.Text = 127, "x: command not found" }, 127,
			"command not run: x: command not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := goodOutcome()
			tt.breaks(o)
			code, line := o.Verdict()
			if code != tt.code || !strings.HasPrefix(line, "vm: FAIL: ") || !strings.Contains(line, tt.why) {
				t.Errorf("got %d %q, want %d with %q", code, line, tt.code, tt.why)
			}
		})
	}
}

func TestVerdictCountsTests(t *testing.T) {
	o := goodOutcome()
	o.Suite = &Suite{tests: []*testResult{{name: "TestA", result: resultPass}, {name: "TestB", result: resultFail}, {name: "TestC", result: resultSkip}}}
	if _, line := o.Verdict(); !strings.Contains(line, ", 2 tests run, 1 failed, 1 skipped, log clean)") {
		t.Error(line)
	}
	o.Suite.tests = append(o.Suite.tests, &testResult{name: "TestD", result: resultFail, missing: true}, &testResult{name: "TestE"})
	if _, line := o.Verdict(); !strings.Contains(line, ", 2 tests run, 1 failed, 1 skipped, 2 never ran, log clean)") {
		t.Error(line)
	}
}

// Dirt outweighs a status: a command that fails on a dirty kernel is no
// ordinary failure. All of it is told.
func TestVerdictTellsAllDirt(t *testing.T) {
	o := goodOutcome()
	o.Exit.Status = 3
	o.Whole = false
	o.Taint = nil
	code, line := o.Verdict()
	if code != ExitDirty || !strings.Contains(line, "output was lost") || !strings.Contains(line, "taint") || !strings.Contains(line, "command exited 3") {
		t.Errorf("got %d %q", code, line)
	}
}

func TestEvidence(t *testing.T) {
	o := goodOutcome()
	if lines := o.Evidence(); len(lines) != 0 {
		t.Errorf("a clean run shows %q", lines)
	}

	o = goodOutcome()
	for i := range 100 {
		o.Kmsg = append(o.Kmsg, fmt.Sprintf("[    9.000000] line %d", i))
	}
	o.Kmsg[10] = "[    9.000000] BUG: here"
	lines := o.Evidence()
	if len(lines) != 1+firstLines+1+endLines || lines[1] != "[    9.000000] BUG: here" ||
		lines[1+firstLines] != "vm: 17 lines are left out here" || lines[len(lines)-1] != o.Kmsg[101] {
		t.Errorf("a dirty log shows %d lines: %q", len(lines), lines)
	}

	o = goodOutcome()
	o.Console = append(o.Console, "[    9.000000] UBSAN: here", "[    9.100000] and on")
	if lines := o.Evidence(); len(lines) != 3 || lines[1] != "[    9.000000] UBSAN: here" {
		t.Errorf("a dirty console shows %q", lines)
	}

	o = goodOutcome()
	o.Done = false
	if lines := o.Evidence(); len(lines) != 3 || lines[2] != o.Console[1] {
		t.Errorf("a guest that went away shows %q", lines)
	}

	o = goodOutcome()
	o.Done = false
	o.Console = append(o.Console, "[    8.000000] BUG: here", "[    9.000000] Kernel panic - not syncing: x")
	if lines := o.Evidence(); len(lines) != 3 || !slices.Equal(lines[1:], o.Console[2:]) {
		t.Errorf("a panic shows %q", lines)
	}

	o = goodOutcome()
	o.Err = errors.New("go: exit status 1\nx.go:1: oh no")
	if lines := o.Evidence(); !slices.Contains(lines, o.Err.Error()) {
		t.Errorf("an error of several lines shows %q", lines)
	}
}

func TestModulesTaintIsOursAlone(t *testing.T) {
	if got, want := taintLetters(modulesTaint), "O (bit 12), E (bit 13)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A passed test in whose time the kernel warned has failed, everywhere; what
// came outside of tests is no test's fault.
func TestBlame(t *testing.T) {
	o := goodOutcome()
	o.Suite, _ = runSuite(t, []string{"TestA", "TestC"}, passA+skipC+end)
	o.Kmsg = append(o.Kmsg, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] "+cutHere, "[    7.100000] WARNING: CPU: 0 PID: 9 at x.c:1", "[    7.100000] Call Trace:",
		"[    7.200000] bulkdump-vm: test TestA ends", "[    7.300000] bulkdump-vm: test TestC starts",
		"[    7.400000] bulkdump-vm: test TestC ends", "[    8.000000] BUG: leak")
	o.Blame()
	if got := o.Suite.Summary(); got != "0 passed, 1 failed, 1 skipped" {
		t.Error(got)
	}
	code, line := o.Verdict()
	if code != ExitDirty || !strings.Contains(line, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1 (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	text := o.Suite.tests[0].output.String()
	if !strings.HasSuffix(text, "kernel log: WARNING: CPU: 0 PID: 9 at x.c:1\n") || strings.Contains(text, "Call Trace") ||
		strings.Contains(text, cutHere) || strings.Contains(text, "leak") {
		t.Errorf("TestA's output: %q", text)
	}
	if got := []string{o.Suite.tests[0].result, o.Suite.tests[1].result}; !slices.Equal(got, []string{resultFail, resultSkip}) {
		t.Errorf("results %q", got)
	}
	o.Suite = nil
	o.Blame()
}

// A dying kernel's last words are on the console alone; so is the mark.
func TestBlameForAPanic(t *testing.T) {
	o := goodOutcome()
	o.Suite, _ = runSuite(t, []string{"TestA"}, strings.SplitAfter(passA, "\n")[1])
	o.Done, o.Exit = false, nil
	o.Console = append(o.Console, "[    7.000000] bulkdump-vm: test TestA starts",
		"[    7.100000] Kernel panic - not syncing: Fatal exception")
	o.Blame()
	code, line := o.Verdict()
	if code != ExitCrash || !strings.Contains(line, "Fatal exception (during TestA)") {
		t.Errorf("%d %s", code, line)
	}
	if text := o.Suite.tests[0].output.String(); !strings.Contains(text, "kernel log: Kernel panic") {
		t.Errorf("TestA's output: %q", text)
	}
}
