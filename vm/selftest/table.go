// SPDX-License-Identifier: BSD-3-Clause

package main

import "syscall"

// baseKernel runs the rows that do not need a certain kernel.
const baseKernel = "6.1"

// check is a row: a fault, how it is injected, and the expected result.
type check struct {
	fault      string
	kernel     string // the only one that can find it; any, if empty
	everywhere bool   // runs on every kernel of the table

	flags   []string
	command []string
	code    int
	reason  string // regular expression for the start of the reason; empty for PASS

	host   *host   // a change on the host, if any
	moment *moment // or a signal at this moment
	signal syscall.Signal
}

// set returns a shell line that triggers a fault of the module.
func set(fault string) []string {
	return []string{"echo " + fault + " > /sys/module/faulty/parameters/fault"}
}

// mattersMost are the rows of the quick form: faults that users rely on, and two
// moments: that of a child on the host, and that of a guest.
var mattersMost = []string{
	"none", "none as a shell uses a package",
	"silent guest", "boot failure", "module does not load", "module does not unload",
	"failing command", "killed command", "hang of the command", "hang of the guest", "missing test", "forged last word",
	"panic", "WARN", "taint", "log overrun",
	"use after free", "slab leak", "lock inversion",
	"SIGTERM as a module is built", "SIGTERM as the command runs",
}

var (
	// faulty are the flags that load the module with the faults.
	faulty = []string{"--module-dir", "vm/selftest/kmod"}
	bare   = []string{"--no-module", "--cpus", "1"}
)

func with(flags []string, more ...string) []string {
	return append(append([]string{}, flags...), more...)
}

// The rows follow the course of a run. Long ones come earlier where the order
// does not matter.
var table = []check{
	{fault: "none", everywhere: true, flags: faulty, command: []string{"echo", "fine"}},

	// Not a fault, unless the emulator lags behind code that is patched while
	// it runs.
	{fault: "none as an event is switched on", flags: bare, command: []string{"grep", "-q", "^norecord-cmd$", "/sys/kernel/tracing/trace_options"}},

	// Not a fault, unless busybox runs its own programs instead of those of
	// packages.
	{fault: "none as a package is used", flags: with(bare, "--packages", "iproute2"), command: []string{"ip", "-V"}},
	{fault: "none as a shell uses a package", flags: with(bare, "--packages", "iproute2"), command: []string{
		`set -e; i=iproute2; ip -V | grep $i; env ip -V | grep $i; setsid ip -V | grep $i; echo -V | xargs ip | grep $i; ` +
			`printf '#!/bin/sh\nip -V\n' >s; chmod +x s; ./s | grep $i`}},
	{fault: "none as a shell uses what is added", flags: with(bare, "--add", "vm/selftest/testdata/path/ip", "--add", "vm/selftest/testdata/path/starts-ip"),
		command: []string{`[ "$(ip) $(env ip) $(starts-ip)" = "mine mine mine" ]`}},

	// The disks of the host.
	{fault: "full disk of the cache", kernel: baseKernel, flags: bare, command: []string{"true"}, host: fullCache,
		code: 121, reason: `kernel 6\.1: the disk that holds \S*/full/bulkdump is full, and nothing half made was kept: fetch .*: tar: no space left on device$`},
	{fault: "full disk of temporary files", kernel: baseKernel, flags: bare, command: []string{"true"}, host: fullTemp,
		code: 121, reason: `kernel 6\.1: the disk that holds \S*/full is full, and nothing half made was kept: mmdebstrap: no space left on device$`},

	// The boot.
	{fault: "silent guest", flags: with(bare, "--boot-timeout", "20", "--append", "rdinit=/bin/cat"), command: []string{"true"},
		code: 124, reason: `timeout: the boot took longer than 20s, and the guest never spoke; processor 0 (is halted|runs) at [0-9a-f]{8}`},
	{fault: "guest that just ends", flags: with(bare, "--append", "rdinit=/bin/poweroff", "--append", "--", "--append", "-f"), command: []string{"true"},
		code: 124, reason: `boot failure: the guest never spoke; QEMU exited with 0`},
	{fault: "boot failure", flags: with(bare, "--append", "rdinit=/nosuch"), command: []string{"true"},
		code: 124, reason: `boot failure: .*VFS: Unable to mount root fs`},
	{fault: "init that ends", flags: with(bare, "--append", "rdinit=/bin/false"), command: []string{"true"},
		code: 124, reason: `boot failure: .*Attempted to kill init`},

	// The modules.
	{fault: "module does not load", flags: with(faulty, "--param", "faulty.fault=load"), command: []string{"true"},
		code: 124, reason: `the command was not started: guest: load faulty.ko: input/output error`},
	{fault: "unknown parameter", flags: with(faulty, "--param", "faulty.nosuch=1"), command: []string{"true"},
		code: 122, reason: `kernel log: faulty: unknown parameter 'nosuch' ignored`},
	{fault: "module does not unload", flags: faulty, command: set("unload"),
		code: 122, reason: `module faulty does not unload: resource temporarily unavailable`},
	{fault: "hang of the unload", flags: with(faulty, "--timeout", "20"), command: set("exit"),
		code: 123, reason: `timeout: the unload took longer than `},

	// The command.
	{fault: "failing command", flags: bare, command: []string{"sh", "-c", "exit 7"}, code: 7, reason: `command exited 7$`},
	{fault: "killed command", flags: bare, command: []string{"sh", "-c", "kill -SEGV $$"},
		code: 139, reason: `command killed by signal 11 \(segmentation fault\)$`},
	{fault: "no such command", flags: bare, command: []string{"nosuch"}, code: 127, reason: `command not run: nosuch: command not found$`},
	{fault: "command that cannot be run", flags: with(bare, "--add", "go.mod"), command: []string{"./go.mod"},
		code: 126, reason: `command not run: exec: "/root/go.mod": permission denied$`},
	{fault: "hang of the command", flags: with(bare, "--timeout", "3"), command: []string{"sleep", "1000"},
		code: 123, reason: `timeout: the command took longer than 3s$`},
	{fault: "command that cannot die", flags: with(faulty, "--timeout", "3"), command: set("stuck"),
		code: 123, reason: `timeout: the command took longer than 3s, and it cannot be killed$`},
	{fault: "hang of the guest", flags: with(faulty, "--timeout", "3"), command: set("hang"),
		code: 123, reason: `timeout: the command took longer than 3s, and the guest does not answer$`},

	// The tests.
	{fault: "missing test", flags: with(bare, "--test-dir", "vm/selftest/testdata/missing", "--test"),
		code: 1, reason: `1 of 1 tests failed: TestNeverRun$`},
	{fault: "failing test", flags: with(bare, "--test-dir", "vm/selftest/testdata/failing", "--test"),
		code: 1, reason: `1 of 2 tests failed: TestFails$`},

	// The messages between the two sides.
	{fault: "lost output", flags: bare, command: []string{"for d in /sys/bus/virtio/drivers/virtio_console/virtio*; do basename $d > $d/driver/unbind; done; yes lost"},
		code: 122, reason: `guest: relay output: `},
	{fault: "none as a full console is read late", flags: bare, command: []string{fillingCommand()}, host: lateReader},
	{fault: "full console that nobody reads", flags: with(bare, "--timeout", "5"), command: []string{"yes"}, host: nobody,
		code: 123, reason: `timeout: the command took longer than 5s, and nobody read stdout for \d+s$`},
	{fault: "end of the output that nobody reads", flags: bare, command: []string{"seq 100000"}, host: nobody,
		code: 123, reason: `timeout: taking the rest of the output took longer than \w+, and nobody read stdout for \w+$`},
	{fault: "garbled control port", flags: bare, command: []string{"echo nonsense > /dev/ttyS1"},
		code: 124, reason: `the guest's word is garbled: not a control message: "nonsense\\n"`},
	{fault: "forged last word", flags: bare, command: []string{`echo '{"kind":"done","text":"token"}' > /dev/ttyS1`},
		code: 124, reason: `the guest's word is garbled: its last word has not this run's token`},
	{fault: "guest that goes away", flags: bare, command: []string{"poweroff", "-f"},
		code: 124, reason: `the guest went away without its last word; QEMU exited with 0`},

	// The kernel.
	{fault: "panic", flags: faulty, command: set("panic"), code: 124, reason: `kernel panic: .*faulty: a panic to order`},
	{fault: "oops", flags: faulty, command: set("oops"),
		code: 124, reason: `kernel panic: .*first: (BUG: (K|k)ernel NULL pointer dereference|Oops: |Unable to handle kernel )`},
	{fault: "WARN", flags: faulty, command: set("warn"), code: 122, reason: `kernel log: WARNING: .*fault_warn\+.*kernel tainted: W`},
	{fault: "none as a warning is expected", flags: with(faulty, "--expect", "^WARNING: .*fault_warn"), command: set("warn")},
	{fault: "another warning than the expected one", flags: with(faulty, "--expect", "^WARNING: .*fault_other"), command: set("warn"),
		code: 122, reason: `kernel log: nothing like "\^WARNING: \.\*fault_other", which was expected; kernel log: WARNING: .*fault_warn`},
	{fault: "taint", flags: faulty, command: set("taint"), code: 122, reason: `kernel tainted: U \(bit 6\)$`},
	{fault: "reference count", flags: faulty, command: set("refcount"), code: 122, reason: `kernel log: refcount_t: decrement hit 0`},
	{fault: "object outlives its cache", flags: faulty, command: set("cache"), code: 122, reason: `kernel log: (BUG faulty .*Objects remaining|.*kmem_cache_destroy)`},
	{fault: "scheduling while atomic", flags: faulty, command: set("atomic"), code: 122, reason: `kernel log: BUG: scheduling while atomic`},
	{fault: "RCU stall", flags: with(faulty, "--append", "rcupdate.rcu_cpu_stall_timeout=3"), command: set("spin"),
		code: 122, reason: `kernel log: rcu: INFO: rcu_\w+ (self-)?detected stall`},
	{fault: "soft lockup", flags: faulty, command: []string{"echo 1 > /proc/sys/kernel/watchdog_thresh;" + set("spin")[0]},
		code: 122, reason: `kernel log: watchdog: BUG: soft lockup`},
	{fault: "hung task", flags: faulty, command: []string{"echo 2 > /proc/sys/kernel/hung_task_timeout_secs;" + set("sleep")[0]},
		code: 122, reason: `kernel log: INFO: task sh:\d+ blocked for more than`},
	{fault: "out of memory", flags: with(bare, "--mem", "256"), command: []string{"tail", "/dev/zero"},
		code: 122, reason: `kernel log: tail invoked oom-killer`},
	{fault: "log overrun", flags: with(faulty, "--append", "log_buf_len=256K"), command: []string{"dmesg -n 1; " + set("flood")[0]},
		code: 122, reason: `guest: kernel log overran its buffer: records are lost`},

	// Faults that only a kernel built for them finds.
	{fault: "use after free", kernel: "debug", flags: faulty, command: set("use-after-free"),
		code: 122, reason: `kernel log: BUG: KASAN: slab-use-after-free in fault_use_after_free`},
	{fault: "slab leak", kernel: "debug", flags: faulty, command: set("leak"),
		code: 122, reason: `kernel log: kmemleak: unreferenced object 0x[0-9a-f]+ \(size 512\)`},
	{fault: "lock inversion", kernel: "debug", flags: faulty, command: set("inversion"),
		code: 122, reason: `kernel log: WARNING: possible circular locking dependency detected`},
	{fault: "sleep in atomic", kernel: "debug", flags: faulty, command: set("may-sleep"),
		code: 122, reason: `kernel log: BUG: sleeping function called from invalid context`},
	{fault: "RCU misuse", kernel: "debug", flags: faulty, command: set("rcu"),
		code: 122, reason: `kernel log: WARNING: suspicious RCU usage`},
	{fault: "undefined behaviour", kernel: "debug", flags: faulty, command: set("shift"),
		code: 122, reason: `kernel log: UBSAN: shift-out-of-bounds`},
	{fault: "active object freed", kernel: "debug", flags: faulty, command: set("object"),
		code: 122, reason: `kernel log: ODEBUG: free active`},

	// What the module executed. A run that fails has counts, too.
	{fault: "function that is never called", kernel: "debug", flags: faulty, command: set("taint"), host: counted,
		code: 122, reason: `kernel tainted: U \(bit 6\)$`},
	{fault: "coverage of a guest that dies", kernel: "debug", flags: faulty, command: set("panic"), host: notCounted,
		code: 124, reason: `kernel panic: .*faulty: a panic to order`},

	{fault: "memory that nobody wrote", kernel: "kmsan", flags: faulty, command: set("uninit"),
		code: 122, reason: `kernel log: BUG: KMSAN: uninit-value in fault_uninit`},
	{fault: "data race", kernel: "kcsan", flags: faulty, command: set("race"),
		code: 122, reason: `kernel log: BUG: KCSAN: data-race in racer`},
}
