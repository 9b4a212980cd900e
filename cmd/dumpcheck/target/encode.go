// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Select returns the target with a request for what the words select, each of which is
//
//	PATH=VALUE        an attribute, whose type the spec or the policy tells
//	PATH=TYPE:VALUE   an attribute: 3=u32:5, 1.2=string:eth0
//	PATH              a flag
//	header[4:8]=u32:2 bytes of the family's header
//
// A path is the attribute's number or name after those of the nests that it is in:
// "1.2", "header.dev-name". Nests are made as needed. The types are u8 to u64, s8 to s64,
// be16 to be64, string, bytes (in hexadecimal), ip, and mac.
func (t *Target) Select(words []string) (*Target, error) {
	head := t.head()
	data := bytes.Clone(t.Request.Data[:head])
	var tree encoder
	for _, word := range words {
		place, value, has := strings.Cut(word, "=")
		if strings.HasPrefix(place, "header[") {
			if err := patch(data, place, value, has); err != nil {
				return nil, fmt.Errorf("--attr %s: %w", word, err)
			}
			continue
		}
		path, attr, err := parsePath(place, t.set(), false)
		if err != nil {
			return nil, fmt.Errorf("--attr %s: %w", word, err)
		}
		b, err := encodeValue(value, has, attr, t.policy(path))
		if err != nil {
			return nil, fmt.Errorf("--attr %s: %w", word, err)
		}
		tree.put(path, b)
	}
	// What the plain request has besides stays.
	for a := nldump.Parse(t.Request.Data[min(align(head), len(t.Request.Data)):]); a.Next(); {
		if !slices.ContainsFunc(tree, func(e encoded) bool { return e.typ == a.Type() }) {
			data = append(data, Attr(nested(a), a.Bytes())...)
		}
	}
	other := *t
	other.Note = strings.Join(words, " ")
	attrs := tree.encode()
	if len(attrs) > math.MaxUint16 { // nla_len has 16 bits
		return nil, fmt.Errorf("--attr: the attributes have %d bytes, want at most %d", len(attrs), math.MaxUint16)
	}
	other.Request.Data = append(data, attrs...)
	return &other, nil
}

func nested(a nldump.Attrs) uint16 {
	if a.IsNested() {
		return a.Type() | unix.NLA_F_NESTED
	}
	return a.Type()
}

// head is how long the header of the request is.
func (t *Target) head() int {
	if t.plain > 0 {
		return t.plain
	}
	return len(t.Request.Data)
}

func (t *Target) set() *AttrSet {
	if t.Operation == nil {
		return nil
	}
	return t.Operation.Set
}

// policy is what the kernel exports of an attribute; nil if it does not.
func (t *Target) policy(path []uint16) *PolicyAttr {
	if t.Generic == nil {
		return nil
	}
	p := t.Generic.Ops[t.Cmd].DumpPolicy
	for i, typ := range path {
		a, ok := p[typ]
		if !ok {
			return nil
		}
		if i == len(path)-1 {
			return &a
		}
		p = a.Inside
	}
	return nil
}

// parsePath parses "1.2" or "header.dev-name". It may begin with 0 only if zero says so.
// The attribute is nil if no spec tells of it.
func parsePath(text string, set *AttrSet, zero bool) (path []uint16, attr *SpecAttr, err error) {
	for word := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(word, 10, 64)
		number := uint16(n)
		switch skip := attr != nil && len(path) > 0 && attr.levels > 0; {
		case err != nil && skip:
			return nil, nil, fmt.Errorf("attribute %s is an array: want an index, not %q", attr.Name, word)
		case err != nil && set == nil && attr == nil && len(path) == 0:
			return nil, nil, fmt.Errorf("attribute %q: no spec is known that has names: give a number, or --spec", word)
		case err != nil && set == nil:
			return nil, nil, fmt.Errorf("attribute %q: what is before it is no nest with names", word)
		case err != nil:
			attr = set.byName[word]
			if attr == nil {
				return nil, nil, fmt.Errorf("attribute set %s has no attribute %q%s: it has %s", set.Name, word, nearest(word, set.names()), strings.Join(set.names(), ", "))
			}
			number = attr.Number
		case n >= 1<<14 || n == 0 && len(path) == 0 && !zero: // in a nest, it may be the index of an array
			return nil, nil, fmt.Errorf("attribute %q: want 1 to 16383", word)
		case skip:
			copy := *attr
			copy.levels--
			attr = &copy
		case set != nil:
			attr = set.byNumber[number]
		default:
			attr = nil
		}
		path = append(path, number)
		if set = nil; attr != nil && attr.levels == 0 {
			set = attr.Inside
		}
	}
	return path, attr, nil
}

func (s *AttrSet) names() (names []string) {
	for _, a := range s.Attrs {
		names = append(names, a.Name)
	}
	return names
}

// patch writes bytes of a header.
func patch(data []byte, place, value string, has bool) error {
	k, err := ParseKey(place, len(data), nil)
	if err != nil {
		return err
	}
	typ, _, ok := strings.Cut(value, ":")
	if !has || !ok || valueTypes[typ] == nil {
		return fmt.Errorf("want a type and a value, such as %s=u32:2", place)
	}
	b, err := encodeValue(value, true, nil, nil)
	if err != nil {
		return err
	}
	if r := k.Header[0]; r[1]-r[0] != len(b) {
		return fmt.Errorf("a value of %d bytes for %d bytes of the header", len(b), r[1]-r[0])
	}
	copy(data[k.Header[0][0]:], b)
	return nil
}

// An encoder has attributes to encode, in order.
type (
	encoder []encoded
	encoded struct {
		typ    uint16
		value  []byte
		inside encoder
		nest   bool
	}
)

func (e *encoder) put(path []uint16, value []byte) {
	if len(path) == 1 {
		*e = append(*e, encoded{typ: path[0], value: value})
		return
	}
	i := slices.IndexFunc(*e, func(a encoded) bool { return a.nest && a.typ == path[0] })
	if i < 0 {
		i = len(*e)
		*e = append(*e, encoded{typ: path[0], nest: true})
	}
	(*e)[i].inside.put(path[1:], value)
}

func (e encoder) encode() (b []byte) {
	for _, a := range e {
		if a.nest {
			b = append(b, Nest(a.typ, a.inside.encode())...)
		} else {
			b = append(b, Attr(a.typ, a.value)...)
		}
	}
	return b
}

// valueTypes encode a value of the type.
var valueTypes = map[string]func(string) ([]byte, error){
	"u8": unsigned(1, binary.NativeEndian), "u16": unsigned(2, binary.NativeEndian), "u32": unsigned(4, binary.NativeEndian), "u64": unsigned(8, binary.NativeEndian),
	"s8": signed(1), "s16": signed(2), "s32": signed(4), "s64": signed(8),
	"be16": unsigned(2, binary.BigEndian), "be32": unsigned(4, binary.BigEndian), "be64": unsigned(8, binary.BigEndian),
	"uint": unsigned(8, binary.NativeEndian), "sint": signed(8),
	"string": func(s string) ([]byte, error) { return text(s), nil },
	"bytes":  func(s string) ([]byte, error) { return hex.DecodeString(strings.ReplaceAll(s, " ", "")) },
	"ip": func(s string) ([]byte, error) {
		a, err := netip.ParseAddr(s)
		return a.AsSlice(), err
	},
	"mac": func(s string) ([]byte, error) {
		a, err := net.ParseMAC(s)
		return a, err
	},
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func number(n uint64, size int, order byteOrder) []byte {
	switch size {
	case 1:
		return []byte{byte(n)}
	case 2:
		return order.AppendUint16(nil, uint16(n))
	case 4:
		return order.AppendUint32(nil, uint32(n))
	}
	return order.AppendUint64(nil, n)
}

func unsigned(size int, order byteOrder) func(string) ([]byte, error) {
	return func(s string) ([]byte, error) {
		n, err := strconv.ParseUint(s, 0, 8*size)
		return number(n, size, order), plainError(err)
	}
}

func signed(size int) func(string) ([]byte, error) {
	return func(s string) ([]byte, error) {
		n, err := strconv.ParseInt(s, 0, 8*size)
		return number(uint64(n), size, binary.NativeEndian), plainError(err)
	}
}

// plainError leaves out the name of the function.
func plainError(err error) error {
	if e := new(strconv.NumError); errors.As(err, &e) {
		return fmt.Errorf("%q: %w", e.Num, e.Err)
	}
	return err
}

// encodeValue encodes a value by the type in front of it, or by what the spec or the
// policy says.
func encodeValue(value string, has bool, attr *SpecAttr, policy *PolicyAttr) ([]byte, error) {
	if !has {
		if attr != nil && attr.Type != "flag" {
			return nil, fmt.Errorf("it has the type %s: want a value", attr.Type)
		}
		return nil, nil
	}
	if typ, rest, ok := strings.Cut(value, ":"); ok && valueTypes[typ] != nil {
		return valueTypes[typ](rest)
	}
	typ := ""
	if attr != nil {
		if n, ok := attr.Values[value]; ok {
			value = strconv.FormatUint(n, 10)
		}
		typ = attr.valueType(value)
	} else if policy != nil {
		typ = policyTypes[policy.Type]
	}
	switch {
	case typ == "flag":
		return nil, errors.New("it is a flag: no value")
	case typ == "nest":
		return nil, errors.New("it is a nest: name an attribute in it")
	case valueTypes[typ] != nil:
		b, err := valueTypes[typ](value)
		if err != nil {
			return nil, fmt.Errorf("it has the type %s: %w", typ, err)
		}
		return b, nil
	}
	return nil, errors.New("nothing tells its type: give one, such as u32:5, string:eth0, bytes:0a00")
}

// valueType is the type of a value that a spec's attribute has.
func (a *SpecAttr) valueType(value string) string {
	_, err := netip.ParseAddr(value)
	switch size := numberSizes[a.Type]; {
	case err == nil && (a.Hint == "ipv4" || a.Hint == "ipv6" || a.Hint == "ipv4-or-v6"):
		return "ip"
	case a.Hint == "mac":
		return "mac"
	case size > 1 && a.Big:
		return fmt.Sprint("be", 8*size)
	case a.Type == "binary":
		return "bytes"
	}
	return a.Type
}

var policyTypes = map[uint32]string{
	TypeFlag: "flag", TypeU8: "u8", TypeU16: "u16", TypeU32: "u32", TypeU64: "u64", TypeS8: "s8", TypeS16: "s16", TypeS32: "s32",
	TypeS64: "s64", TypeBinary: "bytes", TypeString: "string", TypeNulString: "string", TypeNested: "nest", TypeNestedArray: "nest",
	TypeSint: "sint", TypeUint: "uint",
}
