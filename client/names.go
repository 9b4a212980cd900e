// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"fmt"
	"slices"
	"strings"
)

//go:generate go run ./internal/gen -spec ../kmod/bulkdump.yaml -o .

// FieldsAll is every field of a record.
const FieldsAll = FieldName | FieldFlags | FieldValue | FieldPayload | FieldStats | FieldGeneration

// String returns the cursor's name in the spec.
func (c Cursor) String() string { return nameOf("cursor", namesCursor, uint32(c)) }

// MarshalText is String.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Cursor) UnmarshalText(text []byte) error {
	return named("cursor", namesCursor, string(text), (*uint32)(c))
}

// String returns the encoding's name in the spec.
func (e Encoding) String() string { return nameOf("encoding", namesEncoding, uint32(e)) }

// MarshalText is String.
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads a name.
func (e *Encoding) UnmarshalText(text []byte) error {
	return named("encoding", namesEncoding, string(text), (*uint32)(e))
}

// String returns the fields' names in the spec, with commas between them.
func (f Field) String() string {
	var names []string
	for i, name := range namesField {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// MarshalText is String.
func (f Field) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads names with commas between them. It accepts "id", and "" for
// none: the id is always sent.
func (f *Field) UnmarshalText(text []byte) error {
	var all Field
	for name := range strings.SplitSeq(string(text), ",") {
		if name == "" || name == "id" {
			continue
		}
		var bit uint32
		if err := named("field", namesField, name, &bit); err != nil {
			return err
		}
		all |= 1 << bit
	}
	*f = all
	return nil
}

func nameOf(what string, names []string, v uint32) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s %d", what, v)
}

func named(what string, names []string, name string, v *uint32) error {
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Errorf("%q is no %s; there are %s", name, what, strings.Join(names, ", "))
	}
	*v = uint32(i)
	return nil
}
