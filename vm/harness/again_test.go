// SPDX-License-Identifier: BSD-3-Clause

package main

import "testing"

func TestAgain(t *testing.T) {
	failing := func(names ...string) *suite {
		s := &suite{tests: []*testResult{{name: "TestOK", result: resultPass}, {name: "TestNever", result: resultFail, missing: true}}}
		for _, n := range names {
			s.tests = append(s.tests, &testResult{name: n, result: resultFail})
		}
		return s
	}
	for _, tt := range []struct {
		args []string
		s    *suite
		want string
	}{
		{[]string{"--cpus", "1", "--", "sh", "-c", "it's $A"}, nil, `/p/vm/run --cpus 1 -- sh -c 'it'\''s $A'`},
		{[]string{"false"}, nil, "/p/vm/run -- false"},
		{[]string{"--out", "a b", "--test"}, failing("TestX"), "/p/vm/run --out 'a b' --test '^(TestX)$'"},
		{[]string{"--test", "Test"}, failing("TestX", "TestY"), "/p/vm/run --test '^(TestX|TestY)$'"},
		{[]string{"--test", "--cpus", "1", "Test", "--", "-test.count=3"}, failing("TestX"), "/p/vm/run --test --cpus 1 '^(TestX)$' -- -test.count=3"},
		{[]string{"--test", "--", "-test.v"}, failing(), "/p/vm/run --test -- -test.v"},
		{[]string{"--test", "TestX/sub"}, failing("TestX"), "/p/vm/run --test TestX/sub"},
		{[]string{"--test", ""}, failing("TestX"), "/p/vm/run --test '^(TestX)$'"},
		{[]string{"--test", "Some"}, nil, "/p/vm/run --test Some"},
	} {
		o := parse(t, append([]string{"--top", "/p"}, tt.args...)...)
		if got := o.again(tt.args, tt.s); got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.args, got, tt.want)
		}
	}
	if got := withoutTop([]string{"--top", "/p", "x"}); len(got) != 1 || got[0] != "x" {
		t.Errorf("got %q", got)
	}
}
