// SPDX-License-Identifier: BSD-3-Clause

package testresult

import (
	"encoding/xml"
	"fmt"
	"strings"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string  `xml:"classname,attr"`
	Name    string  `xml:"name,attr"`
	Time    string  `xml:"time,attr"`
	Failure *string `xml:"failure,omitempty"`
	Skipped *string `xml:"skipped,omitempty"`
	Output  *string `xml:"system-out,omitempty"`
}

// JUnit is a suite of tests. Subtests of subtests are left out: the format has none.
func JUnit(suite string, tests []Test) (string, error) { return document(newJUnitSuite(suite, tests)) }

// JUnitSuites is a suite for each test, with its subtests.
func JUnitSuites(tests []Test) (string, error) {
	var js junitSuites
	for _, t := range tests {
		js.Suites = append(js.Suites, newJUnitSuite(t.Name, t.Tests))
	}
	return document(js)
}

func document(v any) (string, error) {
	text, err := xml.MarshalIndent(v, "", "  ")
	return xml.Header + string(text) + "\n", err
}

func newJUnitSuite(name string, tests []Test) junitSuite {
	js := junitSuite{Name: name, Tests: len(tests)}
	for _, t := range tests {
		c := junitCase{Class: name, Name: t.Name, Time: fmt.Sprintf("%.3f", t.Seconds)}
		text := strings.ToValidUTF8(t.Output, "?")
		switch {
		case t.Result == Skip:
			js.Skipped++
			if text == "" {
				text = strings.ToValidUTF8(t.Reason, "?")
			}
			c.Skipped = &text
		case t.Result != Pass:
			js.Failures++
			c.Failure = &text
		case text != "":
			c.Output = &text
		}
		js.Cases = append(js.Cases, c)
	}
	return js
}
