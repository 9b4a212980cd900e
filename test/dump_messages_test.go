// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// A 64-bit number takes 4 or 8 bytes, depending on its value, and there is no
// padding.
// Rule 15.
func TestUintIsFourOrEightBytes(t *testing.T) {
	const attrValue, attrStats, attrLast = 4, 6, 7
	c := setup(t)
	values := []uint64{0, 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxUint64}
	for i, v := range values {
		makeEntry(t, c, client.Entry{ID: uint32(i), Value: v})
	}
	check := func(a nldump.Attrs, last uint16, wants func(typ uint16) int) {
		t.Helper()
		types := 0
		for a.Next() {
			types++
			if a.Type() == 0 || a.Type() > last {
				t.Errorf("an attribute of type %d", a.Type())
			}
			if want := wants(a.Type()); want != 0 && len(a.Bytes()) != want {
				t.Errorf("attribute %d has %d bytes, want %d", a.Type(), len(a.Bytes()), want)
			}
		}
		if types == 0 || a.Err() != nil {
			t.Errorf("%d attributes, %v", types, a.Err())
		}
	}
	for _, encoding := range []client.Encoding{client.EncodingPlain, client.EncodingDirect} {
		s := openRaw(t, client.FamilyName, 64<<10)
		s.send(cmdEntryGet, flagDump, attrU32(attrEncoding, uint32(encoding)))
		pages, _ := s.readDump()
		for _, m := range slices.Concat(pages...) {
			if m.Type == unix.NLMSG_DONE {
				continue
			}
			width := 4
			if values[idOf(t, m)] > math.MaxUint32 {
				width = 8
			}
			check(nldump.Parse(m.Data[4:]), attrLast, func(typ uint16) int {
				return map[uint16]int{attrValue: width, attrGeneration: 4}[typ]
			})
			for a := nldump.Parse(m.Data[4:]); a.Next(); {
				if a.Type() == attrStats {
					// Two counters that are 0, two times in nanoseconds.
					check(a.Nested(), 4, func(typ uint16) int { return map[uint16]int{1: 4, 2: 4, 3: 8, 4: 8}[typ] })
				}
			}
		}
	}
	// In a request, both lengths are accepted.
	s := openRaw(t, client.FamilyName, 64<<10)
	floor := state(t, c).LogFloor
	for _, since := range [][]byte{attrU32(attrSince, uint32(floor)), attr(attrSince, binary.NativeEndian.AppendUint64(nil, floor)...)} {
		s.send(cmdEntryGet, flagDump, since)
		if pages, _ := s.readDump(); len(slices.Concat(pages...)) != len(values)+1 {
			t.Errorf("since as %d bytes: %d pages", len(since)-4, len(pages))
		}
	}
}

// The answer to a request has the request's command; an event has its own.
// Rule 19.
func TestAnswerHasTheCommandOfTheRequest(t *testing.T) {
	setup(t)
	s := openRaw(t, client.FamilyName, 64<<10)
	id, name := attrU32(attrID, 1), attrText(attrName, "one")
	for _, tt := range []struct {
		cmd   uint8
		flags uint16
		attrs [][]byte
		event uint8 // comes before the answer
	}{
		{cmdEntryNew, unix.NLM_F_ECHO, [][]byte{id, name}, eventNew},
		{cmdEntryGet, 0, [][]byte{id}, 0},
		{cmdEntryGet, unix.NLM_F_DUMP, nil, 0},
		{cmdEntrySet, unix.NLM_F_ECHO, [][]byte{id, name}, eventSet},
		{cmdEntryDel, unix.NLM_F_ECHO, [][]byte{id}, eventDel},
		{cmdTableGet, 0, nil, 0},
		{cmdTableFill, unix.NLM_F_ECHO, [][]byte{attrU32(attrCount, 1)}, eventFill},
		{cmdTableFlush, unix.NLM_F_ECHO, nil, eventFlush},
	} {
		seq := s.send(tt.cmd, unix.NLM_F_REQUEST|tt.flags, tt.attrs...)
		for _, want := range []uint8{tt.event, tt.cmd} {
			if want == 0 {
				continue
			}
			ms, _ := s.read()
			if ms[0].Type != s.family || ms[0].Data[0] != want || ms[0].Seq != seq {
				t.Errorf("command %d: a message of type %d, command %d, want command %d", tt.cmd, ms[0].Type, ms[0].Data[0], want)
			}
		}
	}
}

// NLM_F_MULTI is on every record. NLM_F_DUMP_FILTERED is on every message if
// and only if there is a filter.
// Rules 9, 10, 12, 19.
func TestMultiAndFilteredAsRequested(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 1000})
	for _, tt := range []struct {
		name   string
		attrs  []byte
		filter bool
		count  int
	}{
		{"no filter", nil, false, 1000},
		{"empty filter", nest(attrFilter), true, 1000},
		{"id-from", nest(attrFilter, attrU32(attrIDFrom, 100)), true, 900},
		{"id-to", nest(attrFilter, attrU32(attrIDTo, 99)), true, 100},
		{"nothing left", nest(attrFilter, attrU32(attrIDFrom, 1000)), true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openRaw(t, client.FamilyName, 4<<10)
			seq := s.send(cmdEntryGet, flagDump, tt.attrs)
			pages, _ := s.readDump()
			records := 0
			for i, page := range pages {
				for j, m := range page {
					if m.Seq != seq {
						t.Fatalf("page %d, message %d: sequence %d, want %d", i, j, m.Seq, seq)
					}
					if m.Flags&unix.NLM_F_MULTI == 0 {
						t.Errorf("page %d, message %d: no NLM_F_MULTI", i, j)
					}
					if got := m.Flags&flagFiltered != 0; got != tt.filter {
						t.Errorf("page %d, message %d: NLM_F_DUMP_FILTERED is %v, want %v", i, j, got, tt.filter)
					}
					if m.Type == s.family {
						records++
						if m.Data[0] != cmdEntryGet {
							t.Errorf("record of command %d, want %d", m.Data[0], cmdEntryGet)
						}
					}
				}
			}
			if records != tt.count {
				t.Errorf("%d records, want %d", records, tt.count)
			}
		})
	}
}

// Every record and DONE have NLM_F_DUMP_FILTERED if there is a filter, and only
// then. Each has NLM_F_MULTI.
// Rules 9, 10.
func TestMultiAndFilteredOnEveryMessage(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 300})
	for _, tt := range []struct {
		name  string
		attr  []byte
		wants bool
	}{
		{"nothing", nil, false},
		{"fields", attrU32(attrFields, 1), false},
		{"cursor", attrU32(attrCursor, uint32(client.CursorWalker)), false},
		{"id", nest(attrFilter, attrU32(attrIDTo, 200)), true},
		{"prefix", nest(attrFilter, attrText(attrNamePrefix, "entry-1")), true},
		{"flags", nest(attrFilter, attrU32(attrFlagsValue, 1), attrU32(attrFlagsMask, 1)), true},
		{"nothing left", nest(attrFilter, attrText(attrNamePrefix, "x")), true},
		{"since", attr(attrSince, 1, 0, 0, 0), true},
	} {
		for _, encoding := range encodings {
			s := openRaw(t, client.FamilyName, 64<<10)
			body := [][]byte{attrU32(attrEncoding, uint32(encoding))}
			if tt.attr != nil {
				body = append(body, tt.attr)
			}
			since := attrU32(attrSince, uint32(state(t, c).LogFloor))
			if tt.name == "since" {
				body[1] = since
			}
			s.send(cmdEntryGet, flagDump, body...)
			pages, _ := s.readDump()
			for _, ms := range pages {
				for _, m := range ms {
					if got := m.Flags&flagFiltered != 0; got != tt.wants {
						t.Fatalf("%s, %v: message of type %d has flags %#x", tt.name, encoding, m.Type, m.Flags)
					}
					if m.Flags&unix.NLM_F_MULTI == 0 {
						t.Fatalf("%s, %v: message of type %d without NLM_F_MULTI", tt.name, encoding, m.Type)
					}
				}
			}
		}
	}
}
