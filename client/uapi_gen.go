// SPDX-License-Identifier: BSD-3-Clause

// Code generated from kmod/bulkdump.yaml by client/internal/gen; DO NOT EDIT.

package client

// FamilyName is the name of the generic netlink family.
const FamilyName = "bulkdump"

// familyVersion is that of every family of protocol "genetlink".
const familyVersion = 1

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

// Attributes of the set "entry".
const (
	attrEntryID         = 1  // u32
	attrEntryName       = 2  // string
	attrEntryFlags      = 3  // u32
	attrEntryValue      = 4  // uint
	attrEntryPayload    = 5  // binary
	attrEntryStats      = 6  // nest
	attrEntryGeneration = 7  // uint
	attrEntryFilter     = 8  // nest
	attrEntryCreate     = 9  // flag
	attrEntryFields     = 10 // u32
	attrEntrySince      = 11 // uint
	attrEntryCursor     = 12 // u32
	attrEntryEncoding   = 13 // u32
	attrEntryDeleted    = 14 // flag
	attrEntryColumns    = 15 // nest
)

// Attributes of the set "stats".
const (
	attrStatsHits    = 1 // uint
	attrStatsBytes   = 2 // uint
	attrStatsCreated = 3 // uint
	attrStatsUpdated = 4 // uint
)

// Attributes of the set "filter".
const (
	attrFilterIDFrom     = 1 // u32
	attrFilterIDTo       = 2 // u32
	attrFilterNamePrefix = 3 // string
	attrFilterFlags      = 4 // u32
	attrFilterFlagsMask  = 5 // u32
)

// Attributes of the set "columns".
const (
	attrColumnsID         = 1  // binary
	attrColumnsDeleted    = 2  // binary
	attrColumnsNameEnd    = 3  // binary
	attrColumnsNames      = 4  // binary
	attrColumnsFlags      = 5  // binary
	attrColumnsValue      = 6  // binary
	attrColumnsPayloadEnd = 7  // binary
	attrColumnsPayloads   = 8  // binary
	attrColumnsHits       = 9  // binary
	attrColumnsBytes      = 10 // binary
	attrColumnsCreated    = 11 // binary
	attrColumnsUpdated    = 12 // binary
	attrColumnsGeneration = 13 // binary
)

// Attributes of the set "table".
const (
	attrTableCount            = 1  // uint
	attrTableGeneration       = 2  // uint
	attrTableIDMin            = 3  // u32
	attrTableIDMax            = 4  // u32
	attrTableBytes            = 5  // uint
	attrTableRecordMax        = 6  // u32
	attrTableEntriesMax       = 7  // uint
	attrTableDumpsStarted     = 8  // uint
	attrTableDumpsFinished    = 9  // uint
	attrTableDumpsAbandoned   = 10 // uint
	attrTableDumpsInterrupted = 11 // uint
	attrTableDumpsOpen        = 12 // uint
	attrTablePages            = 13 // uint
	attrTableRecords          = 14 // uint
	attrTableScanned          = 15 // uint
	attrTableDumpsMemory      = 16 // uint
	attrTableLogFloor         = 17 // uint
	attrTableTombstones       = 18 // uint
	attrTableTombstonesMax    = 19 // uint
)

// Attributes of the set "fill".
const (
	attrFillCount      = 1 // u32
	attrFillSeed       = 2 // uint
	attrFillIDStart    = 3 // u32
	attrFillIDStride   = 4 // u32
	attrFillPayloadMin = 5 // u32
	attrFillPayloadMax = 6 // u32
	attrFillGeneration = 7 // uint
	attrFillChecksum   = 8 // uint
)

// Operations; a reply has its request's number.
const (
	cmdEntryGet      = 1
	cmdEntryNew      = 2
	cmdEntrySet      = 3
	cmdEntryDel      = 4
	cmdTableGet      = 5
	cmdTableFill     = 6
	cmdTableFlush    = 7
	cmdEntryNewNtf   = 8
	cmdEntrySetNtf   = 9
	cmdEntryDelNtf   = 10
	cmdTableFillNtf  = 11
	cmdTableFlushNtf = 12
)

var namesEntry = map[uint16]attrName{
	attrEntryID:         {name: "id"},
	attrEntryName:       {name: "name"},
	attrEntryFlags:      {name: "flags"},
	attrEntryValue:      {name: "value"},
	attrEntryPayload:    {name: "payload"},
	attrEntryStats:      {name: "stats", nest: namesStats},
	attrEntryGeneration: {name: "generation"},
	attrEntryFilter:     {name: "filter", nest: namesFilter},
	attrEntryCreate:     {name: "create"},
	attrEntryFields:     {name: "fields"},
	attrEntrySince:      {name: "since"},
	attrEntryCursor:     {name: "cursor"},
	attrEntryEncoding:   {name: "encoding"},
	attrEntryDeleted:    {name: "deleted"},
	attrEntryColumns:    {name: "columns", nest: namesColumns},
}

var namesStats = map[uint16]attrName{
	attrStatsHits:    {name: "hits"},
	attrStatsBytes:   {name: "bytes"},
	attrStatsCreated: {name: "created"},
	attrStatsUpdated: {name: "updated"},
}

var namesFilter = map[uint16]attrName{
	attrFilterIDFrom:     {name: "id-from"},
	attrFilterIDTo:       {name: "id-to"},
	attrFilterNamePrefix: {name: "name-prefix"},
	attrFilterFlags:      {name: "flags"},
	attrFilterFlagsMask:  {name: "flags-mask"},
}

var namesColumns = map[uint16]attrName{
	attrColumnsID:         {name: "id"},
	attrColumnsDeleted:    {name: "deleted"},
	attrColumnsNameEnd:    {name: "name-end"},
	attrColumnsNames:      {name: "names"},
	attrColumnsFlags:      {name: "flags"},
	attrColumnsValue:      {name: "value"},
	attrColumnsPayloadEnd: {name: "payload-end"},
	attrColumnsPayloads:   {name: "payloads"},
	attrColumnsHits:       {name: "hits"},
	attrColumnsBytes:      {name: "bytes"},
	attrColumnsCreated:    {name: "created"},
	attrColumnsUpdated:    {name: "updated"},
	attrColumnsGeneration: {name: "generation"},
}

var namesTable = map[uint16]attrName{
	attrTableCount:            {name: "count"},
	attrTableGeneration:       {name: "generation"},
	attrTableIDMin:            {name: "id-min"},
	attrTableIDMax:            {name: "id-max"},
	attrTableBytes:            {name: "bytes"},
	attrTableRecordMax:        {name: "record-max"},
	attrTableEntriesMax:       {name: "entries-max"},
	attrTableDumpsStarted:     {name: "dumps-started"},
	attrTableDumpsFinished:    {name: "dumps-finished"},
	attrTableDumpsAbandoned:   {name: "dumps-abandoned"},
	attrTableDumpsInterrupted: {name: "dumps-interrupted"},
	attrTableDumpsOpen:        {name: "dumps-open"},
	attrTablePages:            {name: "pages"},
	attrTableRecords:          {name: "records"},
	attrTableScanned:          {name: "scanned"},
	attrTableDumpsMemory:      {name: "dumps-memory"},
	attrTableLogFloor:         {name: "log-floor"},
	attrTableTombstones:       {name: "tombstones"},
	attrTableTombstonesMax:    {name: "tombstones-max"},
}

var namesFill = map[uint16]attrName{
	attrFillCount:      {name: "count"},
	attrFillSeed:       {name: "seed"},
	attrFillIDStart:    {name: "id-start"},
	attrFillIDStride:   {name: "id-stride"},
	attrFillPayloadMin: {name: "payload-min"},
	attrFillPayloadMax: {name: "payload-max"},
	attrFillGeneration: {name: "generation"},
	attrFillChecksum:   {name: "checksum"},
}
