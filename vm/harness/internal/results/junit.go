// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"encoding/xml"
	"fmt"
	"strings"
)

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
}

// junit is the suite in the form that CI systems read.
func junit(s *suite) (string, error) {
	passed, failed, skipped := s.count()
	js := junitSuite{Name: s.pkg, Tests: passed + failed + skipped, Failures: failed, Skipped: skipped}
	for _, t := range s.tests {
		c := junitCase{Class: s.pkg, Name: t.name, Time: fmt.Sprintf("%.3f", t.seconds)}
		text := strings.ToValidUTF8(t.output.String(), "?")
		switch t.result {
		case resultFail:
			c.Failure = &text
		case resultSkip:
			c.Skipped = &text
		}
		js.Cases = append(js.Cases, c)
	}
	text, err := xml.MarshalIndent(js, "", "  ")
	return xml.Header + string(text) + "\n", err
}
