// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaOf compiles a definition of the schema, or all of it.
func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(SchemaText))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(Schema, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(Schema + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("%v\nin %s", err, text)
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	write(t, JSON{&b}, aRun())
	validate(t, schemaOf(t, ""), b.Bytes())
	var r struct {
		Verdict string
		Targets []struct {
			Target string
			Checks []struct {
				Check    string
				Findings []struct{ Severity, Bytes string }
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	key := r.Targets[0].Checks[1]
	if r.Verdict != "broken" || r.Targets[0].Target != "foo entries" || key.Check != "key" || key.Findings[0].Severity != "broken" {
		t.Errorf("got %+v", r)
	}
	if got, want := key.Findings[0].Bytes, fmt.Sprintf("%x", record()); got != want {
		t.Errorf("bytes %s, want %s", got, want)
	}
}

// The schema has no property that is never there.
func TestSchemaHasNothingElse(t *testing.T) {
	var b bytes.Buffer
	write(t, JSON{&b}, aRun())
	for _, m := range regexp.MustCompile(`"(\w+)": \{"(?:description|type|\$ref|const)"`).FindAllSubmatch(SchemaText, -1) {
		switch name := string(m[1]); name {
		case "count", "seconds", "run", "line", "items": // no properties
		default:
			if !bytes.Contains(b.Bytes(), []byte(strconv.Quote(name)+":")) {
				t.Errorf("no %s in the JSON", name)
			}
		}
	}
}

func TestJSONL(t *testing.T) {
	var b bytes.Buffer
	r := aRun()
	write(t, JSONL{&b}, r)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if want := len(r.Targets) * len(checks); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	s := schemaOf(t, "#/$defs/line")
	for _, line := range lines {
		validate(t, s, []byte(line))
	}
}

// A parsed is a test that a reader of KTAP found.
type parsed struct {
	name, result, directive string
	log                     []string
	tests                   []parsed
}

var ktapLine = regexp.MustCompile(`^(ok|not ok) (\d+) ([^#]*?)(?: # (\w+) ?(.*))?$`)

// parseKTAP reads KTAP strictly: each level has its version line, its plan, its
// indent, numbers without a gap, and nothing else but diagnostic lines.
func parseKTAP(lines []string, indent string) (tests []parsed, rest []string, err error) {
	next := func() string {
		if len(lines) == 0 {
			return ""
		}
		line := lines[0]
		lines = lines[1:]
		return strings.TrimPrefix(line, indent)
	}
	if line := next(); line != "KTAP version 1" {
		return nil, nil, fmt.Errorf("no version line: %q", line)
	}
	plan, err := strconv.Atoi(strings.TrimPrefix(next(), "1.."))
	if err != nil {
		return nil, nil, err
	}
	var test parsed
	for len(lines) > 0 && strings.HasPrefix(lines[0], indent) {
		if strings.HasPrefix(lines[0], indent+"  KTAP") {
			if test.tests, lines, err = parseKTAP(lines, indent+"  "); err != nil {
				return nil, nil, err
			}
			continue
		}
		line := next()
		if text, ok := strings.CutPrefix(line, "# "); ok {
			test.log = append(test.log, text)
			continue
		}
		m := ktapLine.FindStringSubmatch(line)
		if m == nil {
			return nil, nil, fmt.Errorf("unknown line %q", line)
		}
		if m[2] != strconv.Itoa(len(tests)+1) {
			return nil, nil, fmt.Errorf("%q is test %d", line, len(tests)+1)
		}
		test.result, test.name, test.directive = m[1], m[3], strings.TrimSpace(m[4]+" "+m[5])
		tests, test = append(tests, test), parsed{}
	}
	if len(tests) != plan {
		err = fmt.Errorf("%d tests, %d are planned", len(tests), plan)
	}
	return tests, lines, err
}

func TestKTAP(t *testing.T) {
	var b bytes.Buffer
	write(t, &KTAP{W: &b}, aRun())
	tests, rest, err := parseKTAP(strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), "")
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %q in:\n%s", err, rest, b.String())
	}
	var got []string
	for _, target := range tests {
		got = append(got, fmt.Sprintf("%s %s %s", target.result, target.name, target.directive))
		for _, c := range target.tests {
			got = append(got, fmt.Sprintf("  %s %s %s %d", c.result, c.name, c.directive, len(c.log)))
		}
	}
	equal(t, strings.Join(got, "\n"), `not ok foo entries 
  ok end  0
  not ok key  10
  not ok multi  1
  ok done  1
  ok change SKIP ignored: records are missing 0
  ok second SKIP no command was given with --second 0
ok foo empty 
  ok end  0
  ok key  0
  ok multi  0
  ok done  0
  ok change  0
  ok second  0
ok foo late SKIP not checked
  ok end  0
  ok key SKIP not checked: ended by SIGINT 0
  ok multi SKIP not checked: ended by SIGINT 0
  ok done SKIP not checked: ended by SIGINT 0
  ok change SKIP not checked: ended by SIGINT 0
  ok second SKIP not checked: ended by SIGINT 0`)
	// For another parser than this one.
	if file := os.Getenv("DUMPCHECK_KTAP"); file != "" {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	write(t, JUnit{&b}, aRun())
	var doc struct {
		Suites []struct {
			Name                     string `xml:"name,attr"`
			Tests, Failures, Skipped int    `xml:",attr"`
			Cases                    []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Suites) != 3 || doc.Suites[0].Name != "foo entries" {
		t.Fatalf("got %+v", doc)
	}
	key := doc.Suites[0].Cases[1]
	if key.Name != "key" || key.Failure == nil || !strings.Contains(*key.Failure, "records come twice") || !strings.Contains(*key.Failure, "FOO_A_ID") {
		t.Errorf("got %+v", key)
	}
	if doc.Suites[2].Cases[1].Failure != nil {
		t.Error("what was not checked has failed")
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		s    Summary
		want Verdict
	}{
		{Summary{Passed: 1}, OK},
		{Summary{Passed: 1, NotApplicable: 3}, OK},
		{Summary{NotApplicable: 3}, NotApplicable},
		{Summary{Ignored: 1}, OK},
		{Summary{Passed: 1, Notes: 1}, Note},
		{Summary{Passed: 1, Notes: 1, NotChecked: 1}, NotChecked},
		{Summary{Notes: 1, NotChecked: 1, Weak: 1}, Weak},
		{Summary{Weak: 1, Broken: 1}, Broken},
	} {
		if got := tt.s.verdict(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.s, got, tt.want)
		}
	}
}
