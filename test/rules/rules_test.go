// SPDX-License-Identifier: BSD-3-Clause

// Package rules checks that the table of rules in kmod/README.md is true: it
// names functions and tests that are there, and the tests name the rules.
package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	kmod  = "../../kmod"
	rules = 20
)

// A row is one rule of the table.
type row struct {
	number              int
	places, tests, bugs string
}

var (
	place    = regexp.MustCompile("`([a-z_/]+\\.[ch]):(\\w+)`")
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	// The last line of a test's comment, if it holds a rule.
	ruleLine = regexp.MustCompile(`^Rules? (\d+(?:, \d+)*)\.$`)
)

// rows returns the table's: | number | rule | places | tests | bug |.
func rows(readme string) (table []row) {
	for line := range strings.Lines(readme) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		number, err := strconv.Atoi(strings.TrimSpace(cells[0]))
		if err == nil && len(cells) == 5 {
			table = append(table, row{number, cells[2], cells[3], strings.TrimSpace(cells[4])})
		}
	}
	return table
}

// defines tells whether C source defines a function or a variable.
func defines(source, name string) bool {
	function := `\([^;{}]*\)\n(?:\t__\w+\(\w+\)\n)*\{`
	variable := `(?:\[[^\]]*\])* (?:__\w+ )?= \{`
	return regexp.MustCompile(`(?m)^[a-z][\w *]*\b` + name + `(?:` + function + `|` + variable + `)`).MatchString(source)
}

// check returns what is wrong with the table: source reads a file of kmod/, and
// tests are the rules that each test says it holds.
func check(readme string, source func(file string) (string, error), tests map[string][]int) (wrong []string) {
	complain := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	table := rows(readme)
	for i := range max(rules, len(table)) {
		if i >= len(table) || table[i].number != i+1 {
			complain("row %d is not that of rule %d", i+1, i+1)
			break
		}
	}
	listed := make(map[string][]int)
	for _, r := range table {
		if !place.MatchString(r.places) || !testName.MatchString(r.tests) || r.bugs == "" {
			complain("rule %d: a cell has nothing in it", r.number)
		}
		for _, name := range testName.FindAllString(r.tests, -1) {
			listed[name] = append(listed[name], r.number)
		}
	}
	for _, m := range place.FindAllStringSubmatch(readme, -1) {
		if text, err := source(m[1]); err != nil {
			complain("%v", err)
		} else if !defines(text, m[2]) {
			complain("%s does not define %s", m[1], m[2])
		}
	}
	for _, name := range testName.FindAllString(readme, -1) {
		if _, ok := tests[name]; !ok {
			complain("there is no %s", name)
		}
	}
	for name, held := range tests {
		if !slices.Equal(held, listed[name]) {
			complain("%s says that it holds the rules %v, the table %v", name, held, listed[name])
		}
	}
	return wrong
}

// heldRules are those in the comment of each test of a directory.
func heldRules(dir string) (map[string][]int, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	tests := make(map[string][]int)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !testName.MatchString(f.Name.Name) {
				continue
			}
			if tests[f.Name.Name], err = rulesIn(f.Doc.Text()); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, f.Name.Name, err)
			}
		}
	}
	return tests, nil
}

func rulesIn(comment string) (held []int, err error) {
	lines := strings.Split(strings.TrimSpace(comment), "\n")
	for i, line := range lines {
		m := ruleLine.FindStringSubmatch(line)
		if m == nil || i < len(lines)-1 {
			if strings.HasPrefix(line, "Rule ") || strings.HasPrefix(line, "Rules ") {
				return nil, fmt.Errorf("%q is not the last line, or not of the form \"Rules 1, 2.\"", line)
			}
			continue
		}
		for number := range strings.SplitSeq(m[1], ", ") {
			n, err := strconv.Atoi(number)
			if err != nil {
				return nil, err
			}
			held = append(held, n)
		}
	}
	if !slices.IsSorted(held) {
		return nil, fmt.Errorf("the rules %v do not rise", held)
	}
	return held, nil
}

func readSource(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(kmod, file))
	return string(text), err
}

func readTable(t *testing.T) (readme string, tests map[string][]int) {
	t.Helper()
	readme, err := readSource("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tests = make(map[string][]int)
	for _, dir := range []string{"..", "."} {
		held, err := heldRules(dir)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(tests, held)
	}
	return readme, tests
}

// With -v it lists the tests of each rule.
func TestTableIsTrue(t *testing.T) {
	readme, tests := readTable(t)
	for _, r := range rows(readme) {
		t.Logf("rule %2d: %s", r.number, strings.TrimSpace(r.tests))
	}
	for _, wrong := range check(readme, readSource, tests) {
		t.Error(wrong)
	}
}

// Each kind of rot is found.
func TestTableThatRots(t *testing.T) {
	readme, tests := readTable(t)
	first := rows(readme)[0]
	name := testName.FindString(first.tests)
	replaced := func(old, by string) string { return strings.ReplaceAll(readme, old, by) }
	without := func(number int) string {
		return regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \|.*\n`, number)).ReplaceAllString(readme, "")
	}
	other := func(name string, held ...int) map[string][]int {
		changed := maps.Clone(tests)
		changed[name] = held
		return changed
	}
	where := place.FindStringSubmatch(first.places)
	for _, tt := range []struct {
		name, readme string
		tests        map[string][]int
		want         string
	}{
		{"a rule is missing", without(7), tests, "row 7 is not that of rule 7"},
		{"the last rule is missing", without(rules), tests, "row 20 is not that of rule 20"},
		{"a function was renamed", replaced(":"+where[2]+"`", ":gone`"), tests, "does not define gone"},
		{"a file was renamed", replaced("`"+where[1]+":", "`gone.c:"), tests, "gone.c: no such file"},
		{"a test was renamed", replaced(name, "TestGone"), tests, "there is no TestGone"},
		{"a comment lacks the rule", readme, other(name), name + " says that it holds the rules []"},
		{"a comment has one too many", readme, other("TestNew", 1), "TestNew says that it holds the rules [1], the table []"},
		{"no test", strings.Replace(readme, first.tests, " ", 1), tests, "rule 1: a cell has nothing in it"},
		{"no bug", strings.Replace(readme, first.bugs, " ", 1), tests, "rule 1: a cell has nothing in it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrong := check(tt.readme, readSource, tt.tests)
			if !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, tt.want) }) {
				t.Errorf("%q, want %q among it", wrong, tt.want)
			}
		})
	}
	for _, comment := range []string{"Rule 1", "Rule 1, 2, 3", "Rules 2, 1.", "Rule 1.\nMore.", "Rule x."} {
		if held, err := rulesIn(comment); err == nil {
			t.Errorf("a comment %q holds %v, want an error", comment, held)
		}
	}
}
