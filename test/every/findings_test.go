// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// findingsPage is a copy of cmd/dumpcheck/FINDINGS.md.
const findingsPage = "/root/FINDINGS.md"

// A finding is what dumpcheck found in a dump, or a row of the page.
type finding struct {
	dump, check string
	severity    string
	text        string
	luck        bool // in some runs only
}

// TestFindings has dumpcheck check every dump of the kernel. Each finding must be in
// FINDINGS.md, where its cause in the kernel's source is, and each row of the page for
// this kernel must be found, unless it depends on luck.
func TestFindings(t *testing.T) {
	version := inGuest(t)
	if _, err := os.Stat(findingsPage); err != nil {
		t.Skip("this needs FINDINGS.md: make findings")
	}
	ownNetNS(t)
	makeWorld(t)
	found := dumpcheckAll(t)
	printFindings(found)
	rows := findingRows(t, version)
	used := make([]bool, len(rows))
	for _, f := range found {
		i := slices.IndexFunc(rows, func(r finding) bool {
			match, err := path.Match(r.dump, f.dump)
			return err == nil && match && r.check == f.check && strings.Contains(f.text, r.text)
		})
		if i < 0 {
			t.Errorf("not in FINDINGS.md: %s: %s: %s: %s", f.dump, f.check, f.severity, f.text)
			continue
		}
		used[i] = true
	}
	for i, r := range rows {
		if !used[i] && !r.luck {
			t.Errorf("in FINDINGS.md, and not found: %s: %s: %s", r.dump, r.check, r.text)
		}
	}
}

// dumpcheckAll runs dumpcheck in the thread's namespace, and returns what it finds.
func dumpcheckAll(t *testing.T) (found []finding) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	begin := time.Now()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "dumpcheck", "--all", "-o", "jsonl")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 2) {
		t.Fatalf("dumpcheck --all: %v: %s", err, &errs)
	}
	dumps, took := map[string]bool{}, map[string]float64{}
	for d := json.NewDecoder(&out); d.More(); {
		var line struct {
			Target, Check string
			Findings      []struct{ Severity, Text string }
			TookS         float64 `json:"took_s"`
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		dumps[line.Target] = true
		took[line.Check] += line.TookS
		for _, f := range line.Findings {
			found = append(found, finding{dump: line.Target, check: line.Check, severity: f.Severity, text: f.Text})
		}
	}
	t.Logf("%d dumps in %.0f s", len(dumps), time.Since(begin).Seconds())
	slowest := slices.SortedFunc(maps.Keys(took), func(a, b string) int { return cmp.Compare(took[b], took[a]) })
	for _, id := range slowest[:min(5, len(slowest))] {
		t.Logf("%s: %.0f s", id, took[id])
	}
	return found
}

func printFindings(found []finding) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DUMP\tCHECK\tSEVERITY\tFINDING")
	for _, f := range found {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.dump, f.check, f.severity, f.text)
	}
	w.Flush()
	fmt.Println()
}

// findingRows are the rows of the page that are for the kernel: a pattern of dumps, the
// check, a part of the finding's text, and the kernels.
func findingRows(t *testing.T, version string) (rows []finding) {
	t.Helper()
	text, err := os.ReadFile(findingsPage)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([a-z]+)` \\| ([^|]*) \\| ([^|]*) \\|")
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		kernels := strings.Fields(m[4])
		luck := slices.Contains(kernels, version+"?")
		if luck || slices.Contains(kernels, "all") || slices.Contains(kernels, version) {
			rows = append(rows, finding{dump: m[1], check: m[2], text: strings.TrimSpace(m[3]), luck: luck})
		}
	}
	if len(rows) == 0 {
		t.Fatal("FINDINGS.md has no row for this kernel: this test does not see them")
	}
	return rows
}
