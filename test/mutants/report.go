// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"strings"
)

// A reason says why no test kills a mutant, or why none can.
type reason struct {
	equivalent bool
	text       string
}

// findReasons finds the mutants of reasons.txt. Each text says which it is:
// "Equivalent: …" or "Survives: …".
func findReasons(stanzas []stanza, all []*mutant) (map[string]reason, []error) {
	reasons := map[string]reason{}
	var errs []error
	for _, s := range stanzas {
		what, text, _ := strings.Cut(s.text, ": ")
		if what != "Equivalent" && what != "Survives" {
			errs = append(errs, fmt.Errorf("line %d: neither Equivalent: nor Survives: begins the reason", s.line))
			continue
		}
		found, err := s.find(all)
		if err != nil {
			errs = append(errs, err)
		}
		for _, m := range found {
			reasons[m.id] = reason{what == "Equivalent", text}
		}
	}
	return reasons, errs
}

// A report counts, and prints each mutant.
type report struct {
	w                                     io.Writer
	reasons                               map[string]reason
	killed, survived, equivalent, unbuilt int
	unexplained                           int // survivors without a reason
	wrong                                 int // reasons that are not true
	done, of                              int
}

func (p *report) add(m *mutant, res result) {
	p.done++
	reason, has := p.reasons[m.id]
	state, more := res.State, res.By
	switch {
	case res.State == dropped:
		p.unbuilt++
		more = "does not compile: " + res.By
	case res.State == same:
		p.equivalent++
		state, more = "equivalent", "the compiler makes the same code of it"
	case res.State == killed:
		p.killed++
		if has {
			p.wrong++
			more += " (reasons.txt says that this cannot be: take it out there)"
		}
	case has && reason.equivalent:
		p.equivalent++
		state, more = "equivalent", reason.text
	case has:
		p.survived++
		more = reason.text
	default:
		p.survived++
		p.unexplained++
		if more = "no test notices it"; res.Stage == "" {
			more = "no test reaches it"
		}
	}
	fmt.Fprintf(p.w, "%3d/%d %-10s %s  %s:%d %s  %s  (%.0f s)\n", p.done, p.of, state, m.id, m.file, m.line(), m.function, more, res.Seconds)
	if res.State == survived {
		fmt.Fprintf(p.w, "    %s\n", strings.Join(m.lines, "\n    "))
	}
}

func (p *report) percent() float64 {
	if p.killed+p.survived == 0 {
		return 100
	}
	return 100 * float64(p.killed) / float64(p.killed+p.survived)
}

// end prints the last lines, and reports whether the tests are good enough.
func (p *report) end(threshold float64) bool {
	if p.unbuilt > 0 {
		fmt.Fprintf(p.w, "%d more do not compile\n", p.unbuilt)
	}
	if p.wrong > 0 {
		fmt.Fprintf(p.w, "%d reasons of reasons.txt are wrong\n", p.wrong)
	}
	fmt.Fprintf(p.w, "%d mutants, %d killed, %d survived (%d without a reason), %d equivalent, %.1f %% killed of those not equivalent\n",
		p.killed+p.survived+p.equivalent, p.killed, p.survived, p.unexplained, p.equivalent, p.percent())
	return p.percent() >= threshold && p.unexplained == 0 && p.wrong == 0
}
