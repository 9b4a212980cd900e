// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"strings"

	"bulkdump/vm/testresult"
)

// export is the suite in the form that testresult writes. A subtest's output is
// part of its test's.
func (s *Suite) export() []testresult.Test {
	var all []testresult.Test
	for _, t := range s.tests {
		x := testresult.Test{Name: t.name, Result: testresult.Result(t.result), Seconds: t.seconds, Tests: t.exportSubs(t.name)}
		if t.result != resultPass {
			x.Output = t.output.String()
			x.Reason = skipReason(x.Output)
		}
		all = append(all, x)
	}
	return all
}

func (t *testResult) exportSubs(parent string) []testresult.Test {
	var all []testresult.Test
	for _, name := range t.children(parent) {
		_, short, _ := strings.Cut(name, "/")
		if j := strings.LastIndex(name, "/"); j >= 0 && t.has(name[:j]) {
			short = name[j+1:]
		}
		all = append(all, testresult.Test{Name: short, Result: testresult.Result(t.subs[name]), Tests: t.exportSubs(name)})
	}
	return all
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

// skipReason is the last line that a test printed before its result.
func skipReason(text string) string {
	reason := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--- ") {
			reason = line
		}
	}
	return reason
}
