// SPDX-License-Identifier: BSD-3-Clause

// Code generated from kmod/bulkdump.yaml by client/internal/gen; DO NOT EDIT.

package client

// FamilyName is the name of the generic netlink family.
const FamilyName = "bulkdump"

// NameLenMax: The longest name of an entry, in bytes without the final NUL.
const NameLenMax = 63

// PayloadLenMax: The longest payload of an entry, in bytes. Below 64 KiB because the
// length of a netlink attribute is 16 bits wide.
const PayloadLenMax = 60000

// Cursor: What a dump remembers from one page to the next. All but key are for
// comparison. They need CAP_NET_ADMIN, because they may cost others more
// than the reader.
type Cursor uint32

// The values of Cursor.
const (
	// CursorKey: The id of the next record. An entry that stays in the table is sent
	// exactly once, whatever else changes. Records come in order of id.
	CursorKey Cursor = 0
	// CursorBucket: A bucket of the hash table of names, and a place in it. An entry
	// that is made or deleted in that bucket shifts the rest of it.
	CursorBucket Cursor = 1
	// CursorIndex: How many entries were sent, in order of id. An entry that is made or
	// deleted before the place shifts all others, and each page counts
	// from the start.
	CursorIndex Cursor = 2
	// CursorWalker: A node in the list of all entries in order of creation. An entry
	// that stays in the table is sent exactly once.
	CursorWalker Cursor = 3
)

var namesCursor = []string{"key", "bucket", "index", "walker"}

// Encoding: How a dump's records are written.
type Encoding uint32

// The values of Encoding.
const (
	// EncodingPlain: A message for each record, attribute by attribute.
	EncodingPlain Encoding = 0
	// EncodingDirect: The same messages, byte for byte, each written at once.
	EncodingDirect Encoding = 1
	// EncodingColumns: A message for each page, an attribute for each column.
	EncodingColumns Encoding = 2
)

var namesEncoding = []string{"plain", "direct", "columns"}

// Field: The fields of a record besides the id.
type Field uint32

// The values of Field.
const (
	FieldName       Field = 1
	FieldFlags      Field = 2
	FieldValue      Field = 4
	FieldPayload    Field = 8
	FieldStats      Field = 16
	FieldGeneration Field = 32
)

var namesField = []string{"name", "flags", "value", "payload", "stats", "generation"}
