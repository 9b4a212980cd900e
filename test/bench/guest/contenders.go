// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"

	"bulkdump/client"
)

// benchFields are the fields of the bench's record: all but payload and stats.
const benchFields = client.FieldName | client.FieldFlags | client.FieldValue | client.FieldGeneration

// A contender is a way to read the table. It runs as a process of its own: this
// program or one in C.
type contender struct {
	name    string
	options client.DumpOptions
	share   share // of the table, as the contender reads it

	// read is set for contenders in Go.
	read func(ctx context.Context, j *job, s *sink) error

	// program is set for contenders in C. It gets the data of a job as
	// arguments.
	program string

	atMost uint32 // the largest table; 0: any
	square bool   // its cost is the square of the table's size
	file   bool   // it dumps nothing: there are no pages, and the kernel does not count records
	opaque bool   // it starts other processes, so its system calls say nothing

	prepares bool // not all of its system calls are counted, so these say nothing
}

// A job is the input of a contender.
type job struct {
	family  uint16
	options client.DumpOptions
	request []byte // the encoded options, without the netlink header
	entries uint64 // in the table

	less int64 // ns to subtract from the result; the reader sets it
}

// A share is the part of the table that a contender reads.
type share int

const (
	everything share = iota
	valueOnly        // id and value of every entry
	middleHalf       // the entries of the middle half of the ids
	lastTen          // the entries of the last ten changes
	lastThousand
	changed // none: the table is changed
	shares
)

func plain(o client.DumpOptions) client.DumpOptions {
	if o.Fields == nil {
		fields := benchFields
		o.Fields = &fields
	}
	return o
}

// smallTable is the largest table for contenders whose cost is the square of
// its size, and for those that are measured on one small table only.
const smallTable = 100_000

// contenders returns all contenders for a table of n entries. Ours come first.
func contenders(n uint32) []contender {
	value := client.FieldValue
	from, to := middle(n)
	direct := client.DumpOptions{Encoding: client.EncodingDirect}
	columns := client.DumpOptions{Encoding: client.EncodingColumns}
	all := []contender{
		{name: "go plain", read: readLent},
		{name: "go plain, values", read: readValues},
		{name: "go direct", read: readLent, options: direct},
		{name: "go columns", read: readLent, options: columns},
		{name: "go columns, arrays", read: readArrays, options: columns},
		{name: "go bucket cursor", read: readLent, options: client.DumpOptions{Cursor: client.CursorBucket}},
		{name: "go index cursor", read: readLent, options: client.DumpOptions{Cursor: client.CursorIndex}, atMost: smallTable, square: true},
		{name: "go walker cursor", read: readLent, options: client.DumpOptions{Cursor: client.CursorWalker}},
		{name: "go id and value", read: readLent, options: client.DumpOptions{Fields: &value}, share: valueOnly},
		{name: "go half the ids", read: readLent, options: client.DumpOptions{IDFrom: &from, IDTo: &to}, share: middleHalf},
		{name: "go 4 KiB buffer", read: readLent, options: client.DumpOptions{BufferSize: 4 << 10}, atMost: smallTable},
		{name: "go 8 KiB buffer", read: readLent, options: client.DumpOptions{BufferSize: 8 << 10}, atMost: smallTable},
		{name: "go 16 KiB buffer", read: readLent, options: client.DumpOptions{BufferSize: 16 << 10}, atMost: smallTable},
		{name: "go 32 KiB buffer", read: readLent, options: client.DumpOptions{BufferSize: 32 << 10}, atMost: smallTable},
		{name: "c plain", program: "bench-raw"},
		{name: "c direct", program: "bench-raw", options: direct},
		{name: "c columns", program: "bench-raw", options: columns},
		{name: "libmnl", program: "bench-libmnl"},
		{name: "c ynl", program: "bench-ynl"},
		{name: "mdlayher execute", read: readExecute},
		{name: "mdlayher iter", read: readReceiveIter},
		{name: "vishvananda execute", read: readVishvananda},
		{name: "vishvananda iter", read: readVishvanandaIter},
		{name: "proc, go", read: readProc, file: true},
		{name: "proc, cat", read: catProc, file: true, opaque: true},
		{name: "go delta of 10", read: readDelta(10), share: lastTen, prepares: true},
		{name: "go delta of 1000", read: readDelta(1000), share: lastThousand, prepares: true},
		// These come last: the table is another one after them.
		{name: "set", read: setting(0, 0), share: changed, file: true, prepares: true},
		{name: "set, 1 dump open", read: setting(1, 0), share: changed, file: true, prepares: true},
		{name: "set, 10 dumps open", read: setting(10, 0), share: changed, file: true, prepares: true},
		{name: "set, 1 subscriber", read: setting(0, 1), share: changed, file: true, prepares: true},
		{name: "set, 100 subscribers", read: setting(0, 100), share: changed, file: true, prepares: true},
	}
	for i := range all {
		all[i].options = plain(all[i].options)
	}
	return all
}

// middle returns the middle half of the ids.
func middle(n uint32) (from, to uint32) { return n / 4, n/4 + n/2 - 1 }
