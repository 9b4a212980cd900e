// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table of the dumps that report changes, in package nldump's
// documentation.

// A tellRow is what a family reports on some kernels.
type tellRow struct {
	name                    string
	kernels                 []string
	added, removed, changed string
	generation              string
	note                    string // what was changed in place, or why that is impossible
}

// failed is the text in the row of a family whose test failed.
const failed = "failed"

// noModule starts the note of a row of a family that the kernel lacks.
const noModule = "no module "

var (
	toldHeader  = []string{"family", "kernel", "added", "removed", "changed", "generation", "changed in place, or why not tried"}
	toldKernels = []string{"6.1", "6.12", "7.3"}
	toldGap     = regexp.MustCompile(`  +`)
)

func (r tellRow) cells() []string {
	kernels := strings.Join(r.kernels, " ")
	if slices.Equal(r.kernels, toldKernels) {
		kernels = "all"
	}
	return []string{r.name, kernels, r.added, r.removed, r.changed, r.generation, r.note}
}

// same reports whether two rows are equal except for their kernels.
func (r tellRow) same(o tellRow) bool {
	r.kernels, o.kernels = nil, nil
	return slices.Equal(r.cells(), o.cells())
}

// formatTold formats the table.
func formatTold(rows []tellRow) string {
	all := [][]string{toldHeader}
	for _, r := range rows {
		all = append(all, r.cells())
	}
	width := make([]int, len(toldHeader))
	for _, cells := range all {
		for i, c := range cells {
			width[i] = max(width[i], len(c))
		}
	}
	var text strings.Builder
	for _, cells := range all {
		var line string
		for i, c := range cells {
			line += c + strings.Repeat(" ", width[i]-len(c)+2)
		}
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return text.String()
}

// cutTold splits a text at the table in it. Each line of the table has the
// prefix.
func cutTold(text, prefix string) (before, table, after string, ok bool) {
	start := regexp.MustCompile(`(?m)^` + prefix + strings.Join(toldHeader[:5], " +") + ` .*\n`).FindStringIndex(text)
	if start == nil {
		return "", "", "", false
	}
	end := start[1]
	for l := range strings.Lines(text[end:]) {
		rest := regexp.MustCompile(`^`+prefix).ReplaceAllString(l, "")
		if rest == l || len(toldGap.Split(strings.TrimSpace(rest), -1)) < len(toldHeader)-1 {
			break
		}
		end += len(l)
	}
	return text[:start[0]], text[start[0]:end], text[end:], true
}

// parseTold parses the lines of the table.
func parseTold(t *testing.T, table string) (rows []tellRow) {
	t.Helper()
	for i, l := range slices.Collect(strings.Lines(table)) {
		c := toldGap.Split(strings.TrimSpace(strings.TrimPrefix(l, "//")), -1)
		if i == 0 {
			continue
		}
		if len(c) == len(toldHeader)-1 {
			c = append(c, "")
		}
		if len(c) != len(toldHeader) {
			t.Fatalf("%d cells, want %d, in %q", len(c), len(toldHeader), l)
		}
		kernels := toldKernels
		if c[1] != "all" {
			kernels = strings.Fields(c[1])
		}
		rows = append(rows, tellRow{c[0], kernels, c[2], c[3], c[4], c[5], c[6]})
	}
	return rows
}

// docPrefix is what the lines of a code block start with.
const docPrefix = "//\t"

// readTold reads the documented table.
func readTold(t *testing.T, file string) []tellRow {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _, ok := cutTold(string(text), docPrefix)
	if !ok {
		t.Fatalf("no table in %s", file)
	}
	return parseTold(t, table)
}

// wantDocumented compares the rows of a kernel with the documented ones. If all
// families were tried, there must be no other documented rows. The
// documentation is for the modules of Debian's kernels.
func wantDocumented(t *testing.T, rows, documented []tellRow, debian, all bool) {
	t.Helper()
	for _, r := range rows {
		i := slices.IndexFunc(documented, func(d tellRow) bool { return d.name == r.name })
		if i < 0 {
			t.Errorf("not documented: %q", r.cells())
			continue
		}
		d := documented[i]
		documented = slices.Delete(documented, i, i+1)
		if !debian && strings.HasPrefix(r.note, noModule) != strings.HasPrefix(d.note, noModule) {
			t.Logf("not compared: %q", r.cells())
		} else if !r.same(d) {
			t.Errorf("%q, and documented is %q", r.cells(), d.cells())
		}
	}
	for _, d := range documented {
		if !all {
			break
		}
		t.Errorf("documented, and not found: %q", d.cells())
	}
}

// mergeTold merges the tables of several kernels into one.
func mergeTold(tables [][]tellRow) (merged []tellRow) {
	for _, family := range tables[0] {
		start := len(merged)
		for _, rows := range tables {
			for _, r := range rows {
				if r.name != family.name {
					continue
				}
				if i := slices.IndexFunc(merged[start:], r.same); i >= 0 {
					merged[start+i].kernels = append(merged[start+i].kernels, r.kernels...)
				} else {
					merged = append(merged, r)
				}
			}
		}
	}
	return merged
}

var toldOut = flag.String("told", "", "the directory of vm/run's --out, with each kernel's `results`, that the documented table is made of")

// The documented table has the format that the program writes. make told-table
// rewrites it.
func TestToldTableIsWellFormed(t *testing.T) {
	file := "../../client/nldump/doc.go"
	if os.Getenv("BULKDUMP_GUEST") != "" {
		file = "/nldump/doc.go"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, table, after, ok := cutTold(string(text), docPrefix)
	if !ok {
		t.Fatalf("no table in %s", file)
	}
	rows := parseTold(t, table)
	if *toldOut != "" {
		var tables [][]tellRow
		for _, k := range toldKernels {
			stdout, err := os.ReadFile(filepath.Join(*toldOut, k, "stdout"))
			if err != nil {
				t.Fatal(err)
			}
			_, printed, _, ok := cutTold(string(stdout), " *")
			if !ok {
				t.Fatalf("no table of %s", k)
			}
			of := parseTold(t, printed)
			if slices.ContainsFunc(of, func(r tellRow) bool { return r.added == failed }) {
				t.Fatalf("a family failed on %s:\n%s", k, printed)
			}
			tables = append(tables, of)
		}
		rows = mergeTold(tables)
	}
	var want strings.Builder
	for l := range strings.Lines(formatTold(rows)) {
		want.WriteString(docPrefix + l)
	}
	if want.String() == table {
		return
	}
	if *toldOut == "" {
		t.Errorf("the table is\n%s\nand should be\n%s", table, &want)
	} else if err := os.WriteFile(file, []byte(before+want.String()+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
