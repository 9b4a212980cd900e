// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"testing"
)

// readChecks returns the rules that each check of dumpcheck says it sees; nil if
// it does not say.
func readChecks(t *testing.T) map[string][]int {
	t.Helper()
	source, err := os.ReadFile("../../cmd/dumpcheck/internal/check/all.go")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := checksIn(string(source))
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// checksIn parses the table All of a source: the first text of an element is the
// check's id, its numbers are those of the rules.
func checksIn(source string) (map[string][]int, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "all.go", source, 0)
	if err != nil {
		return nil, err
	}
	object := file.Scope.Lookup("All")
	if object == nil {
		return nil, fmt.Errorf("there is no table All")
	}
	checks := make(map[string][]int)
	for _, value := range object.Decl.(*ast.ValueSpec).Values {
		for _, element := range value.(*ast.CompositeLit).Elts {
			id, rules := "", []int(nil)
			ast.Inspect(element, func(n ast.Node) bool {
				literal, ok := n.(*ast.BasicLit)
				switch {
				case !ok:
				case literal.Kind == token.STRING && id == "":
					id, err = strconv.Unquote(literal.Value)
				case literal.Kind == token.INT:
					number, _ := strconv.Atoi(literal.Value)
					rules = append(rules, number)
				}
				return true
			})
			if _, twice := checks[id]; twice || id == "" || err != nil || !slices.IsSorted(rules) {
				return nil, fmt.Errorf("check %q of rules %v: no id, an id that is another's, or rules that do not rise", id, rules)
			}
			checks[id] = rules
		}
	}
	return checks, nil
}

// A check that says other rules than the page is found.
func TestChecksAndPageAgree(t *testing.T) {
	page, tests := readPage(t)
	for rules, want := range map[string]string{
		"1, 3, 28": "check end says that it sees the rules [1 3 28], the page [1 3 28]",
		"1, 3":     "check end says that it sees the rules [1 3], the page [1 3 28]",
		"1, 4, 28": "check end says that it sees the rules [1 4 28], the page [1 3 28]",
	} {
		checks, err := checksIn(`package check; var All = []Check{{"end", "ends", []int{` + rules + `}, "never", checkEnd}}`)
		if err != nil {
			t.Fatal(err)
		}
		agrees := rules == "1, 3, 28"
		if found := slices.Contains(check(page, readSource, tests, checks), want); found == agrees {
			t.Errorf("rules %s: %q found: %t", rules, want, found)
		}
	}
	for _, source := range []string{
		"package check",
		"package check; var All = []Check{{ID}}",
		`package check; var All = []Check{{"end"}, {"end"}}`,
		`package check; var All = []Check{{"end", []int{3, 1}}}`,
	} {
		if checks, err := checksIn(source); err == nil {
			t.Errorf("%s: %v, want an error", source, checks)
		}
	}
}
