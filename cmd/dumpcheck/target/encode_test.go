// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"bulkdump/client/nldump"
)

// foo is a dump of the family of the spec in testdata, with a policy and a header.
func foo(t *testing.T, spec bool) *Target {
	t.Helper()
	inside := Policy{2: {Type: TypeU16}}
	g := &Generic{ID: 40, Name: "foo", Version: 1, Header: 20, Ops: map[uint8]Op{
		4: {Flags: 1 << 2, DumpPolicy: Policy{1: {Type: TypeU32}, 2: {Type: TypeNulString}, 7: {Type: TypeNested, HasNested: true, Inside: inside}, 8: {Type: TypeBinary}}},
	}}
	d := g.Dumps(nil)[0]
	if spec {
		if Describe([]*Target{d}, readSpec(t, "testdata/specs/foo.yaml")) != 1 {
			t.Fatal("the spec does not describe it")
		}
	}
	return d
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		spec  bool
		words string
		want  string // attributes, on a little-endian machine
	}{
		{false, "3=u32:5", "08000300 05000000"},
		{false, "3=be32:5", "08000300 00000005"},
		{false, "3=s8:-1", "05000300 ff000000"},
		{false, "3=u64:0x10", "0c000300 1000000000000000"},
		{false, "3=string:lo", "07000300 6c6f0000"},
		{false, "3=bytes:010203", "07000300 01020300"},
		{false, "3=ip:10.0.0.1", "08000300 0a000001"},
		{false, "3=mac:02:00:00:00:00:01", "0a000300 0200000000010000"},
		{false, "3", "04000300"},
		{false, "1=5", "08000100 05000000"},
		{false, "2=lo", "07000200 6c6f0000"},
		{false, "7.2=3", "0c000780 06000200 03000000"},
		{false, "3.1=u8:1 3.2=u8:2", "14000380 05000100 01000000 05000200 02000000"},
		{false, "3=u8:1 3=u8:2", "05000300 01000000 05000300 02000000"},
		{true, "index=7", "08000100 07000000"},
		{true, "name=eth0", "09000200 65746830 00"},
		{true, "color=green", "05000a00 04000000"},
		{true, "color=blue", "05000a00 09000000"},
		{true, "color=black", "05000a00 0a000000"},
		{true, "options=slow", "08000b00 02000000"},
		{true, "address=10.1.2.3", "08000c00 0a010203"},
		{true, "address=1", "08000c00 00000001"},
		{true, "up", "04000d00"},
		{true, "first-queue.id=1", "0c000f80 06000100 00010000"},
		{true, "queues.5.mac=02:00:00:00:00:01", "14000e80 10000580 0a000200 020000000001 0000"},
		{true, "queues.5.1=1", "10000e80 0c000580 06000100 00010000"},
		{true, "10=u16:1", "06000a00 01000000"},
	} {
		d := foo(t, c.spec)
		s, err := d.Select(strings.Fields(c.words))
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		want := unhex(t, c.want)
		want = append(want, zeros(-len(want)&3)...)
		if got := s.Request.Data[24:]; !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", c.words, got, want)
		}
		if s.Note != c.words || len(d.Request.Data) != 24 {
			t.Errorf("%s: the note is %q, and the request before has %d bytes", c.words, s.Note, len(d.Request.Data))
		}
	}
}

func TestSelectBytesOfTheHeader(t *testing.T) {
	s, err := foo(t, false).Select([]string{"header[4:8]=u32:7", "1=2"})
	if err != nil || !bytes.Equal(s.Request.Data[:8], unhex(t, "04010000 07000000")) || len(s.Request.Data) != 32 {
		t.Errorf("% x, %v", s.Request.Data, err)
	}
}

// TestSelectKeepsTheRest checks that an attribute that a request needs stays, unless it
// is given.
func TestSelectKeepsTheRest(t *testing.T) {
	g := &Generic{ID: 41, Name: "ethtool", Version: 1, Ops: map[uint8]Op{17: {Flags: 1 << 2}}}
	for words, want := range map[string]string{"2=u8:1": "04000180 05000200 01000000", "1.2=string:lo": "0c000180 07000200 6c6f0000"} {
		s, err := g.Dumps(nil)[0].Select([]string{words})
		if err != nil || !bytes.Equal(s.Request.Data[4:], unhex(t, want)) {
			t.Errorf("%s: % x, %v, want %s", words, s.Request.Data[4:], err, want)
		}
	}
}

func TestSelectErrors(t *testing.T) {
	for _, c := range []struct {
		spec        bool
		words, want string
	}{
		{false, "3=5", "nothing tells its type"},
		{false, "8=xyz", "it has the type bytes"},
		{false, "3=u32:x", `"x": invalid syntax`},
		{false, "3=u8:256", `"256": value out of range`},
		{false, "1=-1", `it has the type u32: "-1": invalid syntax`},
		{false, "7=1", "it is a nest: name an attribute in it"},
		{false, "name=eth0", "no spec is known that has names"},
		{false, "0=u8:1", "want 1 to 16383"},
		{false, "70000=u8:1", "want 1 to 16383"},
		{false, "=1", `attribute ""`},
		{false, "header[4:8]=u16:1", "a value of 2 bytes for 4 bytes of the header"},
		{false, "header[4:28]=u16:1", "the header of this dump's records has 24 bytes"},
		{false, "header[4]=u16:1", "want header[FROM:TO]"},
		{false, "header[4:8]=1", "want a type and a value"},
		{false, "3=mac:1", "invalid MAC address"},
		{false, "3=ip:1", "unable to parse IP"},
		{false, "3=string:" + strings.Repeat("x", 65531), "the attributes have 65536 bytes, want at most 65535"},
		{true, "nane=1", `attribute set device has no attribute "nane" (did you mean name?)`},
		{true, "index", "it has the type u32: want a value"},
		{true, "up=1", "it is a flag: no value"},
		{true, "color=pink", `it has the type u8: "pink"`},
		{true, "queues.foo=1", "attribute queues is an array: want an index"},
		{true, "index.foo=1", "what is before it is no nest with names"},
		{true, "first-queue.x=1", "attribute set queue has no attribute"},
		{true, "first-queue=1", "it is a nest"},
	} {
		if s, err := foo(t, c.spec).Select([]string{c.words}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", c.words, s, err, c.want)
		}
	}
}

func TestParseKey(t *testing.T) {
	set := readSpec(t, "testdata/specs/foo.yaml").sets["device"]
	for _, c := range []struct{ text, want, names string }{
		{"1", "1", "index"},
		{"1,2.3", "1,2.3", "index,name.3"},
		{"index, first-queue.id", "1,15.1", "index,first-queue.id"},
		{"header[4:8],10", "header[4:8],10", "header[4:8],color"},
		{"queues.1.mac", "14.1.2", "queues.1.mac"},
	} {
		k, err := ParseKey(c.text, 8, set)
		if err != nil || k.String() != c.want || k.Text(set) != c.names {
			t.Errorf("%s: %v, %s, %v", c.text, k, k.Text(set), err)
		}
	}
	for text, want := range map[string]string{
		"":             "attribute \"\"",
		"1,1":          "1 comes twice",
		"1,,2":         "attribute \"\"",
		"header[0:9]":  "has 8 bytes",
		"header[4:4]":  "has 8 bytes",
		"header[-1:4]": "has 8 bytes",
		"header[1:2":   "want header[FROM:TO]",
		"header[a:b]":  "want header[FROM:TO]",
		"indx":         "did you mean index?",
		"1.x":          "no nest with names",
	} {
		if k, err := ParseKey(text, 8, set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, k, err, want)
		}
	}
}

// record is a message with a header of 8 bytes.
func record(header uint64, attrs ...[]byte) nldump.Message {
	return nldump.Message{Data: append(append(u32(1), u32(uint32(header))...), slices.Concat(attrs...)...)}
}

func TestFindKey(t *testing.T) {
	id := func(n uint32) []byte { return Attr(1, u32(n)) }
	name := func(s string) []byte { return Attr(2, text(s)) }
	same := Attr(3, u32(9))
	for what, c := range map[string]struct {
		records []nldump.Message
		want    string
	}{
		"one attribute":        {[]nldump.Message{record(0, same, id(1), name("a")), record(0, same, id(2), name("a"))}, "1"},
		"the header":           {[]nldump.Message{record(1, same), record(2, same)}, "header[4:8]"},
		"two attributes":       {[]nldump.Message{record(0, id(1), name("a")), record(0, id(1), name("b")), record(0, id(2), name("a"))}, "1,2"},
		"header and attribute": {[]nldump.Message{record(1, id(1)), record(1, id(2)), record(2, id(1)), record(2, id(2))}, "header[4:8],1"},
		"three attributes": {[]nldump.Message{
			record(0, id(1), name("a"), Attr(4, u8(1))), record(0, id(1), name("a"), Attr(4, u8(2))), record(0, id(1), name("b"), Attr(4, u8(1))),
			record(0, id(2), name("a"), Attr(4, u8(1))), record(0, id(2), name("b"), Attr(4, u8(2)))}, "1,2,4"},
		"an attribute that one lacks": {[]nldump.Message{record(0, same, id(1)), record(0, same, id(2)), record(0, same)}, "1"},
		"in a nest":                   {[]nldump.Message{record(0, same, Nest(5, id(1))), record(0, same, Nest(5, id(2)))}, "5.1"},
		"all the same":                {[]nldump.Message{record(0, id(1)), record(0, id(1))}, "the whole record"},
		"a single one":                {[]nldump.Message{record(0, id(1))}, "the whole record"},
	} {
		k := FindKey(c.records, 8)
		if k.String() != c.want {
			t.Errorf("%s: %v, want %s", what, k, c.want)
		}
		if !k.IsZero() && !unique(c.records, 8, k) {
			t.Errorf("%s: %v is not unique", what, k)
		}
	}
}

// TestKeyOfAbsence checks that an attribute that is not there differs from one that is
// empty, and that neighbours in the key do not mix.
func TestKeyOfAbsence(t *testing.T) {
	k := key(nil, 1, 2)
	seen := map[string]int{}
	for i, m := range []nldump.Message{
		record(0), record(0, Attr(1)), record(0, Attr(2)), record(0, Attr(1, []byte("a"))), record(0, Attr(2, []byte("a"))),
		record(0, Attr(1, []byte("a")), Attr(2)), record(0, Attr(1), Attr(2, []byte("a"))),
	} {
		s, ok := k.Of(m, 8)
		if other, twice := seen[s]; twice || !ok {
			t.Errorf("records %d and %d have the same key, or none", other, i)
		}
		seen[s] = i
	}
	if _, ok := k.Of(record(0, []byte{3, 0, 1, 0}), 8); ok {
		t.Error("a malformed record has a key")
	}
	if _, ok := k.Of(nldump.Message{Data: zeros(4)}, 8); ok {
		t.Error("a short record has a key")
	}
}

func TestKeyRequest(t *testing.T) {
	m := record(0, Attr(3, u8(3)), Nest(1, Attr(5, u8(5)), Attr(6, u8(6)), Nest(7, Attr(8, u8(8)))), Attr(2, u8(2)))
	k := Key{Attrs: [][]uint16{{1, 6}, {2}, {1, 7, 8}, {9}, {4, 1}}}
	want := slices.Concat(Nest(1, Attr(6, u8(6)), Nest(7, Attr(8, u8(8)))), Attr(2, u8(2)))
	if got := k.Request(m, 8); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

// TestElements has two objects, the first of which is in two records.
func TestElements(t *testing.T) {
	child := func(id, value uint32) []byte { return Nest(2, slices.Concat(Attr(1, u32(id)), Attr(2, u32(value)))) }
	records := []nldump.Message{
		record(0, Attr(1, u32(7)), child(1, 5), child(2, 5)),
		record(0, Attr(1, u32(7)), child(3, 5)),
		record(0, Attr(1, u32(8)), child(1, 5), child(2, 5)),
	}
	k := FindElement(records, 8)
	if k.String() != "1,each[2.1]" {
		t.Errorf("the key is %q", k)
	}
	for text, want := range map[string]int{"1,each[2.1]": 5, "1,each[2]": 5, "1,each[2.0]": 7, "1,each[2.2]": 2, "1": 2, "each[0]": 5} {
		k, err := ParseKey(text, 8, nil)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, m := range records {
			k.Each(m, 8, func(key string) { keys[key] = true })
		}
		if len(keys) != want {
			t.Errorf("%s: there are %d keys, want %d", text, len(keys), want)
		}
	}
}
