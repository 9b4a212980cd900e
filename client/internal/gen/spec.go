// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// family is the part of a YNL spec (Documentation/netlink/genetlink.yaml in the
// kernel's source) that has numbers in it. It has the keys that change how numbers
// are assigned only to refuse them.
type family struct {
	Name        string       `yaml:"name"`
	Protocol    string       `yaml:"protocol"`
	Definitions []definition `yaml:"definitions"`
	Sets        []set        `yaml:"attribute-sets"`
	Operations  struct {
		EnumModel string `yaml:"enum-model"`
		List      []op   `yaml:"list"`
	} `yaml:"operations"`
}

// A definition is a constant, or of the type enum or flags: names for the
// numbers 0, 1, 2 and so on, or for the bits.
type definition struct {
	Type       string  `yaml:"type"`
	Name       string  `yaml:"name"`
	Value      uint64  `yaml:"value"`
	ValueStart *uint64 `yaml:"value-start"`
	Doc        string  `yaml:"doc"`
	Entries    []entry `yaml:"entries"`
}

type entry struct {
	Name  string  `yaml:"name"`
	Value *uint64 `yaml:"value"`
	Doc   string  `yaml:"doc"`
}

// UnmarshalYAML also accepts a bare name.
func (e *entry) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&e.Name)
	}
	type plain entry
	return n.Decode((*plain)(e))
}

// number is the value of the i-th entry.
func (d *definition) number(i int) uint64 {
	if d.Type == "flags" {
		return 1 << i
	}
	return uint64(i)
}

type set struct {
	Name       string `yaml:"name"`
	SubsetOf   string `yaml:"subset-of"`
	Attributes []attr `yaml:"attributes"`
}

type attr struct {
	Name   string `yaml:"name"`
	Type   string `yaml:"type"`
	Value  *int   `yaml:"value"`
	Nested string `yaml:"nested-attributes"`
	number int
}

type op struct {
	Name   string `yaml:"name"`
	Value  *int   `yaml:"value"`
	number int
}

// parse reads a spec and numbers its attributes and operations. Both count from 1
// in the order of the list, and a given value restarts the count there
// (tools/net/ynl/pyynl/lib/nlspec.py: SpecAttrSet and _dictify_ops_unified).
func parse(in []byte) (*family, error) {
	f := new(family)
	if err := yaml.Unmarshal(in, f); err != nil {
		return nil, err
	}
	if f.Protocol != "genetlink" {
		return nil, fmt.Errorf("protocol %q is not supported, only genetlink", f.Protocol)
	}
	if m := f.Operations.EnumModel; m != "" && m != "unified" {
		return nil, fmt.Errorf("operations: enum-model %q is not supported", m)
	}
	for _, s := range f.Sets {
		if s.SubsetOf != "" {
			return nil, fmt.Errorf("attribute set %s: subset-of is not supported", s.Name)
		}
		next := 1
		for i := range s.Attributes {
			next = assign(&s.Attributes[i].number, s.Attributes[i].Value, next)
		}
	}
	next := 1
	for i := range f.Operations.List {
		o := &f.Operations.List[i]
		next = assign(&o.number, o.Value, next)
	}
	for _, d := range f.Definitions {
		if d.Type != "const" && d.Type != "enum" && d.Type != "flags" {
			return nil, fmt.Errorf("definition %s: type %q is not supported", d.Name, d.Type)
		}
		if d.ValueStart != nil || slices.ContainsFunc(d.Entries, func(e entry) bool { return e.Value != nil }) {
			return nil, fmt.Errorf("definition %s: entries with a value are not supported", d.Name)
		}
	}
	return f, nil
}

func assign(number, given *int, next int) int {
	if given != nil {
		next = *given
	}
	*number = next
	return next + 1
}
