// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
)

// The file. What is not here is not read.
type (
	specFile struct {
		Name        string
		Protocol    string
		Protonum    int
		Definitions []specDefinition
		Sets        []specSet `yaml:"attribute-sets"`
		Operations  struct {
			Model       string `yaml:"enum-model"`
			FixedHeader string `yaml:"fixed-header"`
			List        []specOp
		}
	}
	specDefinition struct {
		Name    string
		Type    string
		Value   yaml.Node
		Start   uint64 `yaml:"value-start"`
		Entries []yaml.Node
		Members []specMember
	}
	specMember struct{ Type, Struct, Len string }
	specSet    struct {
		Name       string
		SubsetOf   string `yaml:"subset-of"`
		Attributes []specAttr
	}
	specAttr struct {
		Name, Type, Enum string
		SubType          string   `yaml:"sub-type"`
		Nested           string   `yaml:"nested-attributes"`
		ByteOrder        string   `yaml:"byte-order"`
		Hint             string   `yaml:"display-hint"`
		TypeValue        []string `yaml:"type-value"`
		Value            *uint16
	}
	specOp struct {
		Name         string
		AttributeSet string  `yaml:"attribute-set"`
		FixedHeader  *string `yaml:"fixed-header"`
		Value        *int
		Notify       string
		Event        *yaml.Node
		Do, Dump     *specMode
	}
	specMode    struct{ Request, Reply *specMessage }
	specMessage struct {
		Value      *int
		Attributes []string
	}
)

// ReadSpec reads a spec.
func ReadSpec(path string) (*Spec, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	s, err := parseSpec(b)
	if err != nil {
		return nil, fmt.Errorf("spec %s: %w", path, err)
	}
	return s, nil
}

func parseSpec(b []byte) (*Spec, error) {
	var f specFile
	if err := yaml.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	s := &Spec{Name: f.Name, sets: map[string]*AttrSet{}}
	switch f.Protocol {
	case "", "genetlink", "genetlink-c", "genetlink-legacy":
		s.Protocol = unix.NETLINK_GENERIC
	case "netlink-raw":
		s.Protocol = f.Protonum
	default:
		return nil, fmt.Errorf("protocol %q is not known", f.Protocol)
	}
	if f.Name == "" {
		return nil, fmt.Errorf("it has no name: is it a spec of YNL?")
	}
	if err := s.readSets(&f); err != nil {
		return nil, err
	}
	return s, s.readOperations(&f)
}

func (s *Spec) readSets(f *specFile) error {
	enums, err := f.enums()
	if err != nil {
		return err
	}
	for _, set := range f.Sets {
		s.sets[set.Name] = &AttrSet{Name: set.Name, byNumber: map[uint16]*SpecAttr{}, byName: map[string]*SpecAttr{}}
	}
	in := func(what, name string) (*AttrSet, error) {
		if name == "" {
			return nil, nil
		}
		if s.sets[name] == nil {
			return nil, fmt.Errorf("%s: there is no attribute set %q", what, name)
		}
		return s.sets[name], nil
	}
	// Sets that are subsets of others have their numbers.
	for _, subsets := range []bool{false, true} {
		for _, from := range f.Sets {
			if subsets != (from.SubsetOf != "") {
				continue
			}
			real, err := in("attribute set "+from.Name, from.SubsetOf)
			if err != nil {
				return err
			}
			to, next := s.sets[from.Name], uint16(1)
			for _, a := range from.Attributes {
				attr := SpecAttr{Number: next}
				if real != nil {
					if real.byName[a.Name] == nil {
						return fmt.Errorf("attribute set %s: %s has no attribute %q", from.Name, real.Name, a.Name)
					}
					attr = *real.byName[a.Name]
				}
				if err := attr.read(a, enums, in); err != nil {
					return err
				}
				next = attr.Number + 1
				to.Attrs = append(to.Attrs, &attr)
				to.byNumber[attr.Number], to.byName[attr.Name] = &attr, &attr
			}
		}
	}
	return nil
}

// read takes what a file says of an attribute. What it does not say stays.
func (a *SpecAttr) read(from specAttr, enums map[string]map[string]uint64, in func(what, name string) (*AttrSet, error)) error {
	a.Name = from.Name
	if from.Value != nil {
		a.Number = *from.Value
	}
	if from.Type != "" {
		a.Type = from.Type
	}
	if from.Hint != "" {
		a.Hint = from.Hint
	}
	a.Big = a.Big || from.ByteOrder == "big-endian"
	if from.Enum != "" {
		a.Values = enums[from.Enum]
	}
	inside, err := in("attribute "+from.Name, from.Nested)
	if err != nil {
		return err
	}
	if inside != nil {
		a.Inside = inside
	}
	switch a.Type {
	case "indexed-array":
		a.levels = 1
	case "nest-type-value":
		a.levels = max(a.levels, len(from.TypeValue))
	}
	return nil
}

// enums are the values of the definitions that are enums or flags.
func (f *specFile) enums() (map[string]map[string]uint64, error) {
	all := map[string]map[string]uint64{}
	for _, d := range f.Definitions {
		if d.Type != "enum" && d.Type != "flags" {
			continue
		}
		values := map[string]uint64{}
		next := d.Start
		for _, e := range d.Entries {
			entry := struct {
				Name  string
				Value *uint64
			}{}
			if e.Kind == yaml.ScalarNode {
				entry.Name = e.Value
			} else if err := e.Decode(&entry); err != nil {
				return nil, fmt.Errorf("definition %s: %w", d.Name, err)
			}
			if entry.Value != nil {
				next = *entry.Value
			}
			if values[entry.Name] = next; d.Type == "flags" {
				values[entry.Name] = 1 << next
			}
			next++
		}
		all[d.Name] = values
	}
	return all, nil
}

// readOperations numbers the operations. In the unified model each has one number; in
// the directional one, requests and replies are counted apart.
func (s *Spec) readOperations(f *specFile) error {
	request, reply := 1, 1
	directional := f.Operations.Model == "directional"
	if m := f.Operations.Model; !directional && m != "" && m != "unified" {
		return fmt.Errorf("enum-model %q is not known", m)
	}
	for _, from := range f.Operations.List {
		op := Operation{Name: from.Name, Dump: from.Dump != nil, HeaderSize: 0, Request: -1, Reply: -1}
		event := from.Notify != "" || from.Event != nil
		mode := from.Do
		if mode == nil {
			mode = from.Dump
		}
		switch {
		case !directional:
			if from.Value != nil {
				request = *from.Value
			}
			op.Reply = request
			if !event {
				op.Request = request
			}
			request++
		case event:
			if from.Value != nil {
				reply = *from.Value
			}
			op.Reply = reply
			reply++
		case mode != nil:
			if mode.Request != nil && mode.Request.Value != nil {
				request = *mode.Request.Value
			}
			op.Request = request
			request++
			if mode.Reply != nil {
				if mode.Reply.Value != nil {
					reply = *mode.Reply.Value
				}
				op.Reply = reply
				reply++
			}
		}
		if set := from.AttributeSet; set != "" {
			if op.Set = s.sets[set]; op.Set == nil {
				return fmt.Errorf("operation %s: there is no attribute set %q", from.Name, set)
			}
		}
		if from.Dump != nil {
			if m := from.Dump.Request; m != nil {
				op.Asks = m.Attributes
			}
			if m := from.Dump.Reply; m != nil {
				op.Tells = m.Attributes
			}
		}
		op.Header = f.Operations.FixedHeader
		if from.FixedHeader != nil {
			op.Header = *from.FixedHeader
		}
		if op.Header != "" {
			op.HeaderSize = f.size(op.Header)
		}
		s.Operations = append(s.Operations, op)
	}
	return nil
}

// size is that of a structure; -1 if it is not told.
func (f *specFile) size(name string) int {
	i := slices.IndexFunc(f.Definitions, func(d specDefinition) bool { return d.Name == name && d.Type == "struct" })
	if i < 0 {
		return -1
	}
	sum := 0
	for _, m := range f.Definitions[i].Members {
		n := numberSizes[m.Type]
		switch {
		case m.Struct != "":
			n = f.size(m.Struct)
		case n == 0:
			n = f.number(m.Len)
		}
		if n < 0 {
			return -1
		}
		sum += n
	}
	return sum
}

// number is a number in a file, or the constant that it names; -1 if there is none.
func (f *specFile) number(text string) int {
	for _, d := range f.Definitions {
		if d.Name == text && d.Type == "const" {
			text = d.Value.Value
		}
	}
	if n, err := strconv.ParseUint(text, 0, 31); err == nil {
		return int(n)
	}
	return -1
}

var numberSizes = map[string]int{"u8": 1, "s8": 1, "u16": 2, "s16": 2, "u32": 4, "s32": 4, "u64": 8, "s64": 8}
