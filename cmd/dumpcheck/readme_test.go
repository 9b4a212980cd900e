// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/internal/check"
	"bulkdump/cmd/dumpcheck/internal/report"
)

var update = flag.Bool("update", false, "rewrite the README's table of checks")

// The README's table of checks is what the code has.
func TestTableOfChecks(t *testing.T) {
	var table strings.Builder
	table.WriteString("| check | a dump that passes it | rule |\n|---|---|---|\n")
	for _, c := range check.All {
		var links []string
		for _, r := range report.RulesOf(c.Rules) {
			links = append(links, fmt.Sprintf("[%d](../../%s)", r.Number, r.Page))
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", c.ID, c.Title, strings.Join(links, ", "))
	}
	readme := readREADME(t)
	if *update {
		old := regexp.MustCompile(`(?m)^\| check \|.*\n(\|.*\n)+`)
		readme = old.ReplaceAllLiteralString(readme, table.String())
		if err := os.WriteFile("README.md", []byte(readme), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(readme, "\n"+table.String()+"\n") {
		t.Errorf("the table of checks in README.md (rewrite it with -update) is not:\n%s", table.String())
	}
}

// The README's table of exit codes is what the code has.
func TestTableOfExitCodes(t *testing.T) {
	want := []int{exitOK, exitBroken, exitWeak, exitUsage, exitNone, exitFailed}
	var got []int
	for _, m := range regexp.MustCompile(`(?m)^\| (\d) \| `).FindAllStringSubmatch(readREADME(t), -1) {
		n, _ := strconv.Atoi(m[1])
		got = append(got, n)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
