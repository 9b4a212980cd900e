// SPDX-License-Identifier: BSD-3-Clause

package testresult

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
)

func TestKTAP(t *testing.T) {
	tests := []Test{
		{Name: "passes", Result: Pass, Output: "a note\n"},
		{Name: "parent", Result: Fail, Output: "why\n", Tests: []Test{
			{Name: "inner", Result: Fail, Output: "inner why"},
			{Name: "deep", Result: Pass, Tests: []Test{{Name: "x", Result: Skip, Reason: "not here"}}},
			{Name: "none"},
		}},
		{Name: "skipped#1", Result: Skip},
	}
	const want = `KTAP version 1
1..3
# a note
ok 1 passes
  KTAP version 1
  1..3
  # inner why
  not ok 1 inner
    KTAP version 1
    1..1
    ok 1 x # SKIP not here
  ok 2 deep
  not ok 3 none
# why
not ok 2 parent
ok 3 skipped_1 # SKIP
`
	if got := KTAP(tests); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	parts := KTAPHead(len(tests))
	for i, test := range tests {
		parts += KTAPTest(i+1, test)
	}
	if parts != want {
		t.Errorf("in parts:\n%s\nwant:\n%s", parts, want)
	}
}

// Nothing that a test says can look like a result.
func TestKTAPIsNotFooled(t *testing.T) {
	got := KTAP([]Test{{Name: "a\nok 7 b", Output: "ok 1 TestA\n\x1b[1mbold\xff\n"}, {Name: "c", Result: Skip, Reason: "x\nnot ok 9"}})
	const want = "KTAP version 1\n1..2\n# ok 1 TestA\n# ?[1mbold?\nnot ok 1 a?ok 7 b\nok 2 c # SKIP x?not ok 9\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJUnit(t *testing.T) {
	text, err := JUnit("suite", []Test{
		{Name: "TestA", Result: Pass, Seconds: 0.25},
		{Name: "TestB", Result: Fail, Output: "\x1b[1m<&\"]]>"},
		{Name: "TestC", Result: Skip, Reason: "not here"},
		{Name: "TestD", Result: Pass, Output: "a note"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var js junitSuite
	if err := xml.Unmarshal([]byte(text), &js); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if js.Name != "suite" || js.Tests != 4 || js.Failures != 1 || js.Skipped != 1 || len(js.Cases) != 4 {
		t.Fatalf("got %+v", js)
	}
	a, b, c, d := js.Cases[0], js.Cases[1], js.Cases[2], js.Cases[3]
	if a.Name != "TestA" || a.Class != "suite" || a.Time != "0.250" || a.Failure != nil || a.Skipped != nil || a.Output != nil {
		t.Errorf("a pass is %+v", a)
	}
	if b.Failure == nil || !strings.Contains(*b.Failure, `<&"]]>`) {
		t.Errorf("a failure is %+v", b)
	}
	if c.Failure != nil || c.Skipped == nil || *c.Skipped != "not here" {
		t.Errorf("a skip is %+v", c)
	}
	if d.Failure != nil || d.Output == nil || *d.Output != "a note" {
		t.Errorf("a pass with something to say is %+v", d)
	}

	text, err = JUnitSuites([]Test{{Name: "one", Tests: []Test{{Name: "x", Result: Pass}}}, {Name: "two"}})
	var all junitSuites
	if err := errors.Join(err, xml.Unmarshal([]byte(text), &all)); err != nil || len(all.Suites) != 2 || all.Suites[0].Cases[0].Class != "one" {
		t.Errorf("%v: %s", err, text)
	}
}
