// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/testresult"
)

// resultFiles are all the files that --out may leave.
var resultFiles = []string{"stdout", "stderr", "console.log", "machine.txt", "kernel.log", "verdict.txt", "test.json", "junit.xml", "results.ktap", "summary.json"}

// Clear makes the directory, and removes the results of an earlier run, so that
// they cannot pass for this run's.
func Clear(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	var errs []error
	for _, name := range resultFiles {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Write writes the results that are known only at the end.
func Write(dir string, o *Outcome) error {
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	_, line := o.Verdict()
	summary, err := json.MarshalIndent(o.summary(), "", "  ")
	errs := []error{
		err,
		write("kernel.log", strings.Join(o.Kmsg, "\n")+"\n"),
		write("verdict.txt", line+"\n"),
		write("summary.json", string(summary)+"\n"),
	}
	if o.Machine != "" {
		errs = append(errs, write("machine.txt", o.Machine))
	}
	if o.Suite != nil {
		errs = append(errs, write("test.json", o.Suite.json.String()))
		tests := o.Suite.export()
		text, err := testresult.JUnit(o.Suite.pkg, tests)
		errs = append(errs, err, write("junit.xml", text), write("results.ktap", testresult.KTAP(tests)))
	}
	return errors.Join(errs...)
}

// summary is summary.json, from which a column of the matrix is made, too.
type summary struct {
	Kernel  string        `json:"kernel"` // its release
	Accel   string        `json:"accel"`
	Boot    float64       `json:"boot"` // seconds; 0: no boot
	Log     string        `json:"log"`  // "clean", or the first bad line, or "incomplete"
	Code    int           `json:"code"`
	Verdict string        `json:"verdict"`
	Passed  int           `json:"passed"`
	Failed  int           `json:"failed"`
	Skipped int           `json:"skipped"`
	Tests   []summaryTest `json:"tests,omitempty"`
}

type summaryTest struct {
	Name    string  `json:"name"`
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
}

func (o *Outcome) summary() summary {
	s := summary{Kernel: o.Kernel, Accel: o.Accel, Log: "incomplete"}
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
		s.Tests = append(s.Tests, summaryTest{t.name, result, t.seconds})
	}
	return s
}
