// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A policy has the fields that every reader decodes. It has one template.
type policy struct {
	src, dst             uint32
	srcLength, dstLength uint8
	dir, action          uint8
	priority             uint32

	from, to       uint32 // the ends of the tunnel
	reqid          uint32
	protocol, mode uint8
}

func (p *policy) words() words {
	return words{
		pack(p.src, p.dst), pack(p.from, p.to), pack(p.priority, p.reqid),
		pack(pack8(p.srcLength, p.dstLength, p.dir, p.action), pack8(0, 0, p.protocol, p.mode)),
	}
}

// From linux/xfrm.h: types, sizes, and the offsets of fields in their structs.
const (
	xfrmNewPolicy = 0x13
	xfrmGetPolicy = 0x15

	xfrmaTmpl = 5

	sizeofPolicyInfo = 168
	infoDst          = 0
	infoSrc          = 16
	infoFamily       = 40
	infoDstLength    = 42
	infoSrcLength    = 43
	infoPriority     = 152
	infoDir          = 160
	infoAction       = 161

	sizeofTmpl     = 64
	tmplTo         = 0
	tmplProtocol   = 20
	tmplFamily     = 24
	tmplFrom       = 28
	tmplReqid      = 44
	tmplMode       = 48
	tmplAuthAlgs   = 52
	tmplEncAlgs    = 56
	tmplCompAlgs   = 60
	everyAlgorithm = 0xffffffff

	dirIn       = 0
	dirOut      = 1
	dirFwd      = 2
	actionBlock = 1
	modeTunnel  = 1
)

var policies = &table{
	name:    "xfrm policies",
	entries: 100_000,

	protocol: unix.NETLINK_XFRM,
	request:  nldump.Message{Type: xfrmGetPolicy},
	create:   createPolicies,

	decode:         decodePolicy,
	decodeMdlayher: decodePolicyMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listPoliciesVishvananda},
		{name: "ip", args: []string{"-o", "xfrm", "policy"}, parse: parsePolicy},
	},
}

// info decodes a struct xfrm_userpolicy_info.
func (p *policy) info(b []byte) {
	p.dst, p.src = binary.BigEndian.Uint32(b[infoDst:]), binary.BigEndian.Uint32(b[infoSrc:])
	p.dstLength, p.srcLength = b[infoDstLength], b[infoSrcLength]
	p.priority = binary.NativeEndian.Uint32(b[infoPriority:])
	p.dir, p.action = b[infoDir], b[infoAction]
}

// template decodes a struct xfrm_user_tmpl.
func (p *policy) template(b []byte) error {
	if len(b) != sizeofTmpl {
		return fmt.Errorf("templates of %d bytes, not one of %d", len(b), sizeofTmpl)
	}
	p.to, p.from = binary.BigEndian.Uint32(b[tmplTo:]), binary.BigEndian.Uint32(b[tmplFrom:])
	p.reqid = binary.NativeEndian.Uint32(b[tmplReqid:])
	p.protocol, p.mode = b[tmplProtocol], b[tmplMode]
	return nil
}

func decodePolicy(m nldump.Message) (words, error) {
	var p policy
	a := m.Attrs(sizeofPolicyInfo)
	for a.Next() {
		if a.Type() == xfrmaTmpl {
			if err := p.template(a.Bytes()); err != nil {
				return words{}, err
			}
		}
	}
	if err := a.Err(); err != nil {
		return words{}, err
	}
	p.info(m.Data)
	return p.words(), nil
}

func decodePolicyMdlayher(m netlink.Message) (words, error) {
	d, err := decoderAfter(m, sizeofPolicyInfo)
	if err != nil {
		return words{}, err
	}
	var p policy
	for d.Next() {
		if d.Type() == xfrmaTmpl {
			d.Do(p.template)
		}
	}
	if err := d.Err(); err != nil {
		return words{}, err
	}
	p.info(m.Data)
	return p.words(), nil
}

func listPoliciesVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.XfrmPolicyList(unix.AF_INET)
	if err != nil {
		return err
	}
	for i := range all {
		v := &all[i]
		if len(v.Tmpls) != 1 {
			return fmt.Errorf("%d templates, not one", len(v.Tmpls))
		}
		srcLength, _ := v.Src.Mask.Size()
		dstLength, _ := v.Dst.Mask.Size()
		p := policy{
			src: uint32Of(v.Src.IP), dst: uint32Of(v.Dst.IP), srcLength: uint8(srcLength), dstLength: uint8(dstLength),
			dir: uint8(v.Dir), action: uint8(v.Action), priority: uint32(v.Priority),
			from: uint32Of(v.Tmpls[0].Src), to: uint32Of(v.Tmpls[0].Dst), reqid: uint32(v.Tmpls[0].Reqid),
			protocol: uint8(v.Tmpls[0].Proto), mode: uint8(v.Tmpls[0].Mode),
		}
		sum.add(p.words())
	}
	return nil
}

// parsePolicy parses a line of "ip -o xfrm policy": the selector, dir and
// priority, then "tmpl" and the words of the tunnel.
func parsePolicy(line string, _ map[string]uint32) (words, error) {
	var e policy
	p := parser{fields: strings.Fields(strings.ReplaceAll(line, `\`, " "))}
	inTemplate := false
	for p.more() {
		word := p.next()
		switch {
		case word == "src" && inTemplate:
			e.from = p.addr()
		case word == "dst" && inTemplate:
			e.to = p.addr()
		case word == "src":
			e.src, e.srcLength = p.prefix()
		case word == "dst":
			e.dst, e.dstLength = p.prefix()
		case word == "dir":
			e.dir = p.oneOf(map[string]uint8{"in": dirIn, "out": dirOut, "fwd": dirFwd})
		case word == "action":
			e.action = p.oneOf(map[string]uint8{"block": actionBlock})
		case word == "priority":
			e.priority = uint32(p.number(32))
		case word == "ptype":
			p.oneOf(map[string]uint8{"main": 0})
		case word == "tmpl" && !inTemplate:
			inTemplate = true
		case word == "proto":
			e.protocol = p.oneOf(map[string]uint8{"esp": unix.IPPROTO_ESP, "ah": unix.IPPROTO_AH})
		case word == "reqid":
			e.reqid = uint32(p.number(32))
		case word == "mode":
			e.mode = p.oneOf(map[string]uint8{"tunnel": modeTunnel})
		default:
			p.fail("%q is not known", word)
		}
	}
	return e.words(), p.err
}

// createPolicies creates policies between single addresses, which the kernel
// keeps in a hash table. Policies between networks are in lists, so adding one
// takes longer the more there are.
func createPolicies(n int) (sum tally, err error) {
	b, err := newBatch(unix.NETLINK_XFRM)
	if err != nil {
		return sum, err
	}
	defer b.close()
	for i := range uint32(n) {
		p := policy{
			src: 10<<24 + i, dst: 11<<24 + i*3, srcLength: 32, dstLength: 32,
			dir: []uint8{dirOut, dirIn, dirFwd}[i%3], priority: 1000 + i%50,
			from: 0xc0000201 + i%5, to: 0xc6336401 + i%11, reqid: 1 + i%99,
			protocol: unix.IPPROTO_ESP, mode: modeTunnel,
		}
		if i%10 == 9 {
			p.action = actionBlock
		}
		if i%4 == 1 {
			p.protocol = unix.IPPROTO_AH
		}
		sum.add(p.words())
		if err := b.add(xfrmNewPolicy, unix.NLM_F_CREATE|unix.NLM_F_EXCL, p.encode()); err != nil {
			return sum, fmt.Errorf("policy %d: %w", i, err)
		}
	}
	return sum, b.flush()
}

func (p *policy) encode() []byte {
	b := make([]byte, sizeofPolicyInfo)
	binary.BigEndian.PutUint32(b[infoDst:], p.dst)
	binary.BigEndian.PutUint32(b[infoSrc:], p.src)
	binary.NativeEndian.PutUint16(b[infoFamily:], unix.AF_INET)
	b[infoDstLength], b[infoSrcLength], b[infoDir], b[infoAction] = p.dstLength, p.srcLength, p.dir, p.action
	binary.NativeEndian.PutUint32(b[infoPriority:], p.priority)
	t := make([]byte, sizeofTmpl)
	binary.BigEndian.PutUint32(t[tmplTo:], p.to)
	binary.BigEndian.PutUint32(t[tmplFrom:], p.from)
	binary.NativeEndian.PutUint16(t[tmplFamily:], unix.AF_INET)
	binary.NativeEndian.PutUint32(t[tmplReqid:], p.reqid)
	t[tmplProtocol], t[tmplMode] = p.protocol, p.mode
	for _, algorithms := range []int{tmplAuthAlgs, tmplEncAlgs, tmplCompAlgs} {
		binary.NativeEndian.PutUint32(t[algorithms:], everyAlgorithm)
	}
	return attribute(b, xfrmaTmpl, t)
}
