// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"regexp"
	"strings"

	"bulkdump/vm/harness/internal/guest"
)

// cutHere begins a report, and does not say of what.
const cutHere = "------------[ cut here ]------------"

// leakCount ends the line in which kmemleak says how many leaks it found. init
// then writes the leaks to the log one by one.
const leakCount = " new suspected memory leaks (see /sys/kernel/debug/kmemleak)"

// trouble is the table of what a clean kernel log does not contain. The patterns
// match the text of a record without its time stamp. Those that start a report are
// anchored, because harmless lines mention warnings and bugs, too. The first
// pattern that matches names the line.
var trouble = []struct {
	name string
	re   *regexp.Regexp
}{
	{"panic", regexp.MustCompile(`Kernel panic - not syncing`)},
	{"oops", regexp.MustCompile(`^Oops\b|^(traps: )?PANIC: |^(Internal error|kernel BUG at|invalid opcode:|double fault:|divide error:|stack segment:|int3:)`)},
	{"general protection fault", regexp.MustCompile(`^general protection fault\b`)},
	{"KASAN", regexp.MustCompile(`KASAN: `)},
	{"KCSAN", regexp.MustCompile(`KCSAN: `)},
	{"KMSAN", regexp.MustCompile(`KMSAN: `)},
	{"KFENCE", regexp.MustCompile(`KFENCE: .* in `)},
	{"UBSAN", regexp.MustCompile(`UBSAN: `)},
	{"BUG", regexp.MustCompile(`^\s*(\[ )?BUG[: ]`)},
	{"lockdep", regexp.MustCompile(`^(WARNING: )?(possible (circular|recursive|irq lock|deadlock)|inconsistent lock state|bad unlock balance|held lock freed|lock held when returning)|^(INFO: )?trying to register non-static key|^DEBUG_LOCKS_WARN_ON|^turning off the locking correctness validator`)},
	{"suspicious RCU usage", regexp.MustCompile(`suspicious RCU usage`)},
	{"WARNING", regexp.MustCompile(`^WARNING: |^` + regexp.QuoteMeta(cutHere))},
	{"RCU stall", regexp.MustCompile(`^(INFO: )?rcu.* (self-)?detected .*stall|^rcu: INFO: .*stall|kthread starved for`)},
	{"lockup", regexp.MustCompile(`lockup - CPU|hard LOCKUP`)},
	{"hung task", regexp.MustCompile(`^(INFO: )?task .* blocked for more than`)},
	{"reference count", regexp.MustCompile(`^refcount_t: `)},
	{"leak", regexp.MustCompile(`^kmemleak: \d+ new suspected memory leaks|^(kmemleak: )?unreferenced object 0x|^BUG .*: Objects remaining`)},
	{"debug objects", regexp.MustCompile(`^ODEBUG: `)},
	{"device reference", regexp.MustCompile(`^unregister_netdevice: waiting for|^(netdevice: )?leaked reference|^ref_tracker: `)},
	{"list corruption", regexp.MustCompile(`^list_(add|del) corruption`)},
	{"memory", regexp.MustCompile(`^(Out of memory: |.*invoked oom-killer:|.*: page allocation failure: |Bad page state |.*: vmalloc error: |SLUB: Unable to allocate memory )`)},
	{"bad exit", regexp.MustCompile(`^note: .* exited with (preempt_count|irqs disabled)|^scheduling while atomic`)},
	{"module parameter", regexp.MustCompile(`: unknown parameter '.*' ignored$`)},
	{"call trace", regexp.MustCompile(`^(Call Trace:|sysrq: Trigger a crash)`)},
}

// finding is a line that a clean log does not contain.
type finding struct {
	name string
	line string
	at   int // index of the line in what was scanned

	report int // its number in what was scanned

	onConsole bool     // and nowhere else
	tests     []string // that ran when it came
	after     string   // the test that had ended before, if none ran
}

// consolePrefix is what the console prints before a record's text.
var consolePrefix = regexp.MustCompile(`^\[ *\d+\.\d+\](\[ *[TC]\d+\])? `)

// scanLog returns the findings in lines of the log or of the console.
func scanLog(lines []string) []finding {
	var found []finding
	var r reports
	var during guest.TestsDuring
	for i, line := range lines {
		text := consolePrefix.ReplaceAllString(strings.TrimRight(line, "\r"), "")
		r.sees(text)
		during.Sees(text)
		for _, t := range trouble {
			if t.re.MatchString(text) {
				if t.name == "KCSAN" && !inModule(lines[i:]) {
					break
				}
				f := finding{name: t.name, line: text, at: i, report: r.of(t.name)}
				f.tests, f.after = during.Live, during.Last
				found = append(found, f)
				break
			}
		}
	}
	return found
}

// moduleFrame matches a place in a module in a stack trace.
var moduleFrame = regexp.MustCompile(`\+0x[0-9a-f]+/0x[0-9a-f]+ \[\w+`)

// inModule reports whether a module had a part in the data race whose report starts
// the lines. The kernel itself has races that are not marked. If no module is in
// either trace, the race is not the fault of the module under test.
func inModule(lines []string) bool {
	for _, line := range lines[1:] {
		if strings.HasSuffix(line, "==========") || strings.Contains(line, "BUG: ") {
			return false
		}
		if moduleFrame.MatchString(line) {
			return true
		}
	}
	// The report is cut off, so it may be a module's.
	return true
}

// isFatal reports whether the kernel stopped there.
func (f finding) isFatal() bool { return f.name == "panic" }

// where says during which test the line was logged.
func (f finding) where() string {
	switch {
	case len(f.tests) > 0:
		return " (during " + strings.Join(f.tests, " or ") + ")"
	case f.after != "":
		return " (after " + f.after + ")"
	}
	return ""
}
