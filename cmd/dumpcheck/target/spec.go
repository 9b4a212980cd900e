// SPDX-License-Identifier: BSD-3-Clause

package target

// A Spec is what is read of a YNL spec (Documentation/userspace-api/netlink/specs.rst
// in the kernel's source): the names and the numbers, and how an attribute is encoded.
type Spec struct {
	Name       string // of the family
	Protocol   int    // unix.NETLINK_GENERIC, …
	Operations []Operation

	sets map[string]*AttrSet
}

// An Operation is a command, or a message of a protocol that is not generic netlink.
type Operation struct {
	Name           string
	Request, Reply int // numbers; -1 if there is none
	Dump           bool
	Asks, Tells    []string // attributes of a dump's request, and of its records; nil if that is not told
	Set            *AttrSet // nil if it has no attributes
	Header         string   // the name of its fixed header; "" if it has none
	HeaderSize     int      // -1 if it is not told
}

// An AttrSet is a set of attributes. It implements Names.
type AttrSet struct {
	Name     string
	Attrs    []*SpecAttr
	byNumber map[uint16]*SpecAttr
	byName   map[string]*SpecAttr
}

// A SpecAttr is an attribute of a set.
type SpecAttr struct {
	Name   string
	Number uint16
	Type   string // "u32", "string", "nest", …
	Hint   string // how to show it: "ipv4", "mac"
	Big    bool   // big endian
	Values map[string]uint64
	Inside *AttrSet // of a nest; nil if the spec does not say
	levels int      // of nests without names in between: the indices of an array
}

// Attr implements Names.
func (s *AttrSet) Attr(path []uint16) string {
	if s == nil || len(path) == 0 {
		return ""
	}
	a := s.byNumber[path[0]]
	switch rest := path[1:]; {
	case a == nil:
		return ""
	case len(rest) == 0:
		return a.Name
	case len(rest) > a.levels:
		return a.Inside.Attr(rest[a.levels:])
	}
	return ""
}

// dump is the operation that a target is; nil if the spec has none.
func (s *Spec) dump(t *Target) *Operation {
	number := int(t.Request.Type)
	if t.Generic != nil {
		number = int(t.Cmd)
	}
	if s.Protocol != t.Protocol || t.Generic != nil && s.Name != t.Generic.Name {
		return nil
	}
	for i, op := range s.Operations {
		if op.Dump && op.Request == number {
			return &s.Operations[i]
		}
	}
	return nil
}

// Describe takes what the specs tell of the targets: names, and of a command that has
// none yet its name. It returns how many of the targets they describe.
func Describe(targets []*Target, specs ...*Spec) (n int) {
	for _, t := range targets {
		for _, s := range specs {
			op := s.dump(t)
			if op == nil {
				continue
			}
			n++
			if t.Generic != nil {
				t.Command = op.Name
			}
			if t.Operation = op; op.Set != nil {
				t.Names = op.Set
			}
			break
		}
	}
	return n
}
