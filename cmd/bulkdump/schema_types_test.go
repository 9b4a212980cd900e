// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A typeCheck compares schemas with what encoding/json makes of types.
type typeCheck struct {
	t       *testing.T
	visited map[string]bool // the schemas that were seen, by their places
}

// follow is resolved, and notes what it sees.
func (c typeCheck) follow(s *jsonschema.Schema) *jsonschema.Schema {
	for c.visited[s.Location] = true; s.Ref != nil; c.visited[s.Location] = true {
		s = s.Ref
	}
	return s
}

func (c typeCheck) check(at string, s *jsonschema.Schema, of reflect.Type) {
	c.t.Helper()
	s = c.follow(s)
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
		if len(s.AnyOf) == 2 && s.AnyOf[1].Types.String() == "[null]" {
			s = c.follow(s.AnyOf[0])
		}
	}
	kind := kindOf(of)
	alternatives := []*jsonschema.Schema{s}
	if s.OneOf != nil {
		alternatives = s.OneOf
	}
	for i, s := range alternatives {
		s = c.follow(s)
		alternatives[i] = s
		if s.Types == nil || s.Types.String() != "["+kind+"]" {
			c.t.Errorf("%s is %v, want [%s]%s", at, s.Types, kind, howToAdd)
			return
		}
	}
	switch kind {
	case "object":
		c.checkProperties(at, alternatives, of)
	case "array":
		c.check(at+"[]", s.Items2020, of.Elem())
	case "integer":
		bits := of.Bits()
		if k := of.Kind(); (k == reflect.Uint32 || k == reflect.Uint64) && (s.Maximum == nil || s.Maximum.Num().BitLen() != bits) {
			c.t.Errorf("%s has the maximum %v, want that of %d bits%s", at, s.Maximum, bits, howToAdd)
		}
	}
}

// checkProperties checks that the alternatives have, together, the properties
// that the type has, and that each says which of its own are there always.
func (c typeCheck) checkProperties(at string, alternatives []*jsonschema.Schema, of reflect.Type) {
	c.t.Helper()
	described := map[string]bool{}
	for _, s := range alternatives {
		if s.AdditionalProperties != false {
			c.t.Errorf("%s: %s allows additional properties", at, s.Location)
		}
		for name := range s.Properties {
			described[name] = true
		}
	}
	for f := range of.Fields() {
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := at + "." + name
		if name == "" {
			c.t.Errorf("%s.%s has no name in JSON", at, f.Name)
			continue
		}
		if !described[name] {
			c.t.Errorf("%s is not described%s", at, howToAdd)
		}
		delete(described, name)
		optional := 0
		for _, s := range alternatives {
			if !slices.Contains(s.Required, name) {
				optional++
			}
			if p := s.Properties[name]; p != nil {
				c.check(at, p, f.Type)
			}
		}
		if (optional > 0) != (options != "") {
			c.t.Errorf("%s: optional in %d of %d schemas, and in Go %q%s", at, optional, len(alternatives), options, howToAdd)
		}
	}
	for name := range described {
		c.t.Errorf("%s.%s is described, but %v has no such field%s", at, name, of, howToAdd)
	}
}

var marshalers = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}

// kindOf returns the JSON type of a Go type. Types that marshal themselves
// become strings.
func kindOf(of reflect.Type) string {
	if slices.ContainsFunc(marshalers, of.Implements) {
		return "string"
	}
	switch of.Kind() {
	case reflect.Struct:
		return "object"
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			return "string"
		}
		return "array"
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Uint32, reflect.Uint64:
		return "integer"
	}
	return fmt.Sprint("not known for ", of)
}
