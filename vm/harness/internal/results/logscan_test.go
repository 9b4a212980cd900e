// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"bulkdump/vm/harness/internal/host"
)

// Lines as kernels 6.1 to 7.3 print them, and what they are found to be.
var badLines = []struct{ name, line string }{
	{"panic", "Kernel panic - not syncing: sysrq triggered crash"},
	{"panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009"},
	{"panic", "---[ end Kernel panic - not syncing: Fatal exception ]---"},
	{"oops", "Oops: 0002 [#1] PREEMPT SMP NOPTI"},
	{"oops", "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP"},
	{"oops", "kernel BUG at mm/slub.c:435!"},
	{"oops", "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI"},
	{"oops", "divide error: 0000 [#1] PREEMPT SMP"},
	{"oops", "stack segment: 0000 [#1] SMP"},
	{"oops", "int3: 0000 [#1] SMP"},
	{"oops", "double fault: 0000 [#1] SMP"},
	{"oops", "traps: PANIC: double fault, error_code: 0x0"},
	{"general protection fault", "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] PREEMPT SMP"},
	{"KASAN", "BUG: KASAN: slab-use-after-free in bulkdump_dump+0x1c4/0x2a0"},
	{"KASAN", "KASAN: null-ptr-deref in range [0x0000000000000000-0x0000000000000007]"},
	{"KCSAN", "BUG: KCSAN: data-race in entry_fill / entry_set"},
	{"KMSAN", "BUG: KMSAN: uninit-value in fault_uninit+0x7f/0x110 [faulty]"},
	{"KFENCE", "BUG: KFENCE: use-after-free read in test_use_after_free_read+0xb3/0x143"},
	{"UBSAN", "UBSAN: array-index-out-of-bounds in kmod/table.c:12:3"},
	{"UBSAN", "UBSAN: shift-out-of-bounds in net/core/dev.c:1:1"},
	{"BUG", "BUG: kernel NULL pointer dereference, address: 0000000000000000"},
	{"BUG", "BUG: unable to handle page fault for address: ffffffffc0a01000"},
	{"BUG", "BUG: sleeping function called from invalid context at mm/slab.h:274"},
	{"BUG", "BUG: scheduling while atomic: insmod/84/0x00000002"},
	{"BUG", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!"},
	{"BUG", "BUG: Bad page state in process sh  pfn:01234"},
	{"BUG", "BUG kmalloc-64 (Tainted: G           O      ): Redzone overwritten"},
	{"BUG", "BUG bulkdump_entry (Tainted: G    B      O): Objects remaining in bulkdump_entry on __kmem_cache_shutdown()"},
	{"BUG", "[ BUG: Invalid wait context ]"},
	{"lockdep", "WARNING: possible circular locking dependency detected"},
	{"lockdep", "WARNING: possible recursive locking detected"},
	{"lockdep", "WARNING: possible irq lock inversion dependency detected"},
	{"lockdep", "WARNING: inconsistent lock state"},
	{"lockdep", "WARNING: bad unlock balance detected!"},
	{"lockdep", "WARNING: lock held when returning to user space!"},
	{"lockdep", "INFO: trying to register non-static key."},
	{"lockdep", "DEBUG_LOCKS_WARN_ON(lock->magic != lock)"},
	{"lockdep", "turning off the locking correctness validator."},
	{"WARNING", "------------[ cut here ]------------"},
	{"WARNING", "WARNING: CPU: 1 PID: 84 at kmod/table.c:1 table_put+0x12/0x30 [bulkdump]"},
	{"WARNING", "WARNING: kmod/table.c:1 at table_put+0x12/0x30 [bulkdump], CPU#1: insmod/84"},
	{"WARNING", "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"},
	{"suspicious RCU usage", "WARNING: suspicious RCU usage"},
	{"RCU stall", "rcu: INFO: rcu_preempt self-detected stall on CPU"},
	{"RCU stall", "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:"},
	{"RCU stall", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... } 26 jiffies s: 1 root: 0x1/."},
	{"RCU stall", "rcu: rcu_preempt kthread starved for 5250 jiffies! g9 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1"},
	{"lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:84]"},
	{"lockup", "NMI watchdog: Watchdog detected hard LOCKUP on cpu 0"},
	{"lockup", "watchdog: Watchdog detected hard LOCKUP on cpu 1"},
	{"hung task", "INFO: task rmmod:84 blocked for more than 120 seconds."},
	{"reference count", "refcount_t: underflow; use-after-free."},
	{"reference count", "refcount_t: addition on 0; use-after-free."},
	{"reference count", "refcount_t: decrement hit 0; leaking memory."},
	{"BUG", "BUG faulty (Tainted: G           OE     ): Objects remaining in faulty on __kmem_cache_shutdown()"},
	{"lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 3s! [sh:92]"},
	{"hung task", "INFO: task sh:92 blocked for more than 2 seconds."},
	{"leak", "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"},
	{"leak", "kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"},
	{"leak", "unreferenced object 0xffff888003a5c000 (size 64):"},
	{"leak", "kmemleak: unreferenced object 0xffff888003a5c000 (size 64):"},
	{"debug objects", "ODEBUG: free active (active state 0) object: 00000000 object type: timer_list"},
	{"device reference", "unregister_netdevice: waiting for lo to become free. Usage count = 2"},
	{"device reference", "ref_tracker: lo@00000000 has 1/1 users at"},
	{"list corruption", "list_del corruption. prev->next should be ffff888003a5c000, but was 0000000000000000"},
	{"list corruption", "list_add corruption. next->prev should be prev (ffff), but was dead. (next=beef)."},
	{"memory", "sh: page allocation failure: order:5, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null)"},
	{"memory", "insmod invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"},
	{"memory", "Out of memory: Killed process 84 (sh) total-vm:1kB"},
	{"memory", "insmod: vmalloc error: size 1099511627776, exceeds total pages, mode:0xcc0(GFP_KERNEL)"},
	{"memory", "SLUB: Unable to allocate memory on CPU 0 (of node 0) on node -1, gfp=0xcc0(GFP_KERNEL)"},
	{"bad exit", "note: insmod[84] exited with preempt_count 1"},
	{"bad exit", "note: insmod[84] exited with irqs disabled"},
	{"module parameter", "bulkdump: unknown parameter 'max_entires' ignored"},
	{"call trace", "Call Trace:"},
	{"call trace", "sysrq: Trigger a crash"},
}

func TestScanLogFinds(t *testing.T) {
	for _, tt := range badLines {
		// As the guest sends it, as the console has it, and with the caller.
		for _, prefix := range []string{"[   12.345678] ", "[    2.000001][   T84] ", "[12345.678901][ C1] ", ""} {
			found := scanLog([]string{"[    1.000000] Run /init as init process", prefix + tt.line + "\r"})
			for i := range found {
				found[i].report = 0 // TestExpect is for these
			}
			want := []finding{{name: tt.name, line: tt.line, at: 1}}
			if !reflect.DeepEqual(found, want) {
				t.Errorf("%q: found %+v, want %+v", prefix+tt.line, found, want)
			}
		}
	}
}

// Every entry of the table, and every way it has to match, has a line above.
func TestScanLogTableIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, tt := range badLines {
		tested[tt.name] = true
	}
	for _, tr := range trouble {
		if !tested[tr.name] {
			t.Errorf("nothing tests %q", tr.name)
		}
	}
}

func TestScanLogPasses(t *testing.T) {
	for _, line := range []string{
		"Spectre V1 : Mitigation: usercopy/swapgs barriers and __user pointer sanitization",
		"Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!",
		"MDS: Vulnerable: Clear CPU buffers attempted, no microcode",
		"MDS CPU bug present and SMT on, data leak possible.",
		"x86/cpu: warning: this and that",
		"PCI: Using host bridge windows from ACPI; if necessary, use \"pci=nocrs\" and report a bug",
		"[Firmware Bug]: TSC_DEADLINE disabled due to Errata",
		"ACPI BIOS Error (bug): Could not resolve symbol [\\_SB]",
		"DEBUG: nothing",
		"rcu: \tRCU restricting CPUs from NR_CPUS=8192 to nr_cpu_ids=2.",
		"rcu: Hierarchical RCU implementation.",
		"kasan: KernelAddressSanitizer initialized",
		"kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)",
		"kmemleak: Automatic memory scanning thread started",
		"Freeing unused kernel image (initmem) memory: 2820K",
		"bulkdump: loading out-of-tree module taints kernel.",
		"bulkdump: module verification failed: signature and/or required key missing - tainting kernel",
		"traps: a.out[84] general protection fault ip:401136 sp:7ffe error:0 in a.out[401000+1000]",
		"traps: a.out[84] trap divide error ip:401136 sp:7ffe error:0 in a.out[401000+1000]",
		"a.out[84]: segfault at 0 ip 0000000000401136 sp 00007ffe error 6 in a.out[401000+1000]",
		"workqueue: drain_vmap_area_work hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
		"clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:",
		"hrtimer: interrupt took 4812345 ns",
		"sysrq: Show Blocked State",
		"Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
		"Running RCU self tests",
		"NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
		"test: TestOopsIsReported BUG: no",
	} {
		if found := scanLog([]string{"[    1.234567] " + line}); len(found) != 0 {
			t.Errorf("%q was taken for %+v", line, found)
		}
	}
}

// A whole boot, as this harness got it on its console.
func TestScanLogPassesACleanBoot(t *testing.T) {
	text, err := os.ReadFile("testdata/clean-6.1.log")
	if err != nil {
		t.Fatal(err)
	}
	lines := host.Lines(string(text))
	if len(lines) < 300 {
		t.Fatalf("only %d lines", len(lines))
	}
	if found := scanLog(lines); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}

// A record of several lines hides none.
func TestScanLogSeesTheSecondLineOfARecord(t *testing.T) {
	found := scanLog([]string{"[    1.000000] harmless", "[    1.000000] BUG: not harmless"})
	if len(found) != 1 || found[0].at != 1 {
		t.Errorf("found %+v", found)
	}
}

// A data race is a finding where a module has a part in it, in either trace.
func TestDataRacesOfTheKernelItself(t *testing.T) {
	report := func(first, second string) []string {
		return []string{
			"[    5.0] =====================================",
			"[    5.0] BUG: KCSAN: data-race in do_nanosleep / hrtimer_wakeup",
			"[    5.0] ",
			"[    5.0] write to 0xffffc9000039fe88 of 8 bytes by interrupt on cpu 0:",
			"[    5.0]  " + first,
			"[    5.0] read to 0xffffc9000039fe88 of 8 bytes by task 172 on cpu 0:",
			"[    5.0]  " + second,
			"[    5.0] =====================================",
			"[    6.0]  later+0x1/0x2 [other]",
		}
	}
	const kernels, modules = "hrtimer_wakeup+0x24/0x50", "mine+0x2a/0x60 [my_mod]"
	for _, tt := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"the kernel's own", report(kernels, kernels), 0},
		{"a module's first", report(modules, kernels), 1},
		{"a module's second", report(kernels, modules), 1},
		{"cut off", report(kernels, kernels)[:5], 1},
		{"two", slices.Concat(report(kernels, kernels), report(kernels, modules)), 1},
		{"into one another", append(report(kernels, kernels)[:5], report(modules, kernels)[1:]...), 1},
	} {
		if got := scanLog(tt.lines); len(got) != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func TestTestsDuring(t *testing.T) {
	lines := []string{
		"[    6.000000] WARNING: before",                     // 0
		"[    6.100000] bulkdump-vm: test TestA starts",      // 1
		"[    6.200000] WARNING: in A",                       // 2
		"[    6.300000] bulkdump-vm: test TestA ends",        // 3
		"[    6.400000] WARNING: between",                    // 4
		"[    6.500000] bulkdump-vm: test TestB starts",      // 5
		"[    6.500000] bulkdump-vm: test TestC starts",      // 6
		"[    6.600000] WARNING: in B or C",                  // 7
		"[    6.700000] bulkdump-vm: test TestB ends",        // 8
		"[    6.800000] bulkdump-vm: test TestD starts late", // 9: no mark
		"[    6.900000] WARNING: in C",                       // 10
	}
	want := []string{"", " (during TestA)", " (after TestA)", " (during TestB or TestC)", " (during TestC)"}
	var got []string
	for _, f := range scanLog(lines) {
		got = append(got, f.where())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A report at each line takes as long as one more line, however long the log is.
func TestScanLogIsLinear(t *testing.T) {
	log := func(n int) []string {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = "[    6.000000] WARNING: CPU: 0 PID: 1 at my.c:1 my+0x1/0x2 [my]"
		}
		return lines
	}
	least := func(lines []string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			scanLog(lines)
			best = min(best, time.Since(start))
		}
		return best
	}
	few, many := least(log(2000)), least(log(20_000))
	if many > 40*few { // a square would be 100 times
		t.Errorf("ten times as many lines take %v instead of %v", many, few)
	}
}
