// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPatternsOfGo(t *testing.T) {
	for _, test := range []struct {
		pattern, body string
		want          []string
	}{
		{"go-assignment-lost", "x = 1\na.b = f()\ny := 2\n_ = y", []string{"_ = 1", "_ = f()"}},
		{"go-branch-skipped", "if x := f(); x || y {\n}", []string{"if x := f(); (x || y) && false {"}},
		{"go-call-lost", "f(1)\nx := g()", []string{"-f(1)"}},
		{"go-comparison", "if a < b && c != d {\n}", []string{"if a <= b && c != d {", "if a < b && c == d {"}},
		{"go-defer-lost", "defer f()", []string{"-defer f()"}},
		{"go-error-lost", "return x, err\nreturn fmt.Errorf(`x`)\nreturn f()\nreturn x", []string{"return x, nil", "return nil"}},
		{"go-flag-lost", "x := A | B", []string{"x := A"}},
		{"go-increment-lost", "x++\ny += 2", []string{"_ = x", "_ = 2"}},
		{"go-negated", "if a {\n} else if b {\n}", []string{"if !(a) {", "} else if !(b) {"}},
		{"go-number", "x = a[4]", []string{"x = a[(4 + 1)]"}},
		{"go-operand-lost", "x = a && b(c || d)", []string{"x = a", "x = b(c || d)", "x = a && b(c)", "x = a && b(d)"}},
		{"go-return-changed", "return 1, true", []string{"return 1, false"}},
		{"go-slice-bound", "x = a[b:c]\ny = a[:]", []string{"x = a[b+1:c]", "x = a[b:c-1]"}},
	} {
		all, err := mutateGo("x.go", "package p\n\nfunc (t *T) f() {\n"+test.body+"\n}\n")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range all {
			if m.pattern != test.pattern {
				continue
			}
			if m.function != "T.f" {
				t.Errorf("the function is %q", m.function)
			}
			change := "-" + m.lines[0][2:]
			if last := m.lines[len(m.lines)-1]; strings.HasPrefix(last, "+ ") {
				change = last[2:]
			}
			got = append(got, change)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s of %q makes %q, and not %q", test.pattern, test.body, got, test.want)
		}
	}
}
