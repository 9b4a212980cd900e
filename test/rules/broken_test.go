// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each bug of kmod/broken is in the header, in one comment of the source, and in a
// row of its page, which agree on the rule.
func TestBrokenIsListed(t *testing.T) {
	read := func(name string) string {
		text, err := readSource("broken/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var listed, rows []string
	for _, m := range regexp.MustCompile(`(?m)^\tBROKEN_CMD_(\w+)[ ,].*/\* (.*) \*/$`).FindAllStringSubmatch(read("bulkdump_broken.h"), -1) {
		rule, bug, _ := strings.Cut(m[2], ": ")
		if rule == "no bug" {
			continue
		}
		if n, err := strconv.Atoi(rule); err != nil || n < 1 {
			t.Errorf("%s: %q does not begin with the number of a rule", m[1], m[2])
		}
		listed = append(listed, m[1]+" "+rule+" "+bug)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.*) \\| (\\d+) \\| [a-z]+ \\|$").FindAllStringSubmatch(read("README.md"), -1) {
		rows = append(rows, m[1]+" "+m[3]+" "+m[2])
	}
	if !slices.Equal(listed, rows) {
		for _, row := range rows {
			if !slices.Contains(listed, row) {
				t.Errorf("only in README.md, or in another order: %s", row)
			}
		}
		for _, bug := range listed {
			if !slices.Contains(rows, bug) {
				t.Errorf("not in README.md: %s", bug)
			}
		}
		t.Error("README.md has not the header's bugs in the header's order")
	}
	if !strings.Contains(read("README.md"), "It has "+strconv.Itoa(len(listed))+" bugs") {
		t.Errorf("README.md does not say that there are %d bugs", len(listed))
	}

	files, err := filepath.Glob(filepath.Join(kmod, "broken/*.c"))
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		source.WriteString(read(filepath.Base(file)))
	}
	for _, bug := range listed {
		name, rest, _ := strings.Cut(bug, " ")
		rule, _, _ := strings.Cut(rest, " ")
		if n := len(regexp.MustCompile(`(?:/\*|^ \*|\n \*) `+name+`, `+rule+`: `).FindAllString(source.String(), -1)); n != 1 {
			t.Errorf("%d comments of the source begin with %q, want one", n, name+", "+rule+": ")
		}
	}
}
