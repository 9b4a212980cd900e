// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"fmt"
	"math"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"
)

// specFile is where make vm-tools puts kmod/bulkdump.yaml, next to the schema.
const specFile = "/netlink/specs/bulkdump.yaml"

// spec is the part of a YNL spec that defines policies.
type spec struct {
	Definitions []struct {
		Name, Type string
		Value      uint64
		Entries    []any
	}
	Sets []struct {
		Name       string
		Attributes []specAttr
	} `yaml:"attribute-sets"`
	Operations struct{ List []specOp }
}

type specAttr struct {
	Name, Type string
	Nested     string `yaml:"nested-attributes"`
	Enum       string
	AsFlags    bool `yaml:"enum-as-flags"`
	Checks     struct {
		Min, Max any // a number, or the name of one
		MaxLen   any `yaml:"max-len"`
	}
}

type specOp struct {
	Name     string
	Set      string `yaml:"attribute-set"`
	Do, Dump *struct{ Request struct{ Attributes []string } }
	number   uint32
}

func readSpec(t *testing.T) *spec {
	t.Helper()
	text, err := os.ReadFile(specFile)
	if err != nil {
		t.Fatal(err)
	}
	s := new(spec)
	if err := yaml.Unmarshal(text, s); err != nil {
		t.Fatalf("%s: %v", specFile, err)
	}
	for i := range s.Operations.List {
		s.Operations.List[i].number = uint32(i) + 1
	}
	return s
}

// A policy is what the kernel accepts, by attribute number.
type policy map[uint16]attrPolicy

// An attrPolicy is what the kernel accepts in one attribute, with the names of
// its enum netlink_attribute_type. Fields that the kernel does not report are
// 0.
type attrPolicy struct {
	kind      string
	min, max  uint64
	maxLength uint32
	mask      uint64
	nested    policy
}

// requests returns the policies of a spec: "do" and "dump" of each operation,
// by the operation's number.
func (s *spec) requests(t *testing.T) map[uint32]map[string]policy {
	t.Helper()
	all := map[uint32]map[string]policy{}
	for _, o := range s.Operations.List {
		modes := map[string]policy{}
		if o.Do != nil {
			modes["do"] = s.policy(t, o.Set, o.Do.Request.Attributes)
		}
		if o.Dump != nil {
			modes["dump"] = s.policy(t, o.Set, o.Dump.Request.Attributes)
		}
		if len(modes) > 0 {
			all[o.number] = modes
		}
	}
	return all
}

// policy returns the policy for the named attributes of a set, or for all of
// them if there are no names.
func (s *spec) policy(t *testing.T, set string, names []string) policy {
	t.Helper()
	p := policy{}
	for _, candidate := range s.Sets {
		if candidate.Name != set {
			continue
		}
		for _, name := range names {
			for i, a := range candidate.Attributes {
				if a.Name == name {
					p[uint16(i)+1] = s.attribute(t, a)
				}
			}
		}
	}
	if len(p) != len(names) {
		t.Fatalf("the spec's set %s has not all of %q", set, names)
	}
	return p
}

func (s *spec) attribute(t *testing.T, a specAttr) attrPolicy {
	t.Helper()
	p := attrPolicy{kind: a.Type}
	switch a.Type {
	case "u32", "uint":
		p.max = map[string]uint64{"u32": math.MaxUint32, "uint": math.MaxUint64}[a.Type]
		if a.Checks.Min != nil {
			p.min = s.number(t, a.Checks.Min)
		}
		if a.Checks.Max != nil {
			p.max = s.number(t, a.Checks.Max)
		}
		if a.Enum != "" {
			p.max = s.count(t, a.Enum) - 1
		}
		if a.AsFlags {
			p.mask, p.max = 1<<s.count(t, a.Enum)-1, 0
		}
	case "string", "binary":
		if a.Type == "string" {
			p.kind = "nul-string"
		}
		// The module checks the min-len of a string: no policy has it.
		if a.Checks.MaxLen != nil {
			p.maxLength = uint32(s.number(t, a.Checks.MaxLen))
		}
	case "nest":
		p.kind = "nested"
		for _, set := range s.Sets {
			if set.Name == a.Nested {
				var names []string
				for _, inner := range set.Attributes {
					names = append(names, inner.Name)
				}
				p.nested = s.policy(t, set.Name, names)
			}
		}
	case "flag":
	default:
		t.Fatalf("attribute %s: no policy is known for type %q", a.Name, a.Type)
	}
	return p
}

func (s *spec) number(t *testing.T, v any) uint64 {
	t.Helper()
	switch v := v.(type) {
	case int:
		return uint64(v)
	case string:
		for _, d := range s.Definitions {
			if d.Name == v {
				return d.Value
			}
		}
	}
	t.Fatalf("the spec has no number %v", v)
	return 0
}

func (s *spec) count(t *testing.T, enum string) uint64 {
	t.Helper()
	for _, d := range s.Definitions {
		if d.Name == enum {
			return uint64(len(d.Entries))
		}
	}
	t.Fatalf("the spec has no enum %s", enum)
	return 0
}

func (p policy) String() string { return fmt.Sprintf("%+v", map[uint16]attrPolicy(p)) }
