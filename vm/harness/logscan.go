// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"regexp"
	"strings"
)

// trouble is the table of what a clean kernel log does not have. The patterns
// match the text of a record, without time stamp; those that start a report
// are anchored, because innocent lines mention warnings and bugs, too.
var trouble = []struct {
	name string
	re   *regexp.Regexp
}{
	{"panic", regexp.MustCompile(`Kernel panic - not syncing`)},
	{"oops", regexp.MustCompile(`^Oops\b|^(Internal error|kernel BUG at|invalid opcode:|double fault:|divide error:|stack segment:|int3:)`)},
	{"general protection fault", regexp.MustCompile(`^general protection fault\b`)},
	{"KASAN", regexp.MustCompile(`\bKASAN: `)},
	{"KCSAN", regexp.MustCompile(`\bKCSAN: `)},
	{"KFENCE", regexp.MustCompile(`\bKFENCE: .* in `)},
	{"UBSAN", regexp.MustCompile(`\bUBSAN: `)},
	{"BUG", regexp.MustCompile(`^(\s*)BUG[: ]`)},
	{"lockdep", regexp.MustCompile(`^(WARNING: )?(possible (circular|recursive|irq lock|deadlock)|inconsistent lock state|bad unlock balance|held lock freed|lock held when returning)|^(INFO: )?trying to register non-static key|^DEBUG_LOCKS_WARN_ON|^turning off the locking correctness validator`)},
	{"WARNING", regexp.MustCompile(`^WARNING: |^------------\[ cut here \]------------`)},
	{"RCU stall", regexp.MustCompile(`^(INFO: )?rcu.* (self-)?detected .*stall|^rcu: INFO: .*stall|rcu_\w+ kthread starved`)},
	{"suspicious RCU usage", regexp.MustCompile(`suspicious RCU usage`)},
	{"lockup", regexp.MustCompile(`(soft|hard) lockup - CPU|Watchdog detected hard LOCKUP|NMI watchdog: .*LOCKUP`)},
	{"hung task", regexp.MustCompile(`^(INFO: )?task .* blocked for more than`)},
	{"reference count", regexp.MustCompile(`^refcount_t: `)},
	{"leak", regexp.MustCompile(`^kmemleak: \d+ new suspected memory leaks|^unreferenced object 0x|^BUG .*: Objects remaining`)},
	{"debug objects", regexp.MustCompile(`^ODEBUG: `)},
	{"device reference", regexp.MustCompile(`^unregister_netdevice: waiting for|^(netdevice: )?leaked reference|^ref_tracker: `)},
	{"list corruption", regexp.MustCompile(`^list_(add|del) corruption`)},
	{"memory", regexp.MustCompile(`^(Out of memory: |.*invoked oom-killer:|.*: page allocation failure: |Bad page state |.*: vmalloc error: )`)},
	{"bad exit", regexp.MustCompile(`^note: .* exited with (preempt_count|irqs disabled)|^scheduling while atomic`)},
	{"call trace", regexp.MustCompile(`^(Call Trace:|.*\bsysrq: Trigger a crash)`)},
}

// finding is a line of the log that must not be there.
type finding struct {
	name string
	line string
	at   int // index of the line in what was scanned
}

// consolePrefix is what the console puts before a record's text.
var consolePrefix = regexp.MustCompile(`^\[ *\d+\.\d+\](\[ *[TC]\d+\])? `)

// scanLog returns the findings in lines of text or of the console.
func scanLog(lines []string) []finding {
	var found []finding
	for i, line := range lines {
		text := consolePrefix.ReplaceAllString(strings.TrimRight(line, "\r"), "")
		for _, t := range trouble {
			if t.re.MatchString(text) {
				found = append(found, finding{t.name, text, i})
				break
			}
		}
	}
	return found
}

// isFatal reports whether the kernel cannot have gone on after it.
func (f finding) isFatal() bool { return f.name == "panic" }

// kmsgLine turns a record of /dev/kmsg into a line as dmesg has it. The
// record's dictionary, on lines of their own, is left out.
func kmsgLine(record string) string {
	head, text, ok := strings.Cut(record, ";")
	if !ok {
		return record
	}
	text, _, _ = strings.Cut(text, "\n")
	f := strings.Split(head, ",")
	if len(f) < 3 {
		return record
	}
	usec := f[2]
	if len(usec) < 7 {
		usec = strings.Repeat("0", 7-len(usec)) + usec
	}
	cut := len(usec) - 6
	sec := usec[:cut]
	if len(sec) < 5 {
		sec = strings.Repeat(" ", 5-len(sec)) + sec
	}
	return "[" + sec + "." + usec[cut:] + "] " + text
}
