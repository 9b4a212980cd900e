// SPDX-License-Identifier: BSD-3-Clause

// Package target finds the dumps that this kernel has, and tells what is known of
// each: the request, the policy, the rights, the key of a record, the names of
// attributes, what moves by itself, and how the table is changed.
//
// A socket belongs to the network namespace of the thread that opens it. So what
// this package finds is what the calling thread's namespace has.
package target

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A Target is a dump.
type Target struct {
	Family, Command string         // "rtnetlink inet", "getrule"
	Note            string         // what the request selects: "with IFLA_EXT_MASK"
	Protocol        int            // unix.NETLINK_GENERIC, …
	Request         nldump.Message // Type, and Data: headers, then attributes
	Header          int            // bytes in front of a record's attributes; -1 if it has no attributes
	NoAck           bool           // the kernel acknowledges first, and dumps later
	Home            bool           // it is only in the first network namespace, or its table is
	Generic         *Generic       // nil for a protocol that is not generic netlink
	Cmd             uint8          // of generic netlink
	Key             Key            // zero: not known
	Moving          []Part         // what changes by itself, such as an age
	Changer         Changer        // nil: nothing is known that changes the table
	Names           Names          // of attributes; nil if there is no spec

	Operation *Operation // what the spec says; nil if there is none

	plain int      // bytes of the plain request's header; 0 is all of it
	words []string // that select it on the command line, besides Family and Command
}

// Names are the names of attributes.
type Names interface {
	// Attr returns the name of an attribute, or "" if it is not known. Path is its
	// type after those of the nests that it is in.
	Attr(path []uint16) string
}

// A Changer changes the table of a target. It has objects of its own, numbered from
// 0, and touches no others. Object 0 is at the start of the table, object 1 at its
// end, and the others are spread between, if the table has an order.
//
// It opens its socket at the first change, in the network namespace of the calling
// thread. It may be used by one goroutine at a time. Some of those that are built in make
// a link or a table to have objects in, and leave it there: they are for a network
// namespace that nobody else uses (OwnNamespace).
type Changer interface {
	Add(n int) error
	Remove(n int) error
	Set(n int) error // changes it in place; errors.ErrUnsupported if nothing can be changed
}

// Name is what the target is called on the command line and in reports.
func (t *Target) Name() string { return strings.TrimSpace(t.Family + " " + t.Title()) }

// Title is the command and the note.
func (t *Target) Title() string { return strings.TrimSpace(t.Command + " " + t.Note) }

func (t *Target) String() string { return t.Name() }

// With returns the request with more attributes.
func (t *Target) With(attrs ...[]byte) nldump.Message {
	m := t.Request
	m.Data = bytes.Join(append([][]byte{m.Data}, attrs...), nil)
	return m
}

// An Ask is what a request selects: attributes, and the header in front of them
// unless it is the plain one.
type Ask struct {
	Note          string
	Header, Attrs []byte
}

// Asks returns the requests to make of a dump, each of which becomes a target. For
// nil, the plain request is made, with what is known to be needed.
type Asks func(family, command string) []Ask

// of returns the requests for a target, where header is the plain one. With generic
// netlink, its first bytes are struct genlmsghdr, which an Ask leaves as it is.
func (asks Asks) of(t *Target, header []byte) (targets []*Target) {
	var list []Ask
	if asks != nil {
		list = asks(t.Family, t.Command)
	}
	if list == nil {
		list = plain(t.Family, t.Command)
	}
	for _, a := range list {
		other := *t
		other.Note = a.Note
		h := header
		switch {
		case len(a.Header) > 0 && t.Generic != nil:
			h = slices.Concat(header[:unix.GENL_HDRLEN], a.Header)
		case len(a.Header) > 0:
			h = slices.Clone(a.Header)
		}
		other.Request.Data, other.plain = slices.Concat(h, a.Attrs), len(h)
		other.describe()
		targets = append(targets, &other)
	}
	return targets
}

// plain returns the requests of a dump that depend on no object: what the kernel
// needs to answer at all, and what makes it tell more.
func plain(family, command string) []Ask {
	switch family {
	case "ethtool":
		switch command {
		case "stats-get":
			return []Ask{{Note: "all groups", Attrs: slices.Concat(Nest(2), Nest(3, Attr(2, u32(4)), Attr(4, u32(15)), Attr(5, u32(15))))}}
		case "module-eeprom-get":
			return []Ask{{Attrs: slices.Concat(Nest(1), Attr(2, u32(0)), Attr(3, u32(1)), Attr(4, u8(0)), Attr(6, u8(0x50)))}}
		}
		return []Ask{{Attrs: Nest(1)}} // an empty header, which older kernels require
	case "rtnetlink":
		switch command {
		case "getlink":
			return []Ask{{}, {Note: "with IFLA_EXT_MASK", Attrs: Attr(29, u32(1|4|8))}}
		case "getneigh":
			return []Ask{{}, {Note: "proxy", Header: append(zeros(10), 8, 0)}}
		case "getstats":
			return []Ask{{Note: "all", Header: append(zeros(8), u32(0x1f)...)}}
		}
	case "rtnetlink bridge":
		switch command {
		case "getlink":
			return []Ask{{}, {Note: "with VLANs", Header: append([]byte{unix.AF_BRIDGE}, zeros(15)...), Attrs: Attr(29, u32(2))}}
		case "getvlan":
			return []Ask{{}, {Note: "with statistics", Header: append([]byte{unix.AF_BRIDGE}, zeros(7)...), Attrs: Attr(1, u32(1))}}
		}
	case "nfnetlink ipset":
		return []Ask{{Header: []byte{unix.AF_INET, 0, 0, 0}, Attrs: Attr(1, u8(6))}} // IPSET_ATTR_PROTOCOL
	case "nfnetlink hook":
		return []Ask{{Note: "ipv4 input", Header: []byte{2, 0, 0, 0}, Attrs: Attr(1, be32(1))}}
	}
	return []Ask{{}}
}
