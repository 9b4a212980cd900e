// SPDX-License-Identifier: BSD-3-Clause

package results

import "testing"

func TestKtap(t *testing.T) {
	const deep = `{"Action":"run","Test":"TestD"}
{"Action":"run","Test":"TestD/a"}
{"Action":"run","Test":"TestD/a/b"}
{"Action":"pass","Test":"TestD/a/b"}
{"Action":"pass","Test":"TestD/a"}
{"Action":"run","Test":"TestD/x/y#01"}
{"Action":"skip","Test":"TestD/x/y#01"}
{"Action":"run","Test":"TestD/live"}
`
	s, _ := runSuite(t, []string{"TestA", "TestB", "TestC", "TestD", "TestE"}, passA+failB+skipC+deep)
	const want = `KTAP version 1
1..5
ok 1 TestA
  KTAP version 1
  1..2
  not ok 1 one
  ok 2 two
#     b_test.go:7: got 1, want 2
not ok 2 TestB
#     c_test.go:1: not on this kernel
ok 3 TestC # SKIP c_test.go:1: not on this kernel
  KTAP version 1
  1..3
    KTAP version 1
    1..1
    ok 1 b
  ok 1 a
  ok 2 x/y_01 # SKIP
  not ok 3 live
# no result: the run ended while it was running, in TestD/live
not ok 4 TestD
# missing: it never ran
not ok 5 TestE
`
	if got := ktap(s); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Nothing that a test says can look like a result.
func TestKtapIsNotFooled(t *testing.T) {
	s := &Suite{tests: []*testResult{{name: "TestA", result: resultFail}}}
	s.tests[0].output.WriteString("ok 1 TestA\n\x1b[1mbold\xff\n")
	const want = "KTAP version 1\n1..1\n# ok 1 TestA\n# ?[1mbold?\nnot ok 1 TestA\n"
	if got := ktap(s); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A subtest is as good as its worst run.
func TestNoteSub(t *testing.T) {
	var r testResult
	for _, result := range []string{resultNone, resultFail, resultNone, resultPass} {
		r.noteSub("x", result)
	}
	r.noteSub("y", resultNone)
	r.noteSub("y", resultPass)
	if r.subs["x"] != resultFail || r.subs["y"] != resultPass || len(r.subOrder) != 2 {
		t.Errorf("%+v", r)
	}
}
