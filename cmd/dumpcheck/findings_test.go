// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/internal/check"
)

// Each section of FINDINGS.md has the verdict that the summary has, and rows that
// test/every can match: a pattern, a check, a text, and kernels.
func TestFindingsPage(t *testing.T) {
	text, err := os.ReadFile("FINDINGS.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "\n## ")
	verdicts := map[string]string{} // by heading
	for _, m := range regexp.MustCompile(`(?m)^\| \[(.+?)\]\(#[^)]+\) \| ([^|]+) \|`).FindAllStringSubmatch(parts[0], -1) {
		verdicts[m[1]] = m[2]
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| `([a-z]+)` \\| ([^|]+) \\| (all|[0-9.]+\\??( [0-9.]+\\??)*) \\|$")
	var checks []string
	for _, c := range check.All {
		checks = append(checks, c.ID)
	}
	for _, part := range parts[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		verdict := regexp.MustCompile(`^\n\*\*([^*]+)\*\* · `).FindStringSubmatch(body)
		if verdict == nil || verdicts[heading] != verdict[1] {
			t.Errorf("%s: the verdict is %q, and %q in the summary", heading, verdict, verdicts[heading])
		}
		delete(verdicts, heading)
		_, table, ok := strings.Cut(body, "\n| Dump | Check | Finding | Kernels |\n|---|---|---|---|\n")
		if !ok {
			t.Errorf("%s: no table of findings", heading)
		}
		for line := range strings.Lines(table) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			m := row.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				t.Errorf("%s: not a row: %s", heading, line)
				continue
			}
			if _, err := path.Match(m[1], ""); err != nil {
				t.Errorf("%s: %s: %v", heading, m[1], err)
			}
			if !slices.Contains(checks, m[2]) {
				t.Errorf("%s: no check %q", heading, m[2])
			}
		}
	}
	for heading := range verdicts {
		t.Errorf("the summary has a section %q, and the page has not", heading)
	}
}
