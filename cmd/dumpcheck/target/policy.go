// SPDX-License-Identifier: BSD-3-Clause

package target

import "bulkdump/client/nldump"

// Numbers that package unix lacks (linux/genetlink.h, linux/netlink.h).
const (
	ctrlCmdGetPolicy   = 10
	ctrlAttrPolicy     = 8
	ctrlAttrOpPolicy   = 9
	ctrlAttrPolicyDo   = 1
	ctrlAttrPolicyDump = 2

	// NL_POLICY_TYPE_ATTR_*
	policyType      = 1
	policyMinValue  = 4
	policyMaxValue  = 5
	policyMinLength = 6
	policyMaxLength = 7
	policyIndex     = 8
)

// A Policy is what attributes a command takes, by type.
type Policy map[uint16]PolicyAttr

// A PolicyAttr is what the kernel takes as the value of an attribute.
type PolicyAttr struct {
	Type               uint32 // NL_ATTR_TYPE_U32, …
	MinLen, MaxLen     uint32 // of strings and binary values; 0 is not told
	MinValue, MaxValue uint64
	Nested             uint32 // number of the policy of a nest; see HasNested
	HasNested          bool
	Inside             Policy // of a nest; nil if it is not told
}

// NL_ATTR_TYPE_* (linux/netlink.h), which package unix lacks.
const (
	TypeFlag = iota + 1
	TypeU8
	TypeU16
	TypeU32
	TypeU64
	TypeS8
	TypeS16
	TypeS32
	TypeS64
	TypeBinary
	TypeString
	TypeNulString
	TypeNested
	TypeNestedArray
	TypeBitfield32
	TypeSint
	TypeUint
)

// Size is the size of a number of that type; 0 of what is none.
func (a PolicyAttr) Size() int {
	switch a.Type {
	case TypeU8, TypeS8:
		return 1
	case TypeU16, TypeS16:
		return 2
	case TypeU32, TypeS32, TypeSint, TypeUint:
		return 4
	case TypeU64, TypeS64:
		return 8
	}
	return 0
}

func decodePolicy(properties *nldump.Attrs) (p PolicyAttr) {
	for property, v := range properties.Nest() {
		switch property {
		case policyType:
			p.Type = v.Uint32()
		case policyMinValue:
			p.MinValue = v.Uint64()
		case policyMaxValue:
			p.MaxValue = v.Uint64()
		case policyMinLength:
			p.MinLen = v.Uint32()
		case policyMaxLength:
			p.MaxLen = v.Uint32()
		case policyIndex:
			p.Nested, p.HasNested = v.Uint32(), true
		}
	}
	return p
}
