// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mdlayher/netlink"
	ct "github.com/ti-mo/conntrack"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A tuple is one direction of a flow.
type tuple struct {
	src, dst         uint32
	srcPort, dstPort uint16
	protocol         uint8
}

// A flow has the fields that every reader decodes. They do not change as long
// as no packet is sent.
type flow struct {
	orig, reply tuple
	mark        uint32
}

func (f *flow) words() words {
	return words{
		pack(f.orig.src, f.orig.dst), pack(f.reply.src, f.reply.dst),
		pack(pack16(f.orig.srcPort, f.orig.dstPort), pack16(f.reply.srcPort, f.reply.dstPort)),
		pack(f.mark, pack8(0, 0, f.orig.protocol, f.reply.protocol)),
	}
}

// From linux/netfilter/nfnetlink_conntrack.h.
const (
	ctNew = unix.NFNL_SUBSYS_CTNETLINK << 8
	ctGet = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1

	sizeofNfGenMsg = 4

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaTimeout    = 7
	ctaMark       = 8

	ctaTupleIP    = 1
	ctaTupleProto = 2

	ctaIPv4Src = 1
	ctaIPv4Dst = 2

	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3
)

var conntrack = &table{
	name:    "conntrack",
	entries: 100_000, // nf_conntrack_max is 262,144 on a machine with 4 GiB or more

	protocol: unix.NETLINK_NETFILTER,
	request:  nldump.Message{Type: ctGet, Data: ofFamily(sizeofNfGenMsg)},
	create:   createFlows,

	decode:         decodeFlow,
	decodeMdlayher: decodeFlowMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listFlowsVishvananda},
		{name: "ti-mo", read: listFlowsTiMo},
		libmnl("conntrack"),
		{name: "conntrack", program: "conntrack", args: []string{"-L", "-f", "ipv4"}, parse: parseFlow},
	},
}

func decodeFlow(m nldump.Message) (words, error) {
	var f flow
	a := m.Attrs(sizeofNfGenMsg)
	for a.Next() {
		switch a.Type() {
		case ctaTupleOrig:
			f.orig.decode(&a)
		case ctaTupleReply:
			f.reply.decode(&a)
		case ctaMark:
			f.mark = a.Uint32BE()
		}
	}
	return f.words(), a.Err()
}

// parseFlow parses a line of "conntrack -L": the protocol's name and number, the
// timeout, then words such as src=192.0.2.1, first those of the original direction.
func parseFlow(line string, _ map[string]uint32) (words, error) {
	var f flow
	p := parser{fields: strings.Fields(line)}
	p.next()
	f.orig.protocol = uint8(p.number(8))
	f.reply.protocol = f.orig.protocol
	way := [2]*tuple{&f.orig, &f.reply}
	seen := map[string]int{}
	for p.more() {
		key, value, ok := strings.Cut(p.next(), "=")
		if !ok {
			continue
		}
		if key == "mark" {
			f.mark = uint32(p.parseNumber(value, 32))
			continue
		}
		if seen[key] == 2 {
			p.fail("a third %s", key)
			break
		}
		t := way[seen[key]]
		switch key {
		case "src":
			t.src = p.parseAddr(value)
		case "dst":
			t.dst = p.parseAddr(value)
		case "sport":
			t.srcPort = uint16(p.parseNumber(value, 16))
		case "dport":
			t.dstPort = uint16(p.parseNumber(value, 16))
		default:
			continue
		}
		seen[key]++
	}
	for _, key := range []string{"src", "dst", "sport", "dport"} {
		if seen[key] != 2 {
			p.fail("%d times %s", seen[key], key)
		}
	}
	return f.words(), p.err
}

func (t *tuple) decode(a *nldump.Attrs) {
	for typ, part := range a.Nest() {
		switch typ {
		case ctaTupleIP:
			for typ, v := range part.Nest() {
				switch typ {
				case ctaIPv4Src:
					t.src = v.Uint32BE()
				case ctaIPv4Dst:
					t.dst = v.Uint32BE()
				}
			}
		case ctaTupleProto:
			for typ, v := range part.Nest() {
				switch typ {
				case ctaProtoNum:
					t.protocol = v.Uint8()
				case ctaProtoSrcPort:
					t.srcPort = v.Uint16BE()
				case ctaProtoDstPort:
					t.dstPort = v.Uint16BE()
				}
			}
		}
	}
}

func decodeFlowMdlayher(m netlink.Message) (words, error) {
	d, err := decoderAfter(m, sizeofNfGenMsg)
	if err != nil {
		return words{}, err
	}
	d.ByteOrder = binary.BigEndian // nested attributes inherit it
	var f flow
	for d.Next() {
		switch d.Type() {
		case ctaTupleOrig:
			d.Nested(f.orig.decodeMdlayher)
		case ctaTupleReply:
			d.Nested(f.reply.decodeMdlayher)
		case ctaMark:
			f.mark = d.Uint32()
		}
	}
	return f.words(), d.Err()
}

func (t *tuple) decodeMdlayher(d *netlink.AttributeDecoder) error {
	for d.Next() {
		switch d.Type() {
		case ctaTupleIP:
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					switch d.Type() {
					case ctaIPv4Src:
						t.src = d.Uint32()
					case ctaIPv4Dst:
						t.dst = d.Uint32()
					}
				}
				return nil // the nested decoder's error reaches the outer decoder
			})
		case ctaTupleProto:
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					switch d.Type() {
					case ctaProtoNum:
						t.protocol = d.Uint8()
					case ctaProtoSrcPort:
						t.srcPort = d.Uint16()
					case ctaProtoDstPort:
						t.dstPort = d.Uint16()
					}
				}
				return nil
			})
		}
	}
	return nil
}

func listFlowsVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.ConntrackTableList(vishvananda.ConntrackTable, unix.AF_INET)
	if err != nil {
		return err
	}
	tupleOf := func(t *vishvananda.IPTuple) tuple {
		return tuple{src: uint32Of(t.SrcIP), dst: uint32Of(t.DstIP), srcPort: t.SrcPort, dstPort: t.DstPort, protocol: t.Protocol}
	}
	for _, v := range all {
		f := flow{orig: tupleOf(&v.Forward), reply: tupleOf(&v.Reverse), mark: v.Mark}
		sum.add(f.words())
	}
	return nil
}

func listFlowsTiMo(_ context.Context, sum *tally) error {
	c, err := ct.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Dump(nil)
	if err != nil {
		return err
	}
	tupleOf := func(t *ct.Tuple) tuple {
		return tuple{
			src: uint32OfAddr(t.IP.SourceAddress), dst: uint32OfAddr(t.IP.DestinationAddress),
			srcPort: t.Proto.SourcePort, dstPort: t.Proto.DestinationPort, protocol: t.Proto.Protocol,
		}
	}
	for i := range all {
		f := flow{orig: tupleOf(&all[i].TupleOrig), reply: tupleOf(&all[i].TupleReply), mark: all[i].Mark}
		sum.add(f.words())
	}
	return nil
}

func uint32OfAddr(a netip.Addr) uint32 {
	if !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// createFlows creates UDP flows with address translation, which expire after an
// hour.
func createFlows(n int) (sum tally, err error) {
	b, err := newBatch(unix.NETLINK_NETFILTER)
	if err != nil {
		return sum, err
	}
	defer b.close()
	for i := range uint32(n) {
		f := flow{
			orig:  tuple{src: 10<<24 + i/100, dst: 0xc6336401 + i%7, srcPort: uint16(1024 + i%100), dstPort: 53, protocol: unix.IPPROTO_UDP},
			reply: tuple{src: 0xc6336401 + i%7, dst: 0xc0000201, srcPort: 53, protocol: unix.IPPROTO_UDP},
			mark:  i % 1000,
		}
		// There are 7 servers, and each has all ports of the translator.
		f.reply.dst += i / 7 / 60_000
		f.reply.dstPort = uint16(1024 + i/7%60_000)
		sum.add(f.words())
		if err := b.add(ctNew, unix.NLM_F_CREATE|unix.NLM_F_EXCL, f.encode()); err != nil {
			return sum, fmt.Errorf("flow %d: %w", i, err)
		}
	}
	return sum, b.flush()
}

func (f *flow) encode() []byte {
	b := ofFamily(sizeofNfGenMsg)
	b = attribute(b, unix.NLA_F_NESTED|ctaTupleOrig, f.orig.encode())
	b = attribute(b, unix.NLA_F_NESTED|ctaTupleReply, f.reply.encode())
	b = attribute(b, ctaMark, binary.BigEndian.AppendUint32(nil, f.mark))
	return attribute(b, ctaTimeout, binary.BigEndian.AppendUint32(nil, 3600))
}

func (t *tuple) encode() []byte {
	ip := attribute(nil, ctaIPv4Src, binary.BigEndian.AppendUint32(nil, t.src))
	ip = attribute(ip, ctaIPv4Dst, binary.BigEndian.AppendUint32(nil, t.dst))
	proto := attribute(nil, ctaProtoNum, []byte{t.protocol})
	proto = attribute(proto, ctaProtoSrcPort, binary.BigEndian.AppendUint16(nil, t.srcPort))
	proto = attribute(proto, ctaProtoDstPort, binary.BigEndian.AppendUint16(nil, t.dstPort))
	return attribute(attribute(nil, unix.NLA_F_NESTED|ctaTupleIP, ip), unix.NLA_F_NESTED|ctaTupleProto, proto)
}
