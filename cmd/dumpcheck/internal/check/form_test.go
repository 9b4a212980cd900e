// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
	"bulkdump/cmd/dumpcheck/target"
)

// What answers a request in these tests.
var request = nldump.Message{Type: 40, Seq: 7, PortID: 9}

func testTarget() *target.Target {
	return &target.Target{Family: "test", Command: "1", Protocol: unix.NETLINK_GENERIC, Header: 4, Generic: &target.Generic{Name: "test"}, Cmd: 1}
}

// A change changes a message of a page.
type msg struct {
	typ, flags uint16
	seq, port  uint32
	data       []byte
}

func record(attrs ...[]byte) msg {
	m := msg{40, unix.NLM_F_MULTI, 7, 9, []byte{1, 1, 0, 0}}
	for _, a := range attrs {
		m.data = append(m.data, a...)
	}
	return m
}

func done() msg { return msg{unix.NLMSG_DONE, unix.NLM_F_MULTI, 7, 9, make([]byte, 4)} }

func pageOf(messages ...msg) []byte {
	var b []byte
	for _, m := range messages {
		b = binary.NativeEndian.AppendUint32(b, uint32(16+len(m.data)))
		b = binary.NativeEndian.AppendUint16(b, m.typ)
		b = binary.NativeEndian.AppendUint16(b, m.flags)
		b = binary.NativeEndian.AppendUint32(b, m.seq)
		b = binary.NativeEndian.AppendUint32(b, m.port)
		b = append(b, m.data...)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	return b
}

func dumpOf(pages ...[]byte) *observe.Dump {
	d := &observe.Dump{Request: request}
	for _, p := range pages {
		d.Add(p)
	}
	return d
}

// checked runs the checks of the form on a dump, and returns what they find.
func checked(t *testing.T, d *observe.Dump) (found []string, info map[string]string) {
	t.Helper()
	r := &run{Target: testTarget(), base: d, new: &observe.Dump{}}
	r.form.see(r.Target, d)
	info = map[string]string{}
	for _, c := range All {
		switch c.ID {
		case "done", "multi", "address", "command", "attributes", "empty":
			r.result = &Result{ID: c.ID}
			c.run(r)
			info[c.ID] = r.result.Info
			for _, f := range r.result.Findings {
				found = append(found, c.ID+": "+f.Severity.String()+": "+f.Text)
			}
		}
	}
	return found, info
}

func u32(typ uint16, n uint32) []byte {
	return target.Attr(typ, binary.NativeEndian.AppendUint32(nil, n))
}

func TestForm(t *testing.T) {
	as := func(m msg, change func(*msg)) msg { change(&m); return m }
	one := record(u32(1, 5))
	for _, c := range []struct {
		name string
		dump *observe.Dump
		want string // the start of the only finding; "" is none
	}{
		{"sound", dumpOf(pageOf(one, one, done())), ""},
		{"no record", dumpOf(pageOf(done())), ""},
		{"nest", dumpOf(pageOf(record(target.Attr(2|unix.NLA_F_NESTED, u32(1, 5))), done())), ""},
		{"two DONE", dumpOf(pageOf(one, done(), done())), "done: broken: more than one"},
		{"record behind DONE", dumpOf(pageOf(one, done(), one)), "done: broken: 1 record behind"},
		{"DONE without an errno", dumpOf(pageOf(one, as(done(), func(m *msg) { m.data = nil }))), "done: weak: NLMSG_DONE of 0 bytes"},
		{"no MULTI", dumpOf(pageOf(one, as(one, func(m *msg) { m.flags = 0 }), done())), "multi: weak: 1 of the 2"},
		{"sequence", dumpOf(pageOf(as(one, func(m *msg) { m.seq = 0 }), done())), "address: weak: 1 of the 1 records that came have another sequence number than the request, such as 0"},
		{"port", dumpOf(pageOf(as(one, func(m *msg) { m.port = 3 }), done())), "address: weak: 1 of the 1 records that came have another port id than the socket, such as 3"},
		{"command", dumpOf(pageOf(as(one, func(m *msg) { m.data = append([]byte{2}, m.data[1:]...) }), done())), "command: note: 1 of the 1 records that came have another command than the request: 2, not 1"},
		{"type", dumpOf(pageOf(one, as(one, func(m *msg) { m.typ = 41 }), done())), "command: note: records are of more than one type: 40, and 41"},
		{"empty datagram", dumpOf(pageOf(one), nil, pageOf(one, done())), "empty: weak: 1 empty"},
		{"half a record", dumpOf(append(pageOf(one), 8, 0, 1, 0, 1, 2, 3, 4), pageOf(done())), "attributes: broken: 1 pages end in bytes"},
		{"short record", dumpOf(pageOf(as(one, func(m *msg) { m.data = m.data[:2] }), done())), "attributes: broken: a record of 2 bytes"},
		{"long attribute", dumpOf(pageOf(record([]byte{12, 0, 1, 0, 1, 2, 3, 4}), done())), "attributes: broken: attribute 1 has a length of 12 bytes, and 8 are left"},
		{"short attribute", dumpOf(pageOf(record([]byte{3, 0, 1, 0}), done())), "attributes: broken: attribute 1 has a length of 3"},
		{"bytes behind", dumpOf(pageOf(record(u32(1, 5), []byte{1, 2}), done())), "attributes: broken: bytes behind the last attribute that"},
		{"bytes behind in a nest", dumpOf(pageOf(record([]byte{7, 0, 2, 0x80, 1, 2, 3, 0}), done())), "attributes: broken: bytes behind the last attribute in attribute 2"},
		{"padding", dumpOf(pageOf(record([]byte{5, 0, 1, 0, 1, 0, 9, 0}), done())), "attributes: weak: attribute 1: its padding"},
		{"twice", dumpOf(pageOf(record(u32(1, 5), u32(1, 6)), done())), "attributes: note: attribute 1 comes more than once"},
		{"DONE alone", dumpOf(pageOf(one, one), pageOf(one), pageOf(done())), "done: note: NLMSG_DONE is alone"},
		{"string", dumpOf(pageOf(record(target.Attr(3, []byte("abcde"))), record(target.Attr(3, []byte("fgh"))), done())), "attributes: note: attribute 3: \"abcde\": it looks"},
		{"string with a NUL", dumpOf(pageOf(record(target.Attr(3, []byte("abcde"))), record(target.Attr(3, []byte("fg\x00"))), done())), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, _ := checked(t, c.dump)
			switch {
			case c.want == "" && found != nil:
				t.Errorf("found %q", found)
			case c.want != "" && (len(found) != 1 || !strings.HasPrefix(found[0], c.want)):
				t.Errorf("found %q, want %q alone", found, c.want)
			}
		})
	}
}

func TestPlaceOfDone(t *testing.T) {
	one := record(u32(1, 5))
	for want, d := range map[string]*observe.Dump{
		"in the page of the last record": dumpOf(pageOf(one, one), pageOf(one, done())),
		"alone in its page":              dumpOf(pageOf(one, one), pageOf(done())),
	} {
		if _, info := checked(t, d); info["done"] != want {
			t.Errorf("DONE is %q, want %q", info["done"], want)
		}
	}
}
