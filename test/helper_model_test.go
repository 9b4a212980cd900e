// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A policy says which attributes the kernel takes. It is written by hand from
// bulkdump.yaml, so that an error of the generator shows.
type policy map[uint16]attrPolicy

type attrPolicy struct {
	kind     attrKind
	min, max uint64 // of a number; the length of anything else
	mask     uint64 // of a number, if not 0
	nested   policy
}

type attrKind uint8

const (
	kindU32 attrKind = iota
	kindUint
	kindText
	kindBinary
	kindFlag
	kindNest
)

// The commands, by whether it is a dump.
type operation struct {
	cmd  uint8
	dump bool
}

var (
	anyU32  = attrPolicy{kind: kindU32, max: math.MaxUint32}
	anyUint = attrPolicy{kind: kindUint, max: math.MaxUint64}
	aName   = attrPolicy{kind: kindText, max: 63}
	aBlob   = attrPolicy{kind: kindBinary, max: payloadMax}

	policies = map[operation]policy{
		{cmdEntryGet, false}: {attrID: anyU32, attrName: aName},
		{cmdEntryGet, true}: {
			attrFilter: {kind: kindNest, nested: policy{
				attrIDFrom: anyU32, attrIDTo: anyU32, attrNamePrefix: aName, attrFlagsValue: anyU32, attrFlagsMask: anyU32,
			}},
			attrFields: {kind: kindU32, max: math.MaxUint32, mask: 0x3f}, attrSince: anyUint,
			attrCursor: {kind: kindU32, max: 3}, attrEncoding: {kind: kindU32, max: 2},
		},
		{cmdEntryNew, false}: {attrID: anyU32, attrName: aName, attrFlags: anyU32, attrValue: anyUint, attrPayload: aBlob},
		{cmdEntrySet, false}: {attrID: anyU32, attrName: aName, attrFlags: anyU32, attrValue: anyUint, attrPayload: aBlob,
			attrCreate: {kind: kindFlag}},
		{cmdEntryDel, false}: {attrID: anyU32},
		{cmdTableGet, false}: {},
		{cmdTableFill, false}: {
			attrCount: {kind: kindU32, min: 1, max: math.MaxUint32}, attrSeed: anyUint, attrFillStart: anyU32,
			attrFillStride: {kind: kindU32, min: 1, max: math.MaxUint32},
			attrPayloadMin: {kind: kindU32, max: payloadMax}, attrPayloadMax: {kind: kindU32, max: payloadMax},
		},
		{cmdTableFlush, false}: {},
	}
)

// parse returns the value of each attribute, or whether the kernel must refuse
// them (lib/nlattr.c, NL_VALIDATE_STRICT). Of several, the last one counts.
func (p policy) parse(b []byte) (attrs map[uint16][]byte, ok bool) {
	attrs = make(map[uint16][]byte)
	for len(b) >= unix.SizeofNlAttr {
		size, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < unix.SizeofNlAttr || size > len(b) {
			return nil, false
		}
		value := b[unix.SizeofNlAttr:size]
		if !p[typ&nlaTypeMask].takes(value, typ&unix.NLA_F_NESTED != 0) || !p.has(typ&nlaTypeMask) {
			return nil, false
		}
		attrs[typ&nlaTypeMask] = value
		b = b[min((size+3)&^3, len(b)):]
	}
	return attrs, len(b) == 0
}

const nlaTypeMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

func (p policy) has(typ uint16) bool {
	_, ok := p[typ]
	return ok
}

func (a attrPolicy) takes(value []byte, nested bool) bool {
	if nested != (a.kind == kindNest) {
		return false
	}
	switch a.kind {
	case kindU32, kindUint:
		if len(value) != 4 && (a.kind == kindU32 || len(value) != 8) {
			return false
		}
		n := number(value)
		return n >= a.min && n <= a.max && (a.mask == 0 || n&^a.mask == 0)
	case kindText:
		ends := bytes.IndexByte(value[:min(len(value), int(a.max)+1)], 0) >= 0
		return ends && uint64(len(bytes.TrimSuffix(value, []byte{0}))) <= a.max
	case kindBinary:
		return uint64(len(value)) <= a.max
	case kindFlag:
		return len(value) == 0
	}
	_, ok := a.nested.parse(value)
	return ok
}

func number(value []byte) uint64 {
	if len(value) == 8 {
		return binary.NativeEndian.Uint64(value)
	}
	return uint64(binary.NativeEndian.Uint32(value))
}

// cString is what the kernel takes for the text of an attribute.
func cString(value []byte) string {
	text, _, _ := strings.Cut(string(value), "\x00")
	return text
}

// A tableModel is what the table must hold, and what each request must do to it.
type tableModel struct {
	entries        map[uint32]client.Entry // without Stats
	most           uint64                  // max_entries
	generation     uint64
	tombstones     map[uint64]uint32 // the ids of deleted entries, by generation
	mostTombstones int               // max_tombstones
	floor          uint64            // the change log begins after it
	base, slots    uint64            // its first slot is of the generation after base; it has that many
}

const attrSeed = 2 // of fill

// Outcomes of a request.
const (
	accepted = unix.Errno(0)
	anyError = unix.Errno(1 << 20) // refused, with one of several errors
)

// judge returns what the kernel must answer to a request, and the values of its
// attributes if it reaches the module.
func (m *tableModel) judge(flags uint16, body []byte) (verdict unix.Errno, o operation, attrs map[uint16][]byte) {
	dump := flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	if dump {
		flags &^= unix.NLM_F_DUMP
	}
	if len(body) < 4 || body[2] != 0 || body[3] != 0 || flags&^(unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_ECHO) != 0 {
		return anyError, o, nil
	}
	o = operation{body[0], dump}
	p, ok := policies[o]
	if !ok {
		return anyError, o, nil
	}
	if attrs, ok = p.parse(body[4:]); !ok {
		return anyError, o, nil
	}
	if name, ok := attrs[attrName]; ok && !dump && o.cmd <= cmdEntrySet && cString(name) == "" {
		return unix.EINVAL, o, attrs
	}
	switch o {
	case operation{cmdEntryGet, false}:
		return m.judgeGet(attrs), o, attrs
	case operation{cmdEntryGet, true}:
		return m.judgeDump(attrs), o, attrs
	case operation{cmdTableFill, false}:
		return m.judgeFill(attrs), o, attrs
	case operation{cmdEntryNew, false}, operation{cmdEntrySet, false}, operation{cmdEntryDel, false}:
		return m.judgeChange(o.cmd, attrs), o, attrs
	}
	return accepted, o, attrs
}

func (m *tableModel) judgeGet(attrs map[uint16][]byte) unix.Errno {
	id, byID := attrs[attrID]
	name, byName := attrs[attrName]
	if byID == byName {
		return unix.EINVAL
	}
	if byID {
		if _, there := m.entries[uint32(number(id))]; there {
			return accepted
		}
		return unix.ENOENT
	}
	for _, e := range m.entries {
		if e.Name == cString(name) {
			return accepted
		}
	}
	return unix.ENOENT
}

func (m *tableModel) judgeChange(cmd uint8, attrs map[uint16][]byte) unix.Errno {
	value, ok := attrs[attrID]
	if !ok {
		return unix.EINVAL
	}
	_, there := m.entries[uint32(number(value))]
	_, named := attrs[attrName]
	_, create := attrs[attrCreate]
	makes := cmd == cmdEntryNew || cmd == cmdEntrySet && create && !there
	switch {
	case makes && !named:
		return unix.EINVAL
	case makes && there:
		return unix.EEXIST
	case makes && uint64(len(m.entries)) >= m.most:
		return unix.ENOSPC
	case !makes && !there:
		return unix.ENOENT
	}
	return accepted
}

func (m *tableModel) judgeFill(attrs map[uint16][]byte) unix.Errno {
	f, ok := fillOf(attrs)
	switch {
	case !ok || f.payloadMin > f.payloadMax:
		return unix.EINVAL
	case f.start+(f.count-1)*f.stride > math.MaxUint32:
		return unix.ERANGE
	case f.count > m.most || uint64(len(m.entries)) > m.most-f.count:
		return unix.ENOSPC
	}
	for i := range f.count {
		if _, there := m.entries[uint32(f.start+i*f.stride)]; there {
			return unix.EEXIST
		}
	}
	return accepted
}

type fillModel struct{ count, start, stride, payloadMin, payloadMax uint64 }

func fillOf(attrs map[uint16][]byte) (f fillModel, ok bool) {
	get := func(typ uint16, otherwise uint64) uint64 {
		if value, ok := attrs[typ]; ok {
			return number(value)
		}
		return otherwise
	}
	_, ok = attrs[attrCount]
	f = fillModel{count: get(attrCount, 0), start: get(attrFillStart, 0), stride: get(attrFillStride, 1), payloadMin: get(attrPayloadMin, 0)}
	f.payloadMax = get(attrPayloadMax, f.payloadMin)
	return f, ok
}

func (m *tableModel) judgeDump(attrs map[uint16][]byte) unix.Errno {
	f, ok := filterOf(attrs[attrFilter])
	value, since := attrs[attrSince]
	_, cursor := attrs[attrCursor]
	switch {
	case !ok:
		return unix.EINVAL
	case since && (cursor || f.prefix != "" || f.mask != 0):
		return unix.EINVAL
	case since && (number(value) < m.floor || number(value) > m.generation):
		return unix.ESTALE
	}
	return accepted
}

type filterModel struct {
	from, to    uint32
	prefix      string
	flags, mask uint32
}

func filterOf(nest []byte) (f filterModel, ok bool) {
	f.to = math.MaxUint32
	attrs, ok := policies[operation{cmdEntryGet, true}][attrFilter].nested.parse(nest)
	if !ok {
		return f, false
	}
	u32 := func(typ uint16, to *uint32) bool {
		value, ok := attrs[typ]
		if ok {
			*to = uint32(number(value))
		}
		return ok
	}
	u32(attrIDFrom, &f.from)
	u32(attrIDTo, &f.to)
	if text, ok := attrs[attrNamePrefix]; ok {
		if f.prefix = cString(text); f.prefix == "" {
			return f, false
		}
	}
	flags := u32(attrFlagsValue, &f.flags)
	mask := u32(attrFlagsMask, &f.mask)
	if flags && !mask {
		f.mask = math.MaxUint32
	}
	return f, f.from <= f.to && (flags || !mask) && f.flags&^f.mask == 0
}

func (f filterModel) wants(e client.Entry) bool {
	return e.ID >= f.from && e.ID <= f.to && strings.HasPrefix(e.Name, f.prefix) && (e.Flags^f.flags)&f.mask == 0
}

// apply does an accepted change to the model, and returns the ids that it touches.
// read returns the table's entries: what a fill makes is taken from there.
func (m *tableModel) apply(o operation, attrs map[uint16][]byte, read func() []client.Entry) (touched []uint32, err error) {
	id := uint32(0)
	if value, ok := attrs[attrID]; ok {
		id = uint32(number(value))
	}
	switch o.cmd {
	case cmdEntryNew, cmdEntrySet:
		e := m.entries[id]
		e.ID = id
		if value, ok := attrs[attrName]; ok {
			e.Name = cString(value)
		}
		if value, ok := attrs[attrFlags]; ok {
			e.Flags = uint32(number(value))
		}
		if value, ok := attrs[attrValue]; ok {
			e.Value = number(value)
		}
		if value, ok := attrs[attrPayload]; ok {
			e.Payload = bytes.Clone(value)
			if len(value) == 0 {
				e.Payload = nil // as it is read
			}
		}
		m.fit(1)
		m.generation++
		e.Generation = m.generation
		m.entries[id] = e
		return []uint32{id}, nil
	case cmdEntryDel:
		m.fit(1)
		m.generation++
		delete(m.entries, id)
		m.bury(id, m.generation)
		return []uint32{id}, nil
	case cmdTableFlush:
		touched = slices.Collect(maps.Keys(m.entries))
		m.generation++
		m.forget()
		clear(m.entries)
		return touched, nil
	}
	return m.applyFill(attrs, read())
}

// fit starts the log again if so many changes do not fit.
func (m *tableModel) fit(changes uint64) {
	if m.generation+changes-m.base > m.slots {
		m.forget()
	}
}

// forget starts the log again, with nothing in it.
func (m *tableModel) forget() {
	m.floor, m.base = m.generation, m.generation
	clear(m.tombstones)
}

// bury puts a deleted entry into the log, which may lose the oldest one for it.
func (m *tableModel) bury(id uint32, generation uint64) {
	m.tombstones[generation] = id
	if len(m.tombstones) > m.mostTombstones {
		m.floor = slices.Min(slices.Collect(maps.Keys(m.tombstones)))
		delete(m.tombstones, m.floor)
	}
}

func (m *tableModel) applyFill(attrs map[uint16][]byte, all []client.Entry) (touched []uint32, err error) {
	f, _ := fillOf(attrs)
	there := make(map[uint32]client.Entry)
	for _, e := range withoutStats(all) {
		there[e.ID] = e
	}
	m.fit(f.count)
	for i := range f.count {
		id := uint32(f.start + i*f.stride)
		m.generation++
		e, ok := there[id]
		if n := uint64(len(e.Payload)); !ok || n < f.payloadMin || n > f.payloadMax || e.Name == "" || e.Generation != m.generation {
			return nil, fmt.Errorf("the fill made %+v (%t), want generation %d, and %d to %d bytes", e, ok, m.generation, f.payloadMin, f.payloadMax)
		}
		m.entries[id] = e
		touched = append(touched, id)
	}
	return touched, nil
}

// undoFill does to the model what a fill does that meets an entry on its way: what it
// has made until then is deleted.
func (m *tableModel) undoFill(attrs map[uint16][]byte) (touched []uint32) {
	f, _ := fillOf(attrs)
	m.fit(f.count)
	for i := range f.count {
		id := uint32(f.start + i*f.stride)
		if _, there := m.entries[id]; there {
			break
		}
		m.bury(id, m.generation+1+i)
		touched = append(touched, id)
	}
	m.generation += f.count
	return touched
}
