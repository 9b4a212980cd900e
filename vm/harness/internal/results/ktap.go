// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"fmt"
	"strings"
)

// ktap is the suite in the kernel's own test format, KTAP version 1: one line per
// test, before it a nested KTAP of its subtests and its output as diagnostic
// lines.
func ktap(s *Suite) string {
	var b strings.Builder
	fmt.Fprintf(&b, "KTAP version 1\n1..%d\n", len(s.tests))
	for i, t := range s.tests {
		if subs := t.children(t.name); len(subs) > 0 {
			t.ktapSubs(&b, "  ", subs)
		}
		text := t.output.String()
		if t.result != resultPass {
			for line := range strings.Lines(text) {
				// The # keeps a line from being read as a result.
				fmt.Fprintf(&b, "# %s\n", printable(strings.TrimRight(line, "\n")))
			}
		}
		fmt.Fprint(&b, ktapLine(i+1, t.name, t.result, skipReason(text)))
	}
	return b.String()
}

func (t *testResult) ktapSubs(b *strings.Builder, indent string, subs []string) {
	fmt.Fprintf(b, "%sKTAP version 1\n%s1..%d\n", indent, indent, len(subs))
	for i, name := range subs {
		if deeper := t.children(name); len(deeper) > 0 {
			t.ktapSubs(b, indent+"  ", deeper)
		}
		_, short, _ := strings.Cut(name, "/")
		if j := strings.LastIndex(name, "/"); j >= 0 && t.has(name[:j]) {
			short = name[j+1:]
		}
		fmt.Fprint(b, indent, ktapLine(i+1, short, t.subs[name], ""))
	}
}

func (t *testResult) has(name string) bool {
	_, ok := t.subs[name]
	return ok || name == t.name
}

// children are the direct subtests of a test, in the order in which they ran. A
// name may contain slashes, so a subtest's parent is the longest prefix that ran.
func (t *testResult) children(parent string) []string {
	var names []string
	for _, name := range t.subOrder {
		up := name
		for ok := true; ok; {
			i := strings.LastIndex(up, "/")
			up = up[:max(i, 0)]
			ok = i >= 0 && !t.has(up)
		}
		if up == parent {
			names = append(names, name)
		}
	}
	return names
}

// noteSub records a subtest's result. The worst of its runs counts.
func (t *testResult) noteSub(name, result string) {
	if t.subs == nil {
		t.subs = map[string]string{}
	}
	old, ok := t.subs[name]
	if !ok {
		t.subOrder = append(t.subOrder, name)
	}
	if old != resultFail && (result != resultNone || old == resultNone) {
		t.subs[name] = result
	}
}

func ktapLine(n int, name, result, reason string) string {
	// A # would begin a directive.
	name = strings.ReplaceAll(printable(name), "#", "_")
	switch result {
	case resultPass:
		return fmt.Sprintf("ok %d %s\n", n, name)
	case resultSkip:
		return strings.TrimSpace(fmt.Sprintf("ok %d %s # SKIP %s", n, name, reason)) + "\n"
	}
	return fmt.Sprintf("not ok %d %s\n", n, name)
}

// skipReason is the last line that a test printed before its result.
func skipReason(text string) string {
	reason := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--- ") {
			reason = line
		}
	}
	return printable(reason)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
