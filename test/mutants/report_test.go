// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"strings"
	"testing"
)

const reasonsText = `# A comment.
x.c: f
- if (a < 1)
+ if (a <= 1)
Equivalent: a is
never 1.

x.c: f
- a++;
+ ;
Survives: nobody looks.
`

func TestReasons(t *testing.T) {
	all := identify(mutateC("x.c", someC))
	stanzas, err := parseStanzas(reasonsText)
	if err != nil {
		t.Fatal(err)
	}
	reasons, errs := findReasons(stanzas, all)
	if len(errs) > 0 || len(reasons) != 2 {
		t.Fatalf("%v, %v", reasons, errs)
	}
	for id, r := range reasons {
		switch {
		case strings.HasPrefix(id, "boundary-") && r == reason{true, "a is never 1."}:
		case strings.HasPrefix(id, "increment-lost-") && r == reason{false, "nobody looks."}:
		default:
			t.Errorf("%s: %v", id, r)
		}
	}
}

// A reason for a change that nothing makes any more is an error, and so is a
// reason that is none.
func TestReasonsThatAreGone(t *testing.T) {
	all := identify(mutateC("x.c", strings.ReplaceAll(someC, "a < 1", "a < 2")))
	stanzas, err := parseStanzas(reasonsText)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := findReasons(stanzas, all); len(errs) != 1 || !strings.Contains(errs[0].Error(), "if (a <= 1)") {
		t.Errorf("%v", errs)
	}
	stanzas, err = parseStanzas("x.c: f\n- a++;\n+ ;\nso what\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := findReasons(stanzas, all); len(errs) != 1 {
		t.Errorf("%v", errs)
	}
	for _, text := range []string{"x.c: f\n", "x.c: f\n- a\n", "x.c: f\nEquivalent: a\n"} {
		if _, err := parseStanzas(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestReport(t *testing.T) {
	all := identify(mutateC("x.c", someC))
	stanzas, err := parseStanzas(reasonsText)
	if err != nil {
		t.Fatal(err)
	}
	reasons, _ := findReasons(stanzas, all)
	byReason := func(equivalent bool) *mutant {
		for _, m := range all {
			if r, ok := reasons[m.id]; ok && r.equivalent == equivalent {
				return m
			}
		}
		t.Fatal("no such mutant")
		return nil
	}
	same, known, plain := byReason(true), byReason(false), all[len(all)-1]
	if _, ok := reasons[plain.id]; ok {
		t.Fatal("the last one has a reason")
	}
	type outcome struct {
		m     *mutant
		state string
	}
	for _, test := range []struct {
		name string
		of   []outcome
		good bool
		last string
	}{
		{"all killed", []outcome{{plain, killed}}, true,
			"1 mutants, 1 killed, 0 survived (0 without a reason), 0 equivalent, 100.0 % killed of those not equivalent"},
		{"an equivalent counts for nothing", []outcome{{plain, killed}, {same, survived}}, true,
			"2 mutants, 1 killed, 0 survived (0 without a reason), 1 equivalent, 100.0 % killed of those not equivalent"},
		{"an equivalent is killed", []outcome{{same, killed}}, false, ""},
		{"a survivor has a reason", []outcome{{plain, killed}, {known, survived}}, true, ""},
		{"a survivor with a reason is killed", []outcome{{known, killed}}, false, ""},
		{"a survivor has none", []outcome{{plain, killed}, {plain, killed}, {plain, survived}}, false, ""},
		{"one that does not compile counts for nothing", []outcome{{plain, dropped}}, true,
			"0 mutants, 0 killed, 0 survived (0 without a reason), 0 equivalent, 100.0 % killed of those not equivalent"},
	} {
		var b bytes.Buffer
		p := &report{w: &b, reasons: reasons}
		for _, o := range test.of {
			p.add(o.m, result{State: o.state, Stage: "near"})
		}
		if good := p.end(50); good != test.good {
			t.Errorf("%s: good is %v\n%s", test.name, good, &b)
		}
		if !strings.HasSuffix(b.String(), test.last+"\n") && test.last != "" {
			t.Errorf("%s:\n%s", test.name, &b)
		}
	}
	p := &report{w: &bytes.Buffer{}, reasons: reasons, killed: 9, survived: 1}
	if p.end(92) || !p.end(90) {
		t.Error("90 % of 92 %")
	}
}
