// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// Each refusal has the right errno, says why, and changes nothing.
// Rules 10, 11, 24, 28.
func TestRefusedRequests(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1, Name: "one"})
	before := state(t, c)
	listener := listen(t)

	const unknown = 60 // neither a command nor an attribute
	id, name := attrU32(attrID, 2), attrText(attrName, "two")
	byRange := func(from, to uint32) []byte {
		return nest(attrFilter, attrU32(attrIDFrom, from), attrU32(attrIDTo, to))
	}
	byFlags := func(attrs ...[]byte) []byte { return request(cmdEntryGet, nest(attrFilter, attrs...)) }
	mask, flags, prefix := attrU32(attrFlagsMask, 1), attrU32(attrFlagsValue, 3), attrText(attrNamePrefix, "o")
	since, cursor := attrU32(attrSince, 1), attrU32(attrCursor, 0)
	for _, tt := range []struct {
		name  string
		flags uint16
		body  []byte
		errno unix.Errno
		text  string // in the extended acknowledgement; "" if the core gives none
		blame []byte // the attribute that it names; nil if the core decides
	}{
		{"unknown command", 0, request(unknown), unix.EOPNOTSUPP, "", nil},
		{"unknown command, dump", unix.NLM_F_DUMP, request(unknown), unix.EOPNOTSUPP, "", nil},
		{"dump of a command without", unix.NLM_F_DUMP, request(cmdTableGet), unix.EOPNOTSUPP, "", nil},
		{"no header", 0, nil, unix.EINVAL, "", nil},
		{"no header, dump", unix.NLM_F_DUMP, nil, unix.EINVAL, "", nil},
		{"header of 3 bytes, dump", unix.NLM_F_DUMP, []byte{cmdEntryGet, 1, 0}, unix.EINVAL, "", nil},
		{"reserved bits of the header", 0, []byte{cmdTableGet, 1, 1, 0}, unix.EINVAL, "", nil},

		{"junk attribute, dump", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(unknown, 1)), unix.EINVAL, "Unknown attribute type", nil},
		{"attribute of do, dump", unix.NLM_F_DUMP, request(cmdEntryGet, id), unix.EINVAL, "Unsupported attribute", nil},
		{"junk in the filter", unix.NLM_F_DUMP, request(cmdEntryGet, nest(attrFilter, attrU32(unknown, 1))), unix.EINVAL, "Unknown attribute type", nil},
		{"filter of 2 bytes", unix.NLM_F_DUMP, request(cmdEntryGet, nest(attrFilter, attr(attrIDFrom, 1, 0))), unix.EINVAL, "invalid attribute length", nil},
		{"filter without NLA_F_NESTED", unix.NLM_F_DUMP, request(cmdEntryGet, attr(attrFilter)), unix.EINVAL, "NLA_F_NESTED is missing", nil},
		{"bytes after the attributes, dump", unix.NLM_F_DUMP, append(request(cmdEntryGet), 1, 0), unix.EINVAL, "bytes leftover after parsing attributes", nil},
		{"bad range", unix.NLM_F_DUMP, request(cmdEntryGet, byRange(2, 1)), unix.EINVAL, "id-from is above id-to", attrU32(attrIDFrom, 2)},
		{"bad range at the end", unix.NLM_F_DUMP, request(cmdEntryGet, byRange(0xffffffff, 0)), unix.EINVAL, "id-from is above id-to", attrU32(attrIDFrom, 0xffffffff)},
		{"flags outside the mask", unix.NLM_F_DUMP, byFlags(flags, mask), unix.EINVAL, "flags has bits that flags-mask has not", flags},
		{"mask without flags", unix.NLM_F_DUMP, byFlags(mask), unix.EINVAL, "flags-mask goes with flags", mask},
		{"empty prefix", unix.NLM_F_DUMP, byFlags(attrText(attrNamePrefix, "")), unix.EINVAL, "the name-prefix is empty", attrText(attrNamePrefix, "")},
		{"since with a cursor", unix.NLM_F_DUMP, request(cmdEntryGet, since, cursor), unix.EINVAL, "since goes without a cursor", cursor},
		{"since with flags", unix.NLM_F_DUMP, request(cmdEntryGet, since, nest(attrFilter, mask, attrU32(attrFlagsValue, 1))), unix.EINVAL, "since goes with a filter on ids only", nest(attrFilter)},
		{"since with a prefix", unix.NLM_F_DUMP, request(cmdEntryGet, since, nest(attrFilter, prefix)), unix.EINVAL, "since goes with a filter on ids only", nest(attrFilter)},
		{"since before the log", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(attrSince, 0)), unix.ESTALE, "the change log does not reach back that far", nil},
		{"since after the last change", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(attrSince, 0xffffffff)), unix.ESTALE, "the table has not had this generation", nil},
		{"no field", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(attrFields, 0x40)), unix.EINVAL, "reserved bit set", attrU32(attrFields, 0)},
		{"no cursor", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(attrCursor, 4)), unix.ERANGE, "integer out of range", cursor},
		{"no encoding", unix.NLM_F_DUMP, request(cmdEntryGet, attrU32(attrEncoding, 3)), unix.ERANGE, "integer out of range", attrU32(attrEncoding, 0)},

		{"junk attribute, get", 0, request(cmdEntryGet, id, attrU32(unknown, 1)), unix.EINVAL, "Unknown attribute type", nil},
		{"filter, get", 0, request(cmdEntryGet, attrU32(attrID, 1), byRange(0, 1)), unix.EINVAL, "Unknown attribute type", nil},
		{"fields, get", 0, request(cmdEntryGet, attrU32(attrID, 1), attrU32(attrFields, 1)), unix.EINVAL, "Unknown attribute type", nil},
		{"get of nothing", 0, request(cmdEntryGet), unix.EINVAL, "give either an id or a name", nil},
		{"get of two", 0, request(cmdEntryGet, id, name), unix.EINVAL, "give either an id or a name", nil},
		{"get of an empty name", 0, request(cmdEntryGet, attrText(attrName, "")), unix.EINVAL, "a name has 1 to 63 bytes", attrText(attrName, "")},
		{"get of none", 0, request(cmdEntryGet, id), unix.ENOENT, "there is no such entry", nil},
		{"new without id", 0, request(cmdEntryNew, name), unix.EINVAL, "the id is missing", nil},
		{"new without name", 0, request(cmdEntryNew, id), unix.EINVAL, "a new entry needs a name", nil},
		{"new with an id of 8 bytes", 0, request(cmdEntryNew, attr(attrID, make([]byte, 8)...), name), unix.EINVAL, "", nil},
		{"new with empty name", 0, request(cmdEntryNew, id, attrText(attrName, "")), unix.EINVAL, "a name has 1 to 63 bytes", attrText(attrName, "")},
		{"new with a name of 64", 0, request(cmdEntryNew, id, attrText(attrName, strings.Repeat("n", 64))), unix.EINVAL, "Attribute failed policy validation", name},
		{"new with a name that does not end", 0, request(cmdEntryNew, id, attr(attrName, 'a', 'b')), unix.EINVAL, "", nil},
		{"new with a value of 2 bytes", 0, request(cmdEntryNew, id, name, attr(attrValue, 1, 0)), unix.EINVAL, "invalid attribute length", attr(attrValue)},
		{"new with a payload of 60001", 0, request(cmdEntryNew, id, name, attr(attrPayload, make([]byte, payloadMax+1)...)), unix.ERANGE, "Attribute failed policy validation", nil},
		{"new with the largest attribute", 0, request(cmdEntryNew, id, name, attr(attrPayload, make([]byte, 0xffff-4)...)), unix.ERANGE, "Attribute failed policy validation", nil},
		{"new with junk", 0, request(cmdEntryNew, id, name, attrU32(unknown, 1)), unix.EINVAL, "Unknown attribute type", nil},
		{"new with a stats nest", 0, request(cmdEntryNew, id, name, nest(6)), unix.EINVAL, "", nil},
		{"set without id", 0, request(cmdEntrySet, name), unix.EINVAL, "the id is missing", nil},
		{"set with empty name", 0, request(cmdEntrySet, attrU32(attrID, 1), attrText(attrName, "")), unix.EINVAL, "a name has 1 to 63 bytes", attrText(attrName, "")},
		{"set of none", 0, request(cmdEntrySet, id, name), unix.ENOENT, "there is no entry with this id", nil},
		{"del of none", 0, request(cmdEntryDel, id), unix.ENOENT, "there is no entry with this id", nil},
		{"new of one that is there", 0, request(cmdEntryNew, attrU32(attrID, 1), name), unix.EEXIST, "there is an entry with this id", nil},
		{"del without id", 0, request(cmdEntryDel), unix.EINVAL, "the id is missing", nil},
		{"del by name", 0, request(cmdEntryDel, attrText(attrName, "one")), unix.EINVAL, "", nil},
		{"fill without count", 0, request(cmdTableFill), unix.EINVAL, "the count is missing", nil},
		{"fill of 0", 0, request(cmdTableFill, attrU32(attrCount, 0)), unix.ERANGE, "integer out of range", nil},
		{"fill up to an id too large", 0, request(cmdTableFill, attrU32(attrCount, 2), attrU32(attrFillStart, 0xffffffff)), unix.ERANGE, "the last id would be above 0xffffffff", nil},
		{"fill of more than fits", 0, request(cmdTableFill, attrU32(attrCount, 1<<24+1)), unix.ENOSPC, "more than the table may hold (max_entries)", nil},
		{"fill with bad payloads", 0, request(cmdTableFill, attrU32(attrCount, 1), attrU32(attrPayloadMin, 2), attrU32(attrPayloadMax, 1)), unix.EINVAL, "payload-max is below payload-min", attrU32(attrPayloadMax, 1)},
		{"attribute on table-get", 0, request(cmdTableGet, attrU32(1, 1)), unix.EINVAL, "ttribute", nil}, // the words of the core, or of the module
		{"attribute on table-flush", 0, request(cmdTableFlush, attrU32(1, 1)), unix.EINVAL, "ttribute", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := openRaw(t, client.FamilyName, 32<<10).ask(unix.NLM_F_REQUEST|tt.flags, tt.body)
			if v.errno != tt.errno {
				t.Errorf("errno %v, want %v", v.errno, tt.errno)
			}
			if !strings.Contains(v.text, tt.text) {
				t.Errorf("explanation %q, want %q in it", v.text, tt.text)
			}
			if v.intr {
				t.Error("NLM_F_DUMP_INTR, but nothing changed")
			}
			if tt.blame != nil && !blames(v, tt.body, tt.blame) {
				t.Errorf("offset %d is to blame in %x, want that of attribute %x", v.offset, tt.body, tt.blame)
			}
		})
	}
	// The core refuses flags that rtnetlink would accept.
	for _, flags := range []uint16{unix.NLM_F_CREATE, unix.NLM_F_EXCL, unix.NLM_F_REPLACE, unix.NLM_F_CREATE | unix.NLM_F_EXCL, unix.NLM_F_APPEND} {
		t.Run(fmt.Sprintf("new with flags %#x", flags), func(t *testing.T) {
			v := openRaw(t, client.FamilyName, 32<<10).ask(unix.NLM_F_REQUEST|flags, request(cmdEntryNew, id, name))
			if v.errno != unix.EINVAL || !strings.Contains(v.text, "reserved bits") {
				t.Errorf("errno %v, explanation %q; want EINVAL for reserved bits", v.errno, v.text)
			}
		})
	}
	after := state(t, c)
	if after.Count != before.Count || after.Generation != before.Generation {
		t.Errorf("count %d, generation %d; before %d and %d", after.Count, after.Generation, before.Count, before.Generation)
	}
	if after.DumpsStarted != before.DumpsStarted {
		t.Errorf("%d refused dumps were counted as started", after.DumpsStarted-before.DumpsStarted)
	}
	listener.nothing()
	// The table itself accepts a valid request.
	if v := openRaw(t, client.FamilyName, 32<<10).ask(unix.NLM_F_REQUEST, request(cmdEntryNew, id, name)); v.errno != 0 {
		t.Errorf("a right request: %v %s", v.errno, v.text)
	}
}

// blames reports whether a refusal names that attribute of the request's body.
// Before 6.2, a dump is refused in NLMSG_DONE, which names none there
// (kmod/compat.c).
func blames(v verdict, body, attribute []byte) bool {
	if v.done && v.offset == 0 {
		return true
	}
	at := int(v.offset) - unix.SizeofNlMsghdr
	return at > 0 && at+4 <= len(body) && bytes.Equal(body[at+2:at+4], attribute[2:4])
}

// The answer to a request that ends too early does not depend on the bytes
// behind its end.
// Rule 24.
func TestShortRequests(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 100})
	type answer struct {
		verdict
		records int
	}
	// answers cuts requests and attributes short, and puts junk behind.
	answers := func(junk byte) (all []answer) {
		behind := bytes.Repeat([]byte{junk}, 12) // too short for another request
		send := func(flags uint16, body []byte, cut int) {
			t.Helper()
			s := openRaw(t, client.FamilyName, 32<<10)
			defer s.close()
			b := append(s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags, body[:cut]), behind...)
			if err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
				t.Fatal(err)
			}
			var got answer
			for {
				ms, _ := s.read()
				last := ms[len(ms)-1]
				got.records += len(ms)
				if last.Type == unix.NLMSG_ERROR || last.Type == unix.NLMSG_DONE {
					got.verdict = verdictOf(t, last)
					break
				}
			}
			if cut < 4 && got.errno != unix.EINVAL {
				t.Errorf("%x of %x: %+v, want EINVAL", body[:cut], body, got)
			}
			all = append(all, got)
		}
		for _, request := range []struct {
			flags uint16
			body  []byte
		}{
			{unix.NLM_F_DUMP, request(cmdEntryGet, nest(attrFilter, attrU32(attrIDFrom, 10), attrU32(attrIDTo, 19)))},
			{unix.NLM_F_DUMP, request(cmdEntryGet, nest(attrFilter, attrText(attrNamePrefix, "entry-1")))},
			{0, request(cmdEntryGet, attrU32(attrID, 5))},
			{0, request(cmdEntryGet, attrText(attrName, "entry-5"))},
			{0, request(cmdTableGet)},
		} {
			for cut := range len(request.body) + 1 {
				send(request.flags, request.body, cut)
			}
		}
		// An attribute is shorter than its type, and what pads it is junk.
		for typ := uint16(attrIDFrom); typ <= attrFlagsMask; typ++ {
			for n := range 4 {
				short := attr(typ, make([]byte, n)...)
				copy(short[4+n:], behind)
				body := request(cmdEntryGet, nest(attrFilter, short))
				send(unix.NLM_F_DUMP, body, len(body))
			}
		}
		return all
	}
	zeros, ones := answers(0), answers(0xff)
	accepted := 0
	for i := range zeros {
		if zeros[i] != ones[i] {
			t.Errorf("answer %d: %+v with zeros behind the request, %+v with ones", i, zeros[i], ones[i])
		}
		if zeros[i].errno == 0 {
			accepted++
		}
	}
	if accepted < 5 || accepted > len(zeros)/2 {
		t.Errorf("%d of %d requests were accepted", accepted, len(zeros))
	}
}
