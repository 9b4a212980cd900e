// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"regexp"
	"strings"
	"testing"

	"bulkdump/vm/internal/proto"
)

// warning is a report as WARN_ON() makes it, with a text of its own before.
const warning = `[    4.000000] ------------[ cut here ]------------
[    4.000001] refcount_t: underflow; use-after-free.
[    4.000002] WARNING: CPU: 0 PID: 84 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
[    4.000003] Call Trace:
[    4.000004]  <TASK>
[    4.000005] ---[ end trace 0000000000000000 ]---`

const kasan = `[    5.000000] BUG: KASAN: slab-use-after-free in probe+0x1/0x2 [my]
[    5.000001] Call Trace:`

func TestExpect(t *testing.T) {
	const warn = 1 << 9
	for _, tt := range []struct {
		name   string
		log    string
		expect []string
		taint  uint64
		why    string // empty for PASS
	}{
		{"by its WARNING", strings.Replace(warning, "refcount_t: underflow; use-after-free.", "of mine", 1), []string{"at lib/refcount"}, warn, ""},
		{"by its text", warning, []string{"^refcount_t: underflow"}, warn, ""},
		{"twice", warning + "\n" + warning, []string{"^refcount_t: underflow"}, warn, ""},
		{"without a cut", kasan, []string{"^BUG: KASAN: .*probe"}, 1 << 5, ""},
		{"both", kasan + "\n" + warning, []string{"KASAN", "refcount_t"}, warn, ""},
		{"one of two", kasan + "\n" + warning, []string{"refcount_t"}, warn, "kernel log: BUG: KASAN"},
		{"the other of two", warning + "\n" + kasan, []string{"KASAN"}, warn, "kernel log: refcount_t"},
		{"its WARNING alone", warning, []string{"at lib/refcount"}, warn, "kernel log: refcount_t"},
		{"inside of it", strings.Replace(warning, "\n[    4.000003]", "\n"+kasan+"\n[    4.000003]", 1), []string{"refcount_t"}, warn, "kernel log: BUG: KASAN"},
		{"call trace of nothing", warning + "\n[    6.000000] Call Trace:", []string{"refcount_t"}, warn, "kernel log: Call Trace"},
		{"another taint", warning, []string{"refcount_t"}, warn | 1<<6, "kernel tainted: U (bit 6)"},
		{"nothing", "", []string{"refcount_t"}, 0, `kernel log: nothing like "refcount_t", which was expected`},
		{"a line of no report", "[    4.000000] my module is here", []string{"my module"}, 0, `kernel log: nothing like "my module"`},
		{"the mark and the trace", warning, []string{"cut here|^Call Trace"}, warn, `kernel log: nothing like`},
		{"a panic", "[    4.000000] Kernel panic - not syncing: to order", []string{"panic"}, 0, "kernel panic: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := goodOutcome()
			for _, e := range tt.expect {
				o.Expect(regexp.MustCompile(e))
			}
			lines := strings.Split(tt.log, "\n")
			o.Kmsg, o.Console = append(o.Kmsg, lines...), append(o.Console, lines...)
			o.Taint = &proto.Message{Kind: proto.KindTaint, Taint: modulesTaint | tt.taint}
			code, line := o.Verdict()
			if tt.why == "" && (code != 0 || !strings.HasSuffix(line, "log as expected)")) {
				t.Errorf("got %d %s", code, line)
			}
			if code == 0 != (tt.why == "") || !strings.Contains(line, "FAIL: "+tt.why) && tt.why != "" {
				t.Errorf("got %d %s; want %q", code, line, tt.why)
			}
		})
	}
}
