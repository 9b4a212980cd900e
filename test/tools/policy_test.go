// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// From linux/genetlink.h and linux/netlink.h.
const (
	ctrlAttrPolicy   = 8
	ctrlAttrOpPolicy = 9
	ctrlPolicyDo     = 1

	typeAttrType      = 1
	typeAttrMin       = 4 // unsigned; the signed ones are 2 and 3
	typeAttrMax       = 5
	typeAttrMaxLength = 7
	typeAttrIndex     = 8
	typeAttrMaxType   = 9
	typeAttrMask      = 12
)

// attrKinds are the names of enum netlink_attribute_type.
var attrKinds = []string{"invalid", "flag", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "binary", "string",
	"nul-string", "nested", "nested-array", "bitfield32", "sint", "uint"}

// kernelPolicies are a family's policies as the kernel reports them.
type kernelPolicies struct {
	tables map[uint16]map[uint16]kernelAttr
	ops    map[uint32]map[string]uint16
}

type kernelAttr struct {
	attrPolicy
	index uint16 // of a nested policy
}

// askPolicies dumps the policies of the family (CTRL_CMD_GETPOLICY).
func askPolicies(t *testing.T, family string) *kernelPolicies {
	t.Helper()
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := netlink.NewAttributeEncoder()
	e.String(unix.CTRL_ATTR_FAMILY_NAME, family)
	attrs, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	req := nldump.Message{Type: unix.GENL_ID_CTRL, Data: append([]byte{unix.CTRL_CMD_GETPOLICY, 1, 0, 0}, attrs...)}
	k := &kernelPolicies{map[uint16]map[uint16]kernelAttr{}, map[uint32]map[string]uint16{}}
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		a := nldump.Parse(m.Data[4:])
		for a.Next() {
			switch a.Type() {
			case ctrlAttrPolicy:
				k.addTable(t, a.Nested())
			case ctrlAttrOpPolicy:
				k.addOp(t, a.Nested())
			}
		}
		fine(t, a)
	}
	return k
}

func fine(t *testing.T, a nldump.Attrs) {
	t.Helper()
	if a.Err() != nil {
		t.Fatal(a.Err())
	}
}

func (k *kernelPolicies) addTable(t *testing.T, tables nldump.Attrs) {
	for tables.Next() {
		if k.tables[tables.Type()] == nil {
			k.tables[tables.Type()] = map[uint16]kernelAttr{}
		}
		attrs := tables.Nested()
		for attrs.Next() {
			k.tables[tables.Type()][attrs.Type()] = readAttr(t, attrs.Nested())
		}
		fine(t, attrs)
	}
	fine(t, tables)
}

func readAttr(t *testing.T, a nldump.Attrs) (p kernelAttr) {
	for a.Next() {
		switch a.Type() {
		case typeAttrType:
			p.kind = attrKinds[a.Uint32()]
		case typeAttrMin:
			p.min = a.Uint64()
		case typeAttrMax:
			p.max = a.Uint64()
		case typeAttrMaxLength:
			p.maxLength = a.Uint32()
		case typeAttrMask:
			p.mask = a.Uint64()
		case typeAttrIndex:
			p.index = uint16(a.Uint32())
		case typeAttrMaxType:
		default:
			t.Errorf("a policy has the property %d, % x", a.Type(), a.Bytes())
		}
	}
	fine(t, a)
	return p
}

func (k *kernelPolicies) addOp(t *testing.T, ops nldump.Attrs) {
	for ops.Next() {
		modes := map[string]uint16{}
		halves := ops.Nested()
		for halves.Next() {
			mode := "dump"
			if halves.Type() == ctrlPolicyDo {
				mode = "do"
			}
			modes[mode] = uint16(halves.Uint32())
		}
		fine(t, halves)
		k.ops[uint32(ops.Type())] = modes
	}
	fine(t, ops)
}

// resolve replaces the indices of nested policies by the policies.
func (k *kernelPolicies) resolve(index uint16) policy {
	p := policy{}
	for number, a := range k.tables[index] {
		if a.kind == "nested" {
			a.nested = k.resolve(a.index)
		}
		p[number] = a.attrPolicy
	}
	return p
}

// Rule 11: the kernel's policy of each operation is the spec's: which attributes
// it takes, their types, limits, masks and nested policies.
func TestPolicyIsTheSpecs(t *testing.T) {
	setup(t)
	k := askPolicies(t, client.FamilyName)
	want := readSpec(t).requests(t)
	olderKernel(t, want)
	if got, want := slices.Sorted(maps.Keys(k.ops)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Fatalf("policies of the operations %v, want %v", got, want)
	}
	for op, modes := range want {
		if got, want := slices.Sorted(maps.Keys(k.ops[op])), slices.Sorted(maps.Keys(modes)); !slices.Equal(got, want) {
			t.Errorf("operation %d has a policy for %v, want %v", op, got, want)
		}
		for mode, p := range modes {
			if got := k.resolve(k.ops[op][mode]); !reflect.DeepEqual(got, p) {
				t.Errorf("operation %d, %s:\ngot  %v\nwant %v", op, mode, got, p)
			}
		}
	}
}

// olderKernel changes the spec's policies to what an older kernel can report.
func olderKernel(t *testing.T, want map[uint32]map[string]policy) {
	if olderThan(t, 6, 7) {
		// It has no type for an integer of 4 or 8 bytes. A function checks
		// those.
		for _, modes := range want {
			for _, p := range modes {
				for number, a := range p {
					if a.kind == "uint" {
						p[number] = attrPolicy{kind: "binary"}
					}
				}
			}
		}
	}
	if olderThan(t, 6, 2) {
		// There, an operation has one policy for both do and dump. Each of them
		// checks its attributes again, but that is not reported.
		for _, modes := range want {
			if modes["do"] == nil || modes["dump"] == nil {
				continue
			}
			both := maps.Clone(modes["do"])
			maps.Copy(both, modes["dump"])
			modes["do"], modes["dump"] = both, both
		}
	}
}
