// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"bytes"
	"strings"
	"testing"
)

// runSuite feeds events as test2json prints them: "action test [output]".
func runSuite(t *testing.T, expected []string, events string) (*Suite, string) {
	t.Helper()
	var out bytes.Buffer
	s := &Suite{pkg: "bulkdump/test", out: &out}
	for _, name := range expected {
		s.tests = append(s.tests, &testResult{name: name})
	}
	if err := s.parse(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	s.closeTests()
	return s, out.String()
}

const passA = `{"Action":"start","Package":"bulkdump/test"}
{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Test":"TestA","Output":"    a_test.go:1: hello\n"}
{"Action":"output","Test":"TestA","Output":"--- PASS: TestA (0.25s)\n"}
{"Action":"pass","Test":"TestA","Elapsed":0.25}
`

const failB = `{"Action":"run","Test":"TestB"}
{"Action":"run","Test":"TestB/one"}
{"Action":"output","Test":"TestB/one","Output":"    b_test.go:7: got 1, want 2\n"}
{"Action":"fail","Test":"TestB/one","Elapsed":0.01}
{"Action":"run","Test":"TestB/two"}
{"Action":"pass","Test":"TestB/two","Elapsed":0}
{"Action":"fail","Test":"TestB","Elapsed":0.5}
`

const skipC = `{"Action":"run","Test":"TestC"}
{"Action":"output","Test":"TestC","Output":"    c_test.go:1: not on this kernel\n"}
{"Action":"skip","Test":"TestC","Elapsed":0}
`

const end = `{"Action":"output","Output":"PASS\n"}
{"Action":"pass","Elapsed":1}
`

func TestSuite(t *testing.T) {
	for _, tt := range []struct {
		name             string
		expected         []string
		events           string
		summary, verdict string
		shows            []string
	}{
		{"all pass", []string{"TestA"}, passA + end, "1 passed, 0 failed", "", []string{"PASS TestA 0.25s\n"}},
		{"one fails", []string{"TestA", "TestB"}, passA + failB + end, "1 passed, 1 failed", "1 of 2 tests failed: TestB",
			[]string{"FAIL TestB 0.50s\n", "        b_test.go:7: got 1, want 2\n"}},
		{"one is skipped", []string{"TestA", "TestC"}, passA + skipC + end, "1 passed, 0 failed, 1 skipped", "",
			[]string{"SKIP TestC 0.00s\n", "not on this kernel"}},
		{"all are skipped", []string{"TestC"}, skipC + end, "0 passed, 0 failed, 1 skipped", "no test passed", nil},
		{"one is missing", []string{"TestA", "TestB"}, passA + end, "1 passed, 1 failed", "1 of 2 tests failed: TestB",
			[]string{"FAIL TestB 0.00s\n    missing: it never ran\n"}},
		{"nothing came", []string{"TestA"}, "", "0 passed, 1 failed", "1 of 1 tests failed: TestA", nil},
		{"crash in a test", []string{"TestA"}, strings.SplitAfter(passA, "\n")[1], "0 passed, 1 failed", "1 of 1 tests failed: TestA",
			[]string{"no result: the run ended while it was running\n"}},
		{"crash in a subtest", []string{"TestB"}, strings.Join(strings.SplitAfter(failB, "\n")[:2], ""), "0 passed, 1 failed",
			"1 of 1 tests failed: TestB", []string{"while it was running, in TestB/one\n"}},
		{"crash in the second run", []string{"TestA"}, passA + strings.SplitAfter(passA, "\n")[1], "0 passed, 1 failed",
			"1 of 1 tests failed: TestA", []string{"PASS TestA 0.25s\n", "FAIL TestA 0.00s\n"}},
		{"twice", []string{"TestA"}, passA + passA + end, "1 passed, 0 failed", "", []string{"PASS TestA 0.25s\nPASS TestA 0.25s\n"}},
		{"not expected, yet failed", []string{"TestA"}, passA + failB, "1 passed, 1 failed", "1 of 2 tests failed: TestB", nil},
		{"what no test said", []string{"TestA"}, `{"Action":"output","Output":"panic: oh no\n"}` + passA, "1 passed, 0 failed", "",
			[]string{"panic: oh no\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, out := runSuite(t, tt.expected, tt.events)
			if got := s.Summary(); got != tt.summary {
				t.Errorf("summary %q, want %q", got, tt.summary)
			}
			if got := s.verdict(); got != tt.verdict {
				t.Errorf("verdict %q, want %q", got, tt.verdict)
			}
			for _, want := range tt.shows {
				if !strings.Contains(out, want) {
					t.Errorf("it prints %q, without %q", out, want)
				}
			}
			if strings.Contains(out, "=== RUN") || strings.Contains(out, "hello") || strings.Contains(out, "PASS\n") {
				t.Errorf("it prints noise: %q", out)
			}
			if tt.events != "" && s.json.String() != tt.events {
				t.Errorf("test.json differs: %q", s.json.String())
			}
		})
	}
}

// A test that fails in one of its runs has failed, whatever came after.
func TestSuiteCountsTheWorstRun(t *testing.T) {
	fail := strings.ReplaceAll(passA, `"pass"`, `"fail"`)
	s, out := runSuite(t, []string{"TestA"}, fail+fail+passA)
	if got := s.verdict(); got != "1 of 1 tests failed: TestA" {
		t.Errorf("verdict %q", got)
	}
	if got := s.tests[0].seconds; got != 0.75 {
		t.Errorf("%v seconds, want those of all runs", got)
	}
	if n := strings.Count(out, "hello"); n != 2 {
		t.Errorf("the output of two failed runs of three is shown %d times", n)
	}
}

func TestSuiteRefusesNoise(t *testing.T) {
	s := &Suite{out: new(bytes.Buffer)}
	if err := s.parse(strings.NewReader(passA + "segmentation fault\n")); err == nil {
		t.Error("taken for events")
	}
}

// NewSuite and the real converter, with what a test binary prints.
func TestSuiteConverts(t *testing.T) {
	var out bytes.Buffer
	s, err := NewSuite("bulkdump/test", []string{"TestA", "TestB"}, ".")
	if err != nil {
		t.Fatal(err)
	}
	w := s.Through(&out)
	w.Write([]byte("\x16=== RUN   TestA\n\x16--- PASS: TestA (0.02s)\n\x16=== RUN   TestB\nBUG\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.verdict(); got != "1 of 2 tests failed: TestB" {
		t.Errorf("verdict %q, output %q", got, out.String())
	}
}

func TestFailedRegex(t *testing.T) {
	passes := &testResult{name: "TestOK", result: resultPass}
	never := &testResult{name: "TestNever", result: resultFail, missing: true}
	x, y := &testResult{name: "TestX", result: resultFail}, &testResult{name: "TestY", result: resultFail}
	for _, tt := range []struct {
		tests       []*testResult
		asked, want string
	}{
		{[]*testResult{passes, never, x}, "", "^(TestX)$"},
		{[]*testResult{passes, never, x, y}, "Test", "^(TestX|TestY)$"},
		{[]*testResult{passes, never}, "", ""},
		{[]*testResult{passes, x}, "TestX/sub", "TestX/sub"},
		{[]*testResult{x, y}, "Test[XY]", "Test[XY]"},
	} {
		if got := (&Suite{tests: tt.tests}).FailedRegex(tt.asked); got != tt.want {
			t.Errorf("asked for %q: got %q, want %q", tt.asked, got, tt.want)
		}
	}
	if got := (*Suite)(nil).FailedRegex("Some"); got != "Some" {
		t.Errorf("without a suite: %q", got)
	}
}
