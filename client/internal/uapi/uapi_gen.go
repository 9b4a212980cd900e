// SPDX-License-Identifier: BSD-3-Clause

// Code generated from kmod/bulkdump.yaml by client/internal/gen; DO NOT EDIT.

package uapi

// Attributes of the set "entry".
const (
	AttrEntryID         = 1  // u32
	AttrEntryName       = 2  // string
	AttrEntryFlags      = 3  // u32
	AttrEntryValue      = 4  // uint
	AttrEntryPayload    = 5  // binary
	AttrEntryStats      = 6  // nest
	AttrEntryGeneration = 7  // uint
	AttrEntryFilter     = 8  // nest
	AttrEntryCreate     = 9  // flag
	AttrEntryFields     = 10 // u32
	AttrEntrySince      = 11 // uint
	AttrEntryCursor     = 12 // u32
	AttrEntryEncoding   = 13 // u32
	AttrEntryDeleted    = 14 // flag
	AttrEntryColumns    = 15 // nest
)

// Attributes of the set "stats".
const (
	AttrStatsHits    = 1 // uint
	AttrStatsBytes   = 2 // uint
	AttrStatsCreated = 3 // uint
	AttrStatsUpdated = 4 // uint
)

// Attributes of the set "filter".
const (
	AttrFilterIDFrom     = 1 // u32
	AttrFilterIDTo       = 2 // u32
	AttrFilterNamePrefix = 3 // string
	AttrFilterFlags      = 4 // u32
	AttrFilterFlagsMask  = 5 // u32
)

// Attributes of the set "columns".
const (
	AttrColumnsID         = 1  // binary
	AttrColumnsDeleted    = 2  // binary
	AttrColumnsNameEnd    = 3  // binary
	AttrColumnsNames      = 4  // binary
	AttrColumnsFlags      = 5  // binary
	AttrColumnsValue      = 6  // binary
	AttrColumnsPayloadEnd = 7  // binary
	AttrColumnsPayloads   = 8  // binary
	AttrColumnsHits       = 9  // binary
	AttrColumnsBytes      = 10 // binary
	AttrColumnsCreated    = 11 // binary
	AttrColumnsUpdated    = 12 // binary
	AttrColumnsGeneration = 13 // binary
)

// Attributes of the set "table".
const (
	AttrTableCount            = 1  // uint
	AttrTableGeneration       = 2  // uint
	AttrTableIDMin            = 3  // u32
	AttrTableIDMax            = 4  // u32
	AttrTableBytes            = 5  // uint
	AttrTableRecordMax        = 6  // u32
	AttrTableEntriesMax       = 7  // uint
	AttrTableDumpsStarted     = 8  // uint
	AttrTableDumpsFinished    = 9  // uint
	AttrTableDumpsAbandoned   = 10 // uint
	AttrTableDumpsInterrupted = 11 // uint
	AttrTableDumpsOpen        = 12 // uint
	AttrTablePages            = 13 // uint
	AttrTableRecords          = 14 // uint
	AttrTableScanned          = 15 // uint
	AttrTableDumpsMemory      = 16 // uint
	AttrTableLogFloor         = 17 // uint
	AttrTableTombstones       = 18 // uint
	AttrTableTombstonesMax    = 19 // uint
)

// Attributes of the set "fill".
const (
	AttrFillCount      = 1 // u32
	AttrFillSeed       = 2 // uint
	AttrFillIDStart    = 3 // u32
	AttrFillIDStride   = 4 // u32
	AttrFillPayloadMin = 5 // u32
	AttrFillPayloadMax = 6 // u32
	AttrFillGeneration = 7 // uint
	AttrFillChecksum   = 8 // uint
)

// Operations. A reply has its request's number.
const (
	CmdEntryGet      = 1
	CmdEntryNew      = 2
	CmdEntrySet      = 3
	CmdEntryDel      = 4
	CmdTableGet      = 5
	CmdTableFill     = 6
	CmdTableFlush    = 7
	CmdEntryNewNtf   = 8
	CmdEntrySetNtf   = 9
	CmdEntryDelNtf   = 10
	CmdTableFillNtf  = 11
	CmdTableFlushNtf = 12
)

// Names of the attributes of the set "entry".
var NamesEntry = map[uint16]Attr{
	AttrEntryID:         {Name: "id"},
	AttrEntryName:       {Name: "name"},
	AttrEntryFlags:      {Name: "flags"},
	AttrEntryValue:      {Name: "value"},
	AttrEntryPayload:    {Name: "payload"},
	AttrEntryStats:      {Name: "stats", Nest: NamesStats},
	AttrEntryGeneration: {Name: "generation"},
	AttrEntryFilter:     {Name: "filter", Nest: NamesFilter},
	AttrEntryCreate:     {Name: "create"},
	AttrEntryFields:     {Name: "fields"},
	AttrEntrySince:      {Name: "since"},
	AttrEntryCursor:     {Name: "cursor"},
	AttrEntryEncoding:   {Name: "encoding"},
	AttrEntryDeleted:    {Name: "deleted"},
	AttrEntryColumns:    {Name: "columns", Nest: NamesColumns},
}

// Names of the attributes of the set "stats".
var NamesStats = map[uint16]Attr{
	AttrStatsHits:    {Name: "hits"},
	AttrStatsBytes:   {Name: "bytes"},
	AttrStatsCreated: {Name: "created"},
	AttrStatsUpdated: {Name: "updated"},
}

// Names of the attributes of the set "filter".
var NamesFilter = map[uint16]Attr{
	AttrFilterIDFrom:     {Name: "id-from"},
	AttrFilterIDTo:       {Name: "id-to"},
	AttrFilterNamePrefix: {Name: "name-prefix"},
	AttrFilterFlags:      {Name: "flags"},
	AttrFilterFlagsMask:  {Name: "flags-mask"},
}

// Names of the attributes of the set "columns".
var NamesColumns = map[uint16]Attr{
	AttrColumnsID:         {Name: "id"},
	AttrColumnsDeleted:    {Name: "deleted"},
	AttrColumnsNameEnd:    {Name: "name-end"},
	AttrColumnsNames:      {Name: "names"},
	AttrColumnsFlags:      {Name: "flags"},
	AttrColumnsValue:      {Name: "value"},
	AttrColumnsPayloadEnd: {Name: "payload-end"},
	AttrColumnsPayloads:   {Name: "payloads"},
	AttrColumnsHits:       {Name: "hits"},
	AttrColumnsBytes:      {Name: "bytes"},
	AttrColumnsCreated:    {Name: "created"},
	AttrColumnsUpdated:    {Name: "updated"},
	AttrColumnsGeneration: {Name: "generation"},
}

// Names of the attributes of the set "table".
var NamesTable = map[uint16]Attr{
	AttrTableCount:            {Name: "count"},
	AttrTableGeneration:       {Name: "generation"},
	AttrTableIDMin:            {Name: "id-min"},
	AttrTableIDMax:            {Name: "id-max"},
	AttrTableBytes:            {Name: "bytes"},
	AttrTableRecordMax:        {Name: "record-max"},
	AttrTableEntriesMax:       {Name: "entries-max"},
	AttrTableDumpsStarted:     {Name: "dumps-started"},
	AttrTableDumpsFinished:    {Name: "dumps-finished"},
	AttrTableDumpsAbandoned:   {Name: "dumps-abandoned"},
	AttrTableDumpsInterrupted: {Name: "dumps-interrupted"},
	AttrTableDumpsOpen:        {Name: "dumps-open"},
	AttrTablePages:            {Name: "pages"},
	AttrTableRecords:          {Name: "records"},
	AttrTableScanned:          {Name: "scanned"},
	AttrTableDumpsMemory:      {Name: "dumps-memory"},
	AttrTableLogFloor:         {Name: "log-floor"},
	AttrTableTombstones:       {Name: "tombstones"},
	AttrTableTombstonesMax:    {Name: "tombstones-max"},
}

// Names of the attributes of the set "fill".
var NamesFill = map[uint16]Attr{
	AttrFillCount:      {Name: "count"},
	AttrFillSeed:       {Name: "seed"},
	AttrFillIDStart:    {Name: "id-start"},
	AttrFillIDStride:   {Name: "id-stride"},
	AttrFillPayloadMin: {Name: "payload-min"},
	AttrFillPayloadMax: {Name: "payload-max"},
	AttrFillGeneration: {Name: "generation"},
	AttrFillChecksum:   {Name: "checksum"},
}
