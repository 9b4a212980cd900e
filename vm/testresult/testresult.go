// SPDX-License-Identifier: BSD-3-Clause

// Package testresult writes the results of tests as CI systems read them: as KTAP,
// the kernel's own format, and as JUnit.
package testresult

// A Result is how a test ended. The zero Result is a failure: it has none.
type Result string

// The results.
const (
	Pass Result = "PASS"
	Fail Result = "FAIL"
	Skip Result = "SKIP"
)

// A Test is a test, with its subtests.
type Test struct {
	Name    string
	Result  Result
	Reason  string // why it was skipped
	Output  string // what it has to say
	Seconds float64
	Tests   []Test // subtests, in the order in which they ran
}
