// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const someC = `
int f(int a)
{
	if (a < 1)
		return -EINVAL;
	a++;
	b = a + 1;
	return g(a) && h(b);
}
`

func ids(all []*mutant) []string {
	var ids []string
	for _, m := range all {
		ids = append(ids, m.id)
	}
	return ids
}

func TestChoiceIsOfTheSeed(t *testing.T) {
	all := identify(mutateC("x.c", someC))
	first := ids(choose(all, 8, "1"))
	if again := ids(choose(identify(mutateC("x.c", someC)), 8, "1")); !slices.Equal(first, again) {
		t.Errorf("%q, then %q", first, again)
	}
	seeds := map[string]bool{}
	for _, seed := range strings.Split("1 2 3 4 5 6 7 8", " ") {
		seeds[strings.Join(ids(choose(all, 8, seed)), " ")] = true
	}
	if len(seeds) == 1 {
		t.Error("each seed chooses the same")
	}
	if n := len(choose(all, 1000, "1")); n != len(all) {
		t.Errorf("%d of %d", n, len(all))
	}
}

// Each pattern comes before one comes twice.
func TestChoiceHasEachPattern(t *testing.T) {
	all := identify(mutateC("x.c", someC))
	patterns := map[string]int{}
	for _, m := range all {
		patterns[m.pattern] = 0
	}
	for _, m := range choose(all, len(patterns), "1") {
		patterns[m.pattern]++
	}
	for p, n := range patterns {
		if n != 1 {
			t.Errorf("%s is chosen %d times", p, n)
		}
	}
}

// Neither ids nor keys depend on what is elsewhere in the file.
func TestIdsStay(t *testing.T) {
	twice := someC + "int h(int b)\n{\n\tb++;\n\tb++;\n}\n"
	before := identify(mutateC("x.c", twice))
	after := identify(mutateC("x.c", "int before(void)\n{\n\tmore();\n}\n"+twice))
	for _, id := range ids(before) {
		if !slices.Contains(ids(after), id) {
			t.Errorf("%s is gone", id)
		}
	}
	seen := map[string]bool{}
	for _, id := range ids(after) {
		if seen[id] {
			t.Errorf("there are two %s", id)
		}
		seen[id] = true
	}
}

// README.md has a row for each pattern, and none for others.
func TestPatternsAreInREADME(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, patterns []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, m[1])
	}
	for _, p := range cpatterns {
		patterns = append(patterns, p.name)
	}
	for _, p := range gopatterns {
		patterns = append(patterns, p.name)
	}
	slices.Sort(rows)
	slices.Sort(patterns)
	if !slices.Equal(rows, patterns) {
		t.Errorf("README.md has rows for %q; there are %q", rows, patterns)
	}
}

// All that the tree says of mutants is true of some.
func TestFilesOfTheTree(t *testing.T) {
	all, err := candidates("../..")
	if err != nil {
		t.Fatal(err)
	}
	stanzas, err := readStanzas("reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := findReasons(stanzas, all); len(errs) > 0 {
		t.Errorf("reasons.txt: %v", errs)
	}
	chosen, _, err := quick(all, "quick.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(chosen) < 6 {
		t.Errorf("quick.txt has only %d", len(chosen))
	}
	c, err := readCoverage("coverage.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.tests) == 0 {
		t.Error("coverage.txt has no tests")
	}
}
