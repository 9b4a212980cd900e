// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
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

// The answer to a request has the request's command; an event has its own. Each has
// the attributes of its kind.
// Rules 19, 28.
func TestAnswerHasTheCommandOfTheRequest(t *testing.T) {
	setup(t)
	s := openRaw(t, client.FamilyName, 64<<10)
	id, name := attrU32(attrID, 5), attrText(attrName, "five")
	entry, change, table := []uint16{1, 2, 3, 4, 6, 7}, []uint16{1, 7}, []uint16{1, 2}
	for _, tt := range []struct {
		cmd   uint8
		flags uint16
		attrs [][]byte
		has   []uint16 // the answer's attributes
		event uint8    // comes before the answer
		tells []uint16 // the event's attributes
	}{
		{cmdEntryNew, unix.NLM_F_ECHO, [][]byte{id, name}, change, eventNew, entry},
		{cmdEntryGet, 0, [][]byte{id}, entry, 0, nil},
		{cmdEntryGet, unix.NLM_F_DUMP, nil, entry, 0, nil},
		{cmdEntrySet, unix.NLM_F_ECHO, [][]byte{id, name}, change, eventSet, entry},
		{cmdEntryDel, unix.NLM_F_ECHO, [][]byte{id}, change, eventDel, change},
		{cmdTableFill, unix.NLM_F_ECHO, [][]byte{attrU32(attrCount, 1)}, []uint16{1, 7, 8}, eventFill, []uint16{1, 3, 4, 7}},
		{cmdTableGet, 0, nil, []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 0, nil},
		{cmdTableFlush, unix.NLM_F_ECHO, nil, table, eventFlush, table},
	} {
		seq := s.send(tt.cmd, unix.NLM_F_REQUEST|tt.flags, tt.attrs...)
		for _, want := range []struct {
			cmd uint8
			has []uint16
		}{{tt.event, tt.tells}, {tt.cmd, tt.has}} {
			if want.cmd == 0 {
				continue
			}
			ms, _ := s.read()
			m := ms[0]
			if m.Type != s.family || m.Data[0] != want.cmd || m.Seq != seq {
				t.Fatalf("command %d: a message of type %d, command %d, want command %d", tt.cmd, m.Type, m.Data[0], want.cmd)
			}
			var has []uint16
			for a := nldump.Parse(m.Data[4:]); a.Next(); {
				has = append(has, a.Type())
			}
			if slices.Sort(has); !slices.Equal(has, want.has) {
				t.Errorf("command %d: command %d has attributes %v, want %v", tt.cmd, want.cmd, has, want.has)
			}
			if tt.cmd <= cmdEntryDel && idOf(t, m) != 5 {
				t.Errorf("command %d: command %d is of id %d, want 5", tt.cmd, want.cmd, idOf(t, m))
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
			s := openRaw(t, client.FamilyName, smallBuffer)
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

// What pads an attribute is 0, and so are the reserved bytes of the header, in
// each record and in each reply.
// Rule 21.
func TestPaddingIsZero(t *testing.T) {
	c := setup(t)
	randomTable(t, c, rand.New(rand.NewPCG(5, 6)), unwatched(200))
	// Memory of pages that were in use is not zero.
	makeEntry(t, c, client.Entry{ID: math.MaxUint32 - 1, Payload: bytes.Repeat([]byte{0xff}, payloadMax)})
	mustDump(t, c, client.DumpOptions{})
	padded := 0
	check := func(what string, ms []nldump.Message) {
		t.Helper()
		for _, m := range ms {
			if m.Type < unix.NLMSG_MIN_TYPE {
				continue
			}
			if m.Data[2] != 0 || m.Data[3] != 0 {
				t.Errorf("%s: reserved bytes %x of the header", what, m.Data[2:4])
			}
			for _, pad := range paddings(t, m.Data[4:]) {
				padded += len(pad)
				if slices.Max(pad) != 0 {
					t.Fatalf("%s: padding of %x", what, pad)
				}
			}
		}
	}
	for _, encoding := range encodings {
		for fields := range uint32(client.FieldsAll) + 1 {
			s := openRaw(t, client.FamilyName, 64<<10)
			s.send(cmdEntryGet, flagDump, attrU32(attrFields, fields), attrU32(attrEncoding, uint32(encoding)))
			pages, _ := s.readDump()
			check(fmt.Sprint(encoding, fields), slices.Concat(pages...))
			s.close()
		}
	}
	s := openRaw(t, client.FamilyName, 64<<10)
	for _, id := range mustDump(t, c, client.DumpOptions{}).ids {
		s.send(cmdEntryGet, unix.NLM_F_REQUEST, attrU32(attrID, id))
		ms, _ := s.read()
		check("get", ms)
	}
	if padded < 1000 {
		t.Errorf("%d bytes pad: too few to prove anything", padded)
	}
}

// paddings returns what pads each attribute, and those in nests.
func paddings(t testing.TB, b []byte) (all [][]byte) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < unix.NLA_HDRLEN {
			t.Fatalf("%d bytes after the last attribute", len(b))
		}
		n, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		end := (n + 3) &^ 3
		if n < unix.NLA_HDRLEN || end > len(b) {
			t.Fatalf("an attribute of %d bytes, padded to %d of %d", n, end, len(b))
		}
		if typ&unix.NLA_F_NESTED != 0 {
			all = append(all, paddings(t, b[unix.NLA_HDRLEN:n])...)
		}
		if n < end {
			all = append(all, b[n:end])
		}
		b = b[end:]
	}
	return all
}

// The record of an entry has the same attributes as the reply to a get.
// Rule 22.
func TestRecordIsTheReplyToAGet(t *testing.T) {
	c := setup(t)
	randomTable(t, c, rand.New(rand.NewPCG(7, 8)), 100)
	s := openRaw(t, client.FamilyName, 64<<10)
	s.send(cmdEntryGet, flagDump)
	pages, _ := s.readDump()
	records := slices.Concat(pages...)
	records = records[:len(records)-1] // DONE
	for _, record := range records {
		s.send(cmdEntryGet, unix.NLM_F_REQUEST, attrU32(attrID, idOf(t, record)))
		ms, _ := s.read()
		if len(ms) != 1 || !bytes.Equal(ms[0].Data, record.Data) {
			t.Fatalf("record %x, and %d messages in the reply: %x", record.Data, len(ms), ms[0].Data)
		}
	}
	if len(records) < 100 {
		t.Errorf("%d records", len(records))
	}
}

// Two dumps of an idle table are the same, byte for byte, and leave it as it is.
// Rule 25.
func TestDumpChangesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		randomTable(t, c, rand.New(rand.NewPCG(9, 10)), 200)
		before := state(t, c)
		var dumps [2][][]nldump.Message
		for i := range dumps {
			s := openRaw(t, client.FamilyName, smallBuffer)
			s.send(cmdEntryGet, flagDump, k.attrs(generation))
			dumps[i], _ = s.readDump()
		}
		if !reflect.DeepEqual(dumps[0], dumps[1]) {
			t.Error("the second dump differs")
		}
		after := state(t, c)
		if after.Generation != before.Generation || after.Count != before.Count || after.Bytes != before.Bytes {
			t.Errorf("%+v, before %+v", after, before)
		}
	})
}

// Each record, each reply and DONE have the sequence number of their request,
// and the port id of its socket, also while another socket reads a dump.
// Rule 26.
func TestEveryMessageAnswersItsRequest(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		generation := state(t, c).Generation
		fill(t, c, client.FillOptions{Count: 1000})
		sockets := []*rawSocket{openRaw(t, client.FamilyName, smallBuffer), openRaw(t, client.FamilyName, smallBuffer)}
		sockets[1].seq = 1<<31 + 5
		ended := make([]bool, len(sockets))
		for _, s := range sockets {
			s.send(cmdEntryGet, flagDump, k.attrs(generation))
		}
		for !ended[0] || !ended[1] {
			for i, s := range sockets {
				if !ended[i] {
					ms := s.answer()
					ended[i] = ms[len(ms)-1].Type == unix.NLMSG_DONE
				}
			}
		}
		for _, s := range sockets {
			s.send(cmdEntryGet, unix.NLM_F_REQUEST|unix.NLM_F_ACK, attrU32(attrID, 0))
			s.answer()
			s.answer() // the acknowledgement
			s.send(cmdTableGet, unix.NLM_F_REQUEST)
			s.answer()
		}
	})
}

// answer reads a datagram, and checks that it answers the last request.
func (s *rawSocket) answer() []nldump.Message {
	s.t.Helper()
	address, err := unix.Getsockname(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	port := address.(*unix.SockaddrNetlink).Pid
	ms, _ := s.read()
	at := 0
	for _, m := range ms {
		if got := binary.NativeEndian.Uint32(s.buf[at+12:]); m.Seq != s.seq || got != port {
			s.t.Fatalf("message of type %d to request %d of %d, want %d of %d", m.Type, m.Seq, got, s.seq, port)
		}
		at += (unix.SizeofNlMsghdr + len(m.Data) + 3) &^ 3
	}
	return ms
}

// A dump has one DONE, with an errno of 4 bytes. Nothing comes behind it: the
// next message on the socket is the answer to the next request.
// Rule 27.
func TestDoneIsLast(t *testing.T) {
	eachKind(t, func(t *testing.T, k kind) {
		c := setup(t)
		for _, count := range []uint32{0, 1, 300} {
			generation := state(t, c).Generation
			if count > 0 {
				fill(t, c, client.FillOptions{Count: count})
			}
			s := openRaw(t, client.FamilyName, smallBuffer)
			s.send(cmdEntryGet, flagDump, k.attrs(generation))
			var done []nldump.Message
			for len(done) == 0 {
				ms, _ := s.read()
				for i, m := range ms {
					if m.Type == unix.NLMSG_DONE {
						done = append(done, m)
						if i < len(ms)-1 {
							t.Errorf("%d entries: %d messages behind DONE", count, len(ms)-1-i)
						}
					}
				}
			}
			if !bytes.Equal(done[0].Data, make([]byte, 4)) {
				t.Errorf("%d entries: DONE has %x, want an errno of 0", count, done[0].Data)
			}
			seq := s.send(cmdTableGet, unix.NLM_F_REQUEST)
			if ms, _ := s.read(); len(ms) != 1 || ms[0].Seq != seq || ms[0].Type != s.family {
				t.Errorf("%d entries: behind the dump came %d messages, the first of type %d to request %d, want an answer to %d",
					count, len(ms), ms[0].Type, ms[0].Seq, seq)
			}
			flush(t, c)
		}
	})
}
