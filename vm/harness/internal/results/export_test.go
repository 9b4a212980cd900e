// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"strings"
	"testing"

	"bulkdump/vm/testresult"
)

func TestExport(t *testing.T) {
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
	if got := testresult.KTAP(s.export()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestExportToJUnit(t *testing.T) {
	s, _ := runSuite(t, []string{"TestA", "TestB", "TestC", "TestD"}, passA+failB+skipC)
	text, err := testresult.JUnit(s.pkg, s.export())
	for _, want := range []string{
		`<testsuite name="bulkdump/test" tests="4" failures="2" skipped="1">`,
		`<testcase classname="bulkdump/test" name="TestA" time="0.250"></testcase>`,
		"got 1, want 2", "not on this kernel", "missing: it never ran",
	} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: no %q in:\n%s", err, want, text)
		}
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
