// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// key names a line by its text, because numbers change with each line above.
type key struct{ file, function, text string }

func (k key) String() string { return fmt.Sprintf("%s %s: %s", k.file, k.function, k.text) }

// reason is why some lines are not executed.
type reason struct {
	text string
	keys []key
}

// parseReasons reads a file of reasons. The text of a reason is one line or more;
// below it, each line that begins with a tab is one that is not executed:
//
//	FILE FUNCTION: TEXT
//
// Empty lines, and those that begin with #, are left out.
func parseReasons(text string) ([]reason, error) {
	var reasons []reason
	for i, l := range strings.Split(text, "\n") {
		bad := func(what string) error { return fmt.Errorf("line %d: %s: %q", i+1, what, l) }
		entry, isEntry := strings.CutPrefix(l, "\t")
		switch n := len(reasons) - 1; {
		case strings.TrimSpace(l) == "" || l[0] == '#':
		case isEntry && n < 0:
			return nil, bad("no reason is above it")
		case isEntry:
			head, code, ok := strings.Cut(entry, ": ")
			file, function, inOne := strings.Cut(head, " ")
			if !ok || !inOne || function == "" || strings.Contains(function, " ") {
				return nil, bad("it is not FILE FUNCTION: TEXT")
			}
			reasons[n].keys = append(reasons[n].keys, key{file, function, strings.TrimSpace(code)})
		case n >= 0 && len(reasons[n].keys) == 0:
			reasons[n].text += "\n" + l
		default:
			reasons = append(reasons, reason{text: l})
		}
	}
	for _, r := range reasons {
		if len(r.keys) == 0 {
			return nil, fmt.Errorf("%q is the reason of no line", r.text)
		}
	}
	return reasons, nil
}

// match gives each line the reason that names it. A reason names a line once: of
// two lines with the same text in a function, one may be executed. stale are those
// that name no line.
func match(lines []line, reasons []reason) (explained [][]line, unexplained []line, stale []key) {
	left := map[key][]int{} // the reasons of a key
	for i, r := range reasons {
		for _, k := range r.keys {
			left[k] = append(left[k], i)
		}
	}
	explained = make([][]line, len(reasons))
	for _, l := range lines {
		if of := left[l.key]; len(of) > 0 {
			explained[of[0]] = append(explained[of[0]], l)
			left[l.key] = of[1:]
		} else {
			unexplained = append(unexplained, l)
		}
	}
	for _, r := range reasons {
		for _, k := range r.keys {
			if len(left[k]) > 0 {
				stale = append(stale, k)
				left[k] = left[k][1:]
			}
		}
	}
	return explained, unexplained, stale
}

// definition matches the first line of a function, or of a macro at the top.
var definition = regexp.MustCompile(`^(?:[A-Za-z_][^;=(]*\W)?([A-Za-z_]\w*)\(`)

// functionAt returns the name of the function that has that line. It goes by the
// kernel's style: only what is at the top begins in the first column. Counts do
// not say it: a function that is inlined has no name there.
func functionAt(source []string, number int) string {
	for ; number > 0; number-- {
		if m := definition.FindStringSubmatch(source[number-1]); m != nil {
			return m[1]
		}
	}
	return "-"
}
