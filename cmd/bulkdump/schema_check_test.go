// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"bulkdump/cmd/bulkdump/internal/output"
)

// howToAdd is what to do after a test of the schema has failed.
const howToAdd = `
schema.json has to describe what a command prints as JSON. For a new command, add a definition with its name,
and what it prints to the table in schema_test.go; for a new field, add a property with what it means and its unit,
and to "required" if it is there always. A property that users may rely on does not go, nor change.`

// schemaID is its $id.
const schemaID = "urn:bulkdump:output"

// compiled is the whole schema.
var compiled = sync.OnceValue(func() *jsonschema.Compiler {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schemaText)))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource(schemaID, doc); err != nil {
		panic(err)
	}
	return c
})

// definition returns the schema of what a command prints with -o json.
func definition(t testing.TB, command string) *jsonschema.Schema {
	t.Helper()
	s, err := compiled().Compile(schemaID + "#/$defs/" + command)
	if err != nil {
		t.Fatalf("%s: %v%s", command, err, howToAdd)
	}
	return s
}

// resolved follows the references.
func resolved(s *jsonschema.Schema) *jsonschema.Schema {
	for s.Ref != nil {
		s = s.Ref
	}
	return s
}

// checkSchema checks the JSON that a command printed. If the command failed, the
// end may be missing.
func checkSchema(t testing.TB, command, format string, got ran) {
	t.Helper()
	if format != output.FormatJSON && format != output.FormatJSONL || got.stdout == "" && got.code != exitOK {
		return
	}
	s := definition(t, command)
	texts := []string{got.stdout}
	switch {
	case format == output.FormatJSONL:
		if items := resolved(s).Items2020; items != nil {
			s = items
		}
		texts = strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
		if got.stdout == "" {
			texts = nil
		}
	case got.code != exitOK && !json.Valid([]byte(got.stdout)):
		texts[0] += "]"
	}
	for _, text := range texts {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = s.Validate(value)
		}
		if err != nil {
			t.Errorf("%s -o %s: %v\nin %.600s%s", command, format, err, text, howToAdd)
		}
	}
}
