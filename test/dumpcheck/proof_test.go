// SPDX-License-Identifier: BSD-3-Clause

// Package dumpcheck shows, in the guest, that dumpcheck finds each bug of kmod/broken
// by the check that is there for it, and nothing in sound dumps.
package dumpcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
)

// Copies of files of kmod/broken.
const (
	header = "/root/bulkdump_broken.h"
	page   = "/root/README.md"
)

// tableSize makes 17 pages of 4 KiB, so that the cost of a page shows.
const tableSize = 1000

type result struct {
	Target, Check string
	Verdict, Info string
	Reason        string // why it could not look
	Findings      []struct{ Severity, Text string }
	Took          float64 `json:"took_s"`
}

// check runs the checker.
func check(t *testing.T, args ...string) (results []result) {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "dumpcheck", append([]string{"-o", "jsonl"}, args...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 2 && exit.ExitCode() != 4) {
		t.Fatalf("dumpcheck %v: %v: %s", args, err, &errs)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r result
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		t.Fatalf("dumpcheck %v: no result", args)
	}
	return results
}

// commands are the numbers of the header's commands.
func commands(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for i, m := range regexp.MustCompile(`(?m)^\tBROKEN_CMD_(\w+)[ ,]`).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = i + 1
	}
	return all
}

// meant are the checks that are there for each bug, as the page has them.
func meant(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.*\\| ([a-z]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 28 {
		t.Fatalf("%d bugs: this test does not see them", len(all))
	}
	return all
}

// makeObjects makes that many objects in the broken module's table.
func makeObjects(t *testing.T, n int) {
	t.Helper()
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make dumpcheck-proof")
	}
	const parameter = "/sys/module/bulkdump_broken/parameters/objects"
	if err := os.WriteFile(parameter, []byte(strconv.Itoa(n)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(parameter, []byte("0"), 0); err != nil {
			t.Error(err)
		}
	})
}

// A sound dump passes all checks.
func TestSoundCommand(t *testing.T) {
	makeObjects(t, tableSize)
	for _, r := range check(t, "bulkdump_broken", strconv.Itoa(commands(t)["SOUND"]), "--second", "seq "+strconv.Itoa(tableSize), "--check-time", "5m") {
		t.Logf("%-12s %6d ms  %s", r.Check, int(1000*r.Took), r.Info)
		if len(r.Findings) > 0 || r.Reason != "" {
			t.Errorf("%s: %+v%s", r.Check, r.Findings, r.Reason)
		}
	}
}

// Each bug is found by the check that is there for it. What other checks find is in
// the table that is printed.
func TestBroken(t *testing.T) {
	makeObjects(t, 0)
	numbers, checks := commands(t), meant(t)
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "COMMAND\tMEANT FOR\tSECONDS\tIT FINDS\tAND ALSO")
	defer table.Flush()
	done := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if os.Getenv("PROOF") == "one" && done[checks[name]] {
			continue
		}
		done[checks[name]] = true
		t.Run(name, func(t *testing.T) {
			size := tableSize
			if name == "TALLY" { // ten objects are a record
				size *= 3
			}
			makeObjects(t, size)
			var took float64
			var finds string
			var others []string
			args := []string{"bulkdump_broken", strconv.Itoa(numbers[name]), "--check-time", "1m"} // a slow kernel needs it
			if os.Getenv("PROOF") != "" {
				args = append(args, "--only", "filter,"+checks[name]) // others ask again what that has asked
			}
			for _, r := range check(t, args...) {
				took += r.Took
				for _, f := range r.Findings {
					t.Logf("%s: %s: %s", r.Check, f.Severity, f.Text)
				}
				switch {
				case r.Check != checks[name] && len(r.Findings) > 0:
					others = append(others, r.Check)
				case r.Check == checks[name] && len(r.Findings) > 0:
					finds = r.Findings[0].Severity + ": " + r.Findings[0].Text
				case r.Check == checks[name]:
					t.Errorf("%s does not find it. %s%s", r.Check, r.Reason, r.Info)
				}
			}
			fmt.Fprintf(table, "%s\t%s\t%.1f\t%s\t%s\n", name, checks[name], took, finds, strings.Join(others, " "))
		})
	}
}
