// SPDX-License-Identifier: BSD-3-Clause

package main

import "testing"

func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		args  []string
		regex string
		want  string
	}{
		{[]string{"--cpus", "1", "--", "sh", "-c", "it's $A"}, "", `/p/vm/run --cpus 1 -- sh -c 'it'\''s $A'`},
		{[]string{"false"}, "", "/p/vm/run -- false"},
		{[]string{"--out", "a b", "--test"}, "^(TestX)$", "/p/vm/run --out 'a b' --test '^(TestX)$'"},
		{[]string{"--test", "Test"}, "^(TestX|TestY)$", "/p/vm/run --test '^(TestX|TestY)$'"},
		{[]string{"--test", "--cpus", "1", "Test", "--", "-test.count=3"}, "^(TestX)$", "/p/vm/run --test --cpus 1 '^(TestX)$' -- -test.count=3"},
		{[]string{"--test", "--", "-test.v"}, "", "/p/vm/run --test -- -test.v"},
		{[]string{"--test", "TestX/sub"}, "TestX/sub", "/p/vm/run --test TestX/sub"},
		{[]string{"--test", ""}, "^(TestX)$", "/p/vm/run --test '^(TestX)$'"},
		{[]string{"--test", "Some"}, "Some", "/p/vm/run --test Some"},
	} {
		o := parse(t, append([]string{"--top", "/p"}, tt.args...)...)
		if got := o.again(tt.args, tt.regex); got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.args, got, tt.want)
		}
	}
	if got := withoutTop([]string{"--top", "/p", "x"}); len(got) != 1 || got[0] != "x" {
		t.Errorf("got %q", got)
	}
}
