// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"encoding/json"
	"math"
)

// summary is a run for machines: what --out leaves as summary.json, and what
// a column of the matrix is made of.
type Summary struct {
	Kernel  string        `json:"kernel"` // its release
	Accel   string        `json:"accel"`
	Boot    float64       `json:"boot"` // seconds; 0: no boot
	Log     string        `json:"log"`  // "clean", or the first bad line, or "incomplete"
	Code    int           `json:"code"`
	Verdict string        `json:"verdict"`
	Passed  int           `json:"passed"`
	Failed  int           `json:"failed"`
	Skipped int           `json:"skipped"`
	Tests   []SummaryTest `json:"tests,omitempty"`
}

type SummaryTest struct {
	Name    string  `json:"name"`
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
}

func (o *Outcome) summary() Summary {
	s := Summary{Kernel: o.Kernel, Accel: o.Accel, Log: "incomplete"}
	s.Code, s.Verdict = o.Verdict()
	if o.Running {
		s.Boot = math.Round(o.Boot.Seconds()*10) / 10
	}
	if findings := o.findings(); len(findings) > 0 {
		s.Log = headline(findings)
	} else if o.Done {
		s.Log = "clean"
	}
	if o.Suite == nil {
		return s
	}
	s.Passed, s.Failed, s.Skipped = o.Suite.count()
	for _, t := range o.Suite.tests {
		result := t.result
		if t.missing || result == resultNone {
			result = resultMissing
		}
		s.Tests = append(s.Tests, SummaryTest{t.name, result, t.seconds})
	}
	return s
}

func (s Summary) JSON() string {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err.Error() // cannot be: it has no values that JSON lacks
	}
	return string(text) + "\n"
}
