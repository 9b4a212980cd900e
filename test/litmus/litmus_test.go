// SPDX-License-Identifier: BSD-3-Clause

// Package litmus checks that the module has the barriers that the litmus tests here
// reason about. The tests themselves, for the kernel's memory model, run by make
// litmus.
package litmus

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// kmod is where the sources are. KMOD is another place.
func kmod() string { return cmp.Or(os.Getenv("KMOD"), "../../kmod") }

// A place is a function, and what it has in this order.
type place struct {
	test, file, function string
	parts                []string
}

var placeLine = regexp.MustCompile(`(?m)^ \*   (\S+\.[ch]) (\w+): (.*)$`)

func places(t *testing.T) (all []place) {
	t.Helper()
	tests, err := filepath.Glob("*.litmus")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no litmus tests: %v", err)
	}
	for _, test := range tests {
		text, err := os.ReadFile(test)
		if err != nil {
			t.Fatal(err)
		}
		found := placeLine.FindAllStringSubmatch(string(text), -1)
		if len(found) < 2 {
			t.Errorf("%s names %d places in kmod/, want both sides", test, len(found))
		}
		for _, m := range found {
			all = append(all, place{test, m[1], m[2], strings.Split(m[3], ", then ")})
		}
	}
	return all
}

var (
	comment    = regexp.MustCompile(`(?s)/\*.*?\*/`)
	definition = regexp.MustCompile(`^\w[^;=]*?(\w+)\(`)
)

// functions are the bodies of a file's functions, without comments.
func functions(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(kmod(), file))
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	name, inside := "", false
	for line := range strings.Lines(comment.ReplaceAllString(string(text), "")) {
		switch {
		case line == "{\n":
			inside = true
		case line == "}\n":
			inside = false
		case inside:
			bodies[name] += line
		default:
			if m := definition.FindStringSubmatch(line); m != nil {
				name = m[1]
			}
		}
	}
	return bodies
}

// The code has what its litmus tests say, in that order.
func TestCodeHasTheBarriers(t *testing.T) {
	for _, p := range places(t) {
		body, ok := functions(t, p.file)[p.function]
		if !ok {
			t.Errorf("%s: %s has no function %s", p.test, p.file, p.function)
			continue
		}
		for _, part := range p.parts {
			_, rest, found := strings.Cut(body, part)
			if !found {
				t.Errorf("%s: %s in %s lacks %q, or has it too early", p.test, p.function, p.file, part)
				break
			}
			body = rest
		}
	}
}

// ordered are what orders the accesses of several processors.
var ordered = regexp.MustCompile(`\b(smp_\w+|\w+_acquire|\w+_release|hlist_add_head_rcu|hlist_replace_rcu|rcu_assign_pointer)\(`)

// Each barrier of the module is in a litmus test.
func TestBarriersHaveALitmusTest(t *testing.T) {
	all := places(t)
	var files []string
	for _, pattern := range []string{"*.[ch]", "compare/*.c"} {
		found, err := filepath.Glob(filepath.Join(kmod(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	n := 0
	for _, path := range files {
		file, err := filepath.Rel(kmod(), path)
		if err != nil {
			t.Fatal(err)
		}
		for function, body := range functions(t, file) {
			for _, m := range ordered.FindAllStringSubmatch(body, -1) {
				if m[1] == "xa_release" { // it gives a slot back
					continue
				}
				n++
				known := slices.ContainsFunc(all, func(p place) bool {
					return p.file == file && p.function == function && strings.Contains(fmt.Sprint(p.parts), m[0])
				})
				if !known {
					t.Errorf("no litmus test has %s of %s in %s", m[1], function, file)
				}
			}
		}
	}
	if n == 0 {
		t.Error("no barriers: this test does not see them")
	}
}
