// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/target"
	"bulkdump/cmd/internal/term"
)

// A Format is what is known of a target's messages.
type Format struct {
	Protocol int
	Header   int  // bytes in front of a record's attributes
	Generic  bool // the header begins with struct genlmsghdr
	Names    target.Names
}

// A Line is a part of a message, decoded.
type Line struct {
	At    int    `json:"at"`    // in the message
	Len   int    `json:"len"`   // in bytes
	Depth int    `json:"depth"` // of nests
	Name  string `json:"name"`
	Text  string `json:"text"`
	Wrong string `json:"wrong,omitempty"` // what is wrong with it, as far as its form tells
	Fault bool   `json:"fault,omitempty"` // it has the place that the finding is about, or is wrong itself
}

var native = binary.NativeEndian

// decoder collects the lines of a message.
type decoder struct {
	Format
	raw   []byte
	lines []Line
}

// Decode decodes a message with its header, however malformed, and marks the place
// of the fault, which may be nil.
func (f Format) Decode(raw []byte, fault *Span) []Line {
	d := decoder{Format: f, raw: raw}
	d.message()
	for i := range d.lines {
		l := &d.lines[i]
		l.Fault = l.Wrong != ""
	}
	if fault == nil {
		return d.lines
	}
	// Of a nest and what is in it, only the innermost has the mark.
	for i := len(d.lines) - 1; i >= 0; i-- {
		l := &d.lines[i]
		inner := i+1 < len(d.lines) && d.lines[i+1].Depth > l.Depth
		end := l.At + l.Len
		if inner {
			end = d.lines[i+1].At
		}
		l.Fault = l.Fault || l.At < fault.To && fault.From < end
	}
	return d.lines
}

func (d *decoder) add(at, length, depth int, name, text, wrong string) {
	d.lines = append(d.lines, Line{At: at, Len: length, Depth: depth, Name: name, Text: text, Wrong: wrong})
}

func (d *decoder) message() {
	const header = unix.SizeofNlMsghdr
	if len(d.raw) < header {
		d.add(0, len(d.raw), 0, "nlmsghdr", hexText(d.raw), fmt.Sprintf("%d bytes, want %d", len(d.raw), header))
		return
	}
	length, typ, flags := native.Uint32(d.raw), native.Uint16(d.raw[4:]), native.Uint16(d.raw[6:])
	wrong := ""
	if int64(length) != int64(len(d.raw)) {
		wrong = fmt.Sprintf("the length is not that of its %d bytes", len(d.raw))
	}
	d.add(0, header, 0, "nlmsghdr", fmt.Sprintf("len %d, type %s, flags %s, seq %d, port id %d",
		length, typeName(typ), flagNames(typ, flags), native.Uint32(d.raw[8:]), native.Uint32(d.raw[12:])), wrong)
	switch {
	case typ == unix.NLMSG_DONE || typ == unix.NLMSG_ERROR:
		d.end(typ, flags)
	case typ < unix.NLMSG_MIN_TYPE:
		d.rest(header)
	default:
		d.record(typ)
	}
}

// end decodes the payload of a DONE or an ERROR.
func (d *decoder) end(typ, flags uint16) {
	const errnoAt = unix.SizeofNlMsghdr
	at := errnoAt + 4
	if len(d.raw) < at {
		d.add(errnoAt, len(d.raw)-errnoAt, 0, "errno", hexText(d.raw[errnoAt:]), "it is too short for one")
		return
	}
	n := int32(native.Uint32(d.raw[errnoAt:]))
	text := strconv.Itoa(int(n))
	if n < 0 {
		text += " (" + unix.ErrnoName(syscall.Errno(-n)) + ")"
	}
	d.add(errnoAt, 4, 0, "errno", text, "")
	if typ == unix.NLMSG_ERROR && len(d.raw) >= at+unix.SizeofNlMsghdr {
		// Then comes the request, or its header alone (NLM_F_CAPPED).
		size := unix.SizeofNlMsghdr
		if flags&nlmFCapped == 0 {
			size = min(int(native.Uint32(d.raw[at:])+3)&^3, len(d.raw)-at)
		}
		d.add(at, size, 0, "request", hexText(d.raw[at:at+size]), "")
		at += size
	}
	if flags&nlmFAckTLVs != 0 {
		d.attrs(d.raw[at:], at, 0, nil, extackNames{})
		return
	}
	d.rest(at)
}

const (
	nlmFCapped  = 0x100
	nlmFAckTLVs = 0x200
)

// extackNames are those of enum nlmsgerr_attrs.
type extackNames struct{}

func (extackNames) Attr(path []uint16) string {
	names := []string{1: "NLMSGERR_ATTR_MSG", "NLMSGERR_ATTR_OFFS", "NLMSGERR_ATTR_COOKIE", "NLMSGERR_ATTR_POLICY", "NLMSGERR_ATTR_MISS_TYPE", "NLMSGERR_ATTR_MISS_NEST"}
	if len(path) != 1 || int(path[0]) >= len(names) {
		return ""
	}
	return names[path[0]]
}

func (d *decoder) record(typ uint16) {
	at, header := unix.SizeofNlMsghdr, d.Header
	if body := d.raw[at:]; len(body) < header {
		d.add(at, len(body), 0, "header", hexText(body), fmt.Sprintf("%d bytes, want %d", len(body), header))
		return
	}
	if d.Generic {
		b := d.raw[at:]
		d.add(at, unix.GENL_HDRLEN, 0, "genlmsghdr", fmt.Sprintf("command %d, version %d", b[0], b[1]), "")
		at, header = at+unix.GENL_HDRLEN, header-unix.GENL_HDRLEN
	}
	if header > 0 {
		name, text := "header", hexText(d.raw[at:at+header])
		if s := headerOf(d.Protocol, typ); s != nil && s.size <= header {
			name, text = s.name, s.text(d.raw[at:])
		}
		d.add(at, header, 0, name, text, "")
	}
	at += header
	d.attrs(d.raw[at:], at, 0, nil, d.Names)
}

// attrs decodes attributes, and those in nests.
func (d *decoder) attrs(b []byte, at, depth int, path []uint16, names target.Names) {
	for len(b) > 0 {
		if len(b) < unix.SizeofNlAttr {
			d.add(at, len(b), depth, "rest", hexText(b), "too short for an attribute")
			return
		}
		n, typ := int(native.Uint16(b)), native.Uint16(b[2:])
		here := append(slices.Clone(path), typ&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER))
		name := attrName(here, names)
		if n < unix.SizeofNlAttr || n > len(b) {
			d.add(at, len(b), depth, name, hexText(b), fmt.Sprintf("it says that it has %d bytes where %d are left", n, len(b)))
			return
		}
		value := b[unix.SizeofNlAttr:n]
		end := min((n+3)&^3, len(b))
		if typ&unix.NLA_F_NESTED != 0 || looksNested(value) {
			text := fmt.Sprintf("nest of %d bytes", len(value))
			if typ&unix.NLA_F_NESTED == 0 {
				text = "looks like a " + text
			}
			d.add(at, end, depth, name, text, "")
			d.attrs(value, at+unix.SizeofNlAttr, depth+1, here, names)
		} else {
			wrong := ""
			if pad := b[n:end]; strings.Trim(string(pad), "\x00") != "" {
				wrong = "padding is not 0: " + hexText(pad)
			}
			d.add(at, end, depth, name, valueText(value, typ&unix.NLA_F_NET_BYTEORDER != 0), wrong)
		}
		b, at = b[end:], at+end
	}
}

// looksNested tells whether a value without NLA_F_NESTED, which older families leave
// out, is most likely a nest: all of it is attributes, of small types.
func looksNested(b []byte) bool {
	if len(b) < 2*unix.SizeofNlAttr {
		return false
	}
	for len(b) > 0 {
		if len(b) < unix.SizeofNlAttr {
			return false
		}
		n, typ := int(native.Uint16(b)), native.Uint16(b[2:])&^unix.NLA_F_NESTED
		end := (n + 3) &^ 3
		if n < unix.SizeofNlAttr || end > len(b) || typ > 255 || strings.Trim(string(b[n:end]), "\x00") != "" {
			return false
		}
		b = b[end:]
	}
	return true
}

// rest has bytes of which nothing is known.
func (d *decoder) rest(at int) {
	if at < len(d.raw) {
		d.add(at, len(d.raw)-at, 0, "data", hexText(d.raw[at:]), "")
	}
}

func attrName(path []uint16, names target.Names) string {
	n := strconv.Itoa(int(path[len(path)-1]))
	if names != nil {
		if name := names.Attr(path); name != "" {
			return n + " " + term.Visible(name)
		}
	}
	return n
}

// most are so many bytes of a value as a line shows.
const most = 16

func hexText(b []byte) string {
	if len(b) == 0 {
		return "no bytes"
	}
	text := fmt.Sprintf("% x", b[:min(len(b), most)])
	if len(b) > most {
		text += fmt.Sprintf(" … (%d bytes)", len(b))
	}
	return text
}

// valueText has a value's bytes, and what they mean if it is a string or a number.
func valueText(v []byte, bigEndian bool) string {
	var order binary.ByteOrder = native
	if bigEndian {
		order = binary.BigEndian
	}
	switch {
	case len(v) == 0:
		return "empty"
	case isString(v):
		s := string(v[:len(v)-1])
		if len(s) > 3*most {
			return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(s[:3*most]), len(v))
		}
		return strconv.Quote(s)
	case len(v) == 1:
		return fmt.Sprintf("%s = %d", hexText(v), v[0])
	case len(v) == 2:
		return fmt.Sprintf("%s = %d", hexText(v), order.Uint16(v))
	case len(v) == 4:
		return fmt.Sprintf("%s = %d", hexText(v), order.Uint32(v))
	case len(v) == 8:
		return fmt.Sprintf("%s = %d", hexText(v), order.Uint64(v))
	}
	return hexText(v)
}

// isString tells whether the value is printable text with its NUL.
func isString(v []byte) bool {
	if len(v) < 2 || v[len(v)-1] != 0 {
		return false
	}
	return !slices.ContainsFunc(v[:len(v)-1], func(c byte) bool { return c < ' ' || c > '~' })
}

func typeName(typ uint16) string {
	names := []string{1: "NLMSG_NOOP", "NLMSG_ERROR", "NLMSG_DONE", "NLMSG_OVERRUN"}
	if int(typ) < len(names) && names[typ] != "" {
		return names[typ]
	}
	return strconv.Itoa(int(typ))
}

type flagName struct {
	bit  uint16
	name string
}

// The flags that answers have, and those of DONE and ERROR.
var (
	answerFlags = []flagName{
		{unix.NLM_F_REQUEST, "REQUEST"}, {unix.NLM_F_MULTI, "MULTI"}, {unix.NLM_F_ACK, "ACK"}, {unix.NLM_F_ECHO, "ECHO"},
		{unix.NLM_F_DUMP_INTR, "DUMP_INTR"}, {unix.NLM_F_DUMP_FILTERED, "DUMP_FILTERED"},
	}
	endFlags = append(slices.Clone(answerFlags), flagName{nlmFCapped, "CAPPED"}, flagName{nlmFAckTLVs, "ACK_TLVS"})
)

func flagNames(typ, flags uint16) string {
	names := answerFlags
	if typ < unix.NLMSG_MIN_TYPE {
		names = endFlags
	}
	var set []string
	for _, n := range names {
		if flags&n.bit != 0 {
			set = append(set, n.name)
			flags &^= n.bit
		}
	}
	if flags != 0 || len(set) == 0 {
		set = append(set, fmt.Sprintf("%#x", flags))
	}
	return strings.Join(set, "|")
}
