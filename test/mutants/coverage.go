// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A probe is a place of the module of which a profile tells which tests reach it:
// a function, or the branch of an if.
type probe struct {
	name       string // "kmod/dump.c: key_walk", or that and "if (err)"
	start, end int    // what belongs to it
	edits      []edit // call mutants_hit() there
}

// probes lists the probes of a C source, numbered from first on. What belongs to a
// branch belongs to its function, too.
func probes(file, src string, first int) []probe {
	var all []probe
	for _, f := range functions(src) {
		seen := map[string]int{}
		brace := f.toks[0]
		name := file + ": " + f.name
		all = append(all, probe{name, brace.at, f.toks[len(f.toks)-1].end(),
			[]edit{{brace.end(), brace.end(), fmt.Sprintf(" mutants_hit(%d);", first+len(all))}}})
		for _, b := range f.branches() {
			text := "if (" + strings.Join(strings.Fields(src[b.cond.start():b.cond.end()]), " ") + ")"
			if seen[text]++; seen[text] > 1 {
				text += fmt.Sprintf(" #%d", seen[text])
			}
			all = append(all, probe{name + ": " + text, b.start, b.end, []edit{
				{b.cond.start(), b.cond.start(), "("},
				{b.cond.end(), b.cond.end(), fmt.Sprintf(") && mutants_hit(%d)", first+len(all))},
			}})
		}
	}
	return all
}

// A coverage says which tests reach which probe, and how long each test takes.
type coverage struct {
	tests   []coveredTest
	reached map[string][]int // by the name of a probe: indexes of tests, the fastest first
}

type coveredTest struct {
	name    string
	seconds float64
}

// coverageLimit is how many tests of a probe are kept.
const coverageLimit = 40

func readCoverage(path string) (*coverage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &coverage{reached: map[string][]int{}}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		var t coveredTest
		if _, err := fmt.Sscanf(line, "test %f %s", &t.seconds, &t.name); err == nil {
			c.tests = append(c.tests, t)
			continue
		}
		name, numbers, ok := strings.Cut(line, "\t")
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		for n := range strings.FieldsSeq(numbers) {
			i, err := strconv.Atoi(n)
			if err != nil || i >= len(c.tests) {
				return nil, fmt.Errorf("%s: %q", path, line)
			}
			c.reached[name] = append(c.reached[name], i)
		}
	}
	return c, s.Err()
}

func (c *coverage) write(path string) error {
	var b strings.Builder
	b.WriteString("# Made by make mutants-profile: each test with its seconds, and the tests that reach a function or a branch.\n")
	for _, t := range c.tests {
		fmt.Fprintf(&b, "test %.2f %s\n", t.seconds, t.name)
	}
	var names []string
	for name := range c.reached {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		tests := c.reached[name]
		slices.SortStableFunc(tests, func(i, j int) int { return cmp.Compare(c.tests[i].seconds, c.tests[j].seconds) })
		b.WriteString(name + "\t" + strings.Trim(fmt.Sprint(tests[:min(len(tests), coverageLimit)]), "[]") + "\n")
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// near returns a regular expression for the tests that reach the mutant, the
// fastest first, as many as take that many seconds; and how long they take. It is
// empty if there are none.
func (c *coverage) near(m *mutant, seconds float64) (regex string, takes float64) {
	var names []string
	for _, i := range c.reaching(m) {
		t := c.tests[i]
		if len(names) > 0 && takes+t.seconds > seconds {
			break
		}
		names = append(names, t.name)
		takes += t.seconds
	}
	return only(names), takes
}

// only is a regular expression for tests with these names.
func only(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// unlike reports whether a test cannot see the mutant: it is known, and reaches
// another place than the change's.
func (c *coverage) unlike(m *mutant) func(test string) bool {
	reaching := c.reaching(m)
	return func(test string) bool {
		i := slices.IndexFunc(c.tests, func(t coveredTest) bool { return t.name == test })
		return i >= 0 && len(reaching) < coverageLimit && !slices.Contains(reaching, i)
	}
}

// reaching returns the tests of the innermost probe with any that the change is in.
// An if itself belongs to what is around it.
func (c *coverage) reaching(m *mutant) (tests []int) {
	at := m.edits[0].start
	for _, p := range probes(m.file, m.src, 0) { // an inner one follows the outer one
		if reached := c.reached[p.name]; p.start <= at && at < p.end && len(reached) > 0 {
			tests = reached
		}
	}
	return tests
}
