// SPDX-License-Identifier: BSD-3-Clause

package testresult

import (
	"fmt"
	"strings"
	"unicode"
)

// KTAP is the tests as KTAP version 1 (Documentation/dev-tools/ktap.rst).
func KTAP(tests []Test) string {
	var b strings.Builder
	ktap(&b, "", tests)
	return b.String()
}

// KTAPHead begins a KTAP of so many tests, which KTAPTest goes on with.
func KTAPHead(tests int) string { return ktapHead("", tests) }

// KTAPTest is the n-th test of a KTAP, counted from 1.
func KTAPTest(n int, t Test) string {
	var b strings.Builder
	ktapTest(&b, "", n, t)
	return b.String()
}

func ktapHead(indent string, tests int) string {
	return fmt.Sprintf("%sKTAP version 1\n%s1..%d\n", indent, indent, tests)
}

func ktap(b *strings.Builder, indent string, tests []Test) {
	b.WriteString(ktapHead(indent, len(tests)))
	for i, t := range tests {
		ktapTest(b, indent, i+1, t)
	}
}

// ktapTest writes a test's line, and before it a nested KTAP of its subtests, and
// its output as diagnostic lines.
func ktapTest(b *strings.Builder, indent string, n int, t Test) {
	if len(t.Tests) > 0 {
		ktap(b, indent+"  ", t.Tests)
	}
	for line := range strings.Lines(t.Output) {
		// The # keeps a line from being read as a result.
		fmt.Fprintf(b, "%s# %s\n", indent, printable(strings.TrimRight(line, "\n")))
	}
	// A # would begin a directive.
	name := strings.ReplaceAll(printable(t.Name), "#", "_")
	switch t.Result {
	case Pass:
		fmt.Fprintf(b, "%sok %d %s\n", indent, n, name)
	case Skip:
		fmt.Fprintf(b, "%s%s\n", indent, strings.TrimSpace(fmt.Sprintf("ok %d %s # SKIP %s", n, name, printable(t.Reason))))
	default:
		fmt.Fprintf(b, "%snot ok %d %s\n", indent, n, name)
	}
}

// printable keeps a text on its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\t' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
