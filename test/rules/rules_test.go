// SPDX-License-Identifier: BSD-3-Clause

// Package rules checks that the project's pages are true. Their links lead
// somewhere. In the page of rules, kmod/rules, each rule has all its parts; the
// code and the names that it quotes are in the module; and the tests name the rules
// that they hold. The index, test/README.md, names each test file. The page of
// kmod/broken names each bug.
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

	"bulkdump/kmod/rules"
)

const (
	kmod  = "../../kmod"
	count = 30 // of the rules
)

// A section is one rule of the page.
type section struct {
	number int
	title  string
	right  [][]string // what is said of it, and the code
	places [][]string // file and function
	tests  []string
	checks []string // of dumpcheck
}

var (
	indexRow = regexp.MustCompile(`(?m)^\| \[(\d+)\]\(#([^)]*)\) \| (.*?) \| \S.* \|$`)
	right    = regexp.MustCompile("(?s)\nRight([^`]*)\n```c\n(.*?)```")
	wrong    = regexp.MustCompile("(?s)\nWrong[^`]*\n```c\n(.*?)```")
	sees     = regexp.MustCompile(`(?s)\n\*\*A reader sees\*\* (\S.*?)\n\n`)
	taught   = regexp.MustCompile(`(?s)\n\*\*Learned from\*\* (\S.*?)\n\n`)
	here     = regexp.MustCompile(`(?s)\n\*\*Here\*\* (\S.*?)\*\*Tested\s+by\*\*\s+(\S.*?)\n\n`)
	seenBy   = regexp.MustCompile("(?s)\n\\*\\*dumpcheck\\*\\* (?:(`\\w+`(?:,\\s+`\\w+`)*)[.,]|cannot see it: \\S)")
	place    = regexp.MustCompile("`([a-z_/]+\\.[ch]):(\\w+)`")
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	checkID  = regexp.MustCompile(`\w+`)
	// The last line of a test's comment, if it holds a rule.
	ruleLine = regexp.MustCompile(`^Rules? (\d+(?:, \d+)*)\.$`)
)

// sections returns the rules of the page, and errors in their form.
func sections(page string) (found []section, complaints []string) {
	for _, rule := range rules.Parse(page) {
		s := section{number: rule.Number, title: rule.Title}
		text := "\n" + rule.Text + "\n\n"
		part := func(what string, re *regexp.Regexp, in string) []string {
			match := re.FindStringSubmatch(in)
			if match == nil {
				complaints = append(complaints, fmt.Sprintf("rule %d has no %q", s.number, what))
				return make([]string, 3)
			}
			return match
		}
		sentence, _, _ := strings.Cut(text, "\nRight")
		if strings.TrimSpace(sentence) == "" {
			complaints = append(complaints, fmt.Sprintf("rule %d has no sentence", s.number))
		}
		part("Right", right, text)
		s.right = right.FindAllStringSubmatch(text, -1)
		part("Wrong", wrong, text)
		part("A reader sees", sees, text)
		part("Learned from", taught, text)
		m := part("Here … Tested by", here, text)
		s.places = place.FindAllStringSubmatch(m[1], -1)
		s.tests = testName.FindAllString(m[2], -1)
		s.checks = checkID.FindAllString(part("dumpcheck", seenBy, text)[1], -1)
		found = append(found, s)
	}
	return found, complaints
}

// anchor returns the anchor of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// lines returns code without its indentation.
func lines(code string) string {
	return regexp.MustCompile(`(?m)^\s+|[ \t]+$`).ReplaceAllString(code, "")
}

// defines reports whether C source defines a function or a variable.
func defines(source, name string) bool {
	function := `\([^;{}]*\)\n(?:\t__\w+\(\w+\)\n)*\{`
	variable := `(?:\[[^\]]*\])* (?:__\w+ )?= \{`
	return regexp.MustCompile(`(?m)^[a-z][\w *]*\b` + name + `(?:` + function + `|` + variable + `)`).MatchString(source)
}

// elsewhere marks right code that is not in the module.
const elsewhere = "not in this module"

// check returns what is wrong with the page: source reads a file of kmod/, tests
// are the rules that each test says it holds, and checks those that each check of
// dumpcheck says it sees.
func check(page string, source func(file string) (string, error), tests, checks map[string][]int) []string {
	all, complaints := sections(page)
	complain := func(format string, a ...any) { complaints = append(complaints, fmt.Sprintf(format, a...)) }
	index := indexRow.FindAllStringSubmatch(page, -1)
	listed, seen := make(map[string][]int), make(map[string][]int)
	for i := range max(count, len(all), len(index)) {
		if i >= len(all) || all[i].number != i+1 {
			complain("section %d is not that of rule %d", i+1, i+1)
			break
		}
		s := all[i]
		row := []string{"", strconv.Itoa(s.number), anchor(fmt.Sprintf("%d. %s", s.number, s.title)), s.title}
		if i >= len(index) || !slices.Equal(index[i][1:], row[1:]) {
			complain("row %d of the index is not %q", i+1, row[1:])
			break
		}
		if len(s.places) == 0 || len(s.tests) == 0 {
			complain("rule %d has no function, or no test", s.number)
		}
		var code strings.Builder // of its files
		for _, p := range s.places {
			text, err := source(p[1])
			if err != nil {
				complain("rule %d: %v", s.number, err)
			} else if !defines(text, p[2]) {
				complain("rule %d: %s does not define %s", s.number, p[1], p[2])
			}
			code.WriteString(lines(text))
		}
		for _, r := range s.right {
			if !strings.Contains(r[1], elsewhere) && !strings.Contains(code.String(), lines(r[2])) {
				complain("rule %d: the right code is in none of its files:\n%s", s.number, r[2])
			}
		}
		for _, id := range s.checks {
			if _, ok := checks[id]; !ok {
				complain("rule %d: dumpcheck has no check %s", s.number, id)
			}
			seen[id] = append(seen[id], s.number)
		}
		for _, name := range s.tests {
			listed[name] = append(listed[name], s.number)
		}
	}
	for _, name := range testName.FindAllString(page, -1) {
		if _, ok := tests[name]; !ok {
			complain("there is no %s", name)
		}
	}
	for name, held := range tests {
		if !slices.Equal(held, listed[name]) {
			complain("%s says that it holds the rules %v, the page %v", name, held, listed[name])
		}
	}
	for id, sees := range checks {
		if sees != nil && !slices.Equal(sees, seen[id]) {
			complain("check %s says that it sees the rules %v, the page %v", id, sees, seen[id])
		}
	}
	return complaints
}

// heldRules returns the rules in the comment of each test of a directory.
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

func readPage(t *testing.T) (page string, tests map[string][]int) {
	t.Helper()
	page, err := readSource("rules/README.md")
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
	return page, tests
}

// With -v it lists the tests of each rule.
func TestPageIsTrue(t *testing.T) {
	page, tests := readPage(t)
	all, _ := sections(page)
	for _, s := range all {
		t.Logf("rule %2d: %s", s.number, strings.Join(s.tests, ", "))
	}
	for _, wrong := range check(page, readSource, tests, readChecks(t)) {
		t.Error(wrong)
	}
}

// Each kind of error in the page is found.
func TestPageThatRots(t *testing.T) {
	page, tests := readPage(t)
	all, _ := sections(page)
	first := all[0]
	name, where := first.tests[0], first.places[0]
	checks := readChecks(t)
	replaced := func(old, by string) string { return strings.ReplaceAll(page, old, by) }
	once := func(old, by string) string { return strings.Replace(page, old, by, 1) }
	other := func(name string, held ...int) map[string][]int {
		changed := maps.Clone(tests)
		changed[name] = held
		return changed
	}
	for _, tt := range []struct {
		name, page string
		tests      map[string][]int
		want       string
	}{
		{"a rule is missing", replaced("## 7. ", "## "), tests, "section 7 is not that of rule 7"},
		{"the last rule is missing", replaced("## 30. ", "## "), tests, "section 30 is not that of rule 30"},
		{"a rule has another title", replaced("## 7. ", "## 7. Not "), tests, `row 7 of the index is not ["7" "7-not-`},
		{"a link leads nowhere", replaced("(#7-", "(#8-"), tests, "row 7 of the index"},
		{"the index ends early", replaced("\n| [30]", "\n"), tests, "row 30 of the index"},
		{"a function was renamed", replaced(":"+where[2]+"`", ":gone`"), tests, "does not define gone"},
		{"a file was renamed", replaced("`"+where[1]+":", "`gone.c:"), tests, "gone.c: no such file"},
		{"a test was renamed", replaced(name, "TestGone"), tests, "there is no TestGone"},
		{"the code changed", once("err == -EMSGSIZE && skb->len", "err && skb->len"), tests, "rule 1: the right code is in none of its files"},
		{"the code further on changed", once("if (empty && (err || ctx->child))", "if (empty)"), tests, "rule 3: the right code is in none of its files"},
		{"the code is said to be here", once(" (not in this module, ", " (in this module, "), tests, "rule 13: the right code is in none of its files"},
		{"a check was renamed", once("`end`", "`finish`"), tests, "rule 1: dumpcheck has no check finish"},
		{"no check", once("**dumpcheck** `end`, `pages`, `fill`.", "**dumpcheck** end."), tests, `rule 1 has no "dumpcheck"`},
		{"no reason", once("cannot see it: only", "cannot see it. Only"), tests, `rule 6 has no "dumpcheck"`},
		{"a comment lacks the rule", page, other(name), name + " says that it holds the rules []"},
		{"a comment has one too many", page, other("TestNew", 1), "TestNew says that it holds the rules [1], the page []"},
		{"no sentence", once(page[strings.Index(page, "A record that does not fit ends"):strings.Index(page, "Right, on every kernel")], "\n"), tests, "rule 1 has no sentence"},
		{"no right code", once("Right, on every", "Good, on every"), tests, `rule 1 has no "Right"`},
		{"no wrong code", once("\nWrong:", "\nBad:"), tests, `rule 1 has no "Wrong"`},
		{"no breach", once("**A reader sees**", "A reader sees"), tests, `rule 1 has no "A reader sees"`},
		{"no source", once("**Learned from**", "Learned from"), tests, `rule 1 has no "Learned from"`},
		{"no place", once("**Here**", "Here"), tests, `rule 1 has no "Here`},
		{"no test", once("TestDumpPageFilledToTheByte,\nTestDoneAloneInItsPage, TestRecordOutgrowsItsPage", "none"), tests, "rule 1 has no function, or no test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.page == page && maps.EqualFunc(tt.tests, tests, slices.Equal) {
				t.Fatal("nothing was changed")
			}
			wrong := check(tt.page, readSource, tt.tests, checks)
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
