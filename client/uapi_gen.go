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

// Attributes of the set "entry".
const (
	attrEntryID         = 1 // u32
	attrEntryName       = 2 // string
	attrEntryFlags      = 3 // u32
	attrEntryValue      = 4 // uint
	attrEntryPayload    = 5 // binary
	attrEntryStats      = 6 // nest
	attrEntryGeneration = 7 // uint
	attrEntryFilter     = 8 // nest
	attrEntryCreate     = 9 // flag
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
	attrFilterIDFrom = 1 // u32
	attrFilterIDTo   = 2 // u32
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
	cmdEntryGet   = 1
	cmdEntryNew   = 2
	cmdEntrySet   = 3
	cmdEntryDel   = 4
	cmdTableGet   = 5
	cmdTableFill  = 6
	cmdTableFlush = 7
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
}

var namesStats = map[uint16]attrName{
	attrStatsHits:    {name: "hits"},
	attrStatsBytes:   {name: "bytes"},
	attrStatsCreated: {name: "created"},
	attrStatsUpdated: {name: "updated"},
}

var namesFilter = map[uint16]attrName{
	attrFilterIDFrom: {name: "id-from"},
	attrFilterIDTo:   {name: "id-to"},
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
