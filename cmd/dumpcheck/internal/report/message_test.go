// SPDX-License-Identifier: BSD-3-Clause

package report

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func lines(of []Line) string {
	var b strings.Builder
	for _, l := range of {
		mark := " "
		if l.Fault {
			mark = ">"
		}
		fmt.Fprintf(&b, "%s%d+%d %s%s: %s", mark, l.At, l.Len, strings.Repeat(" ", l.Depth), l.Name, l.Text)
		if l.Wrong != "" {
			b.WriteString(" <- " + l.Wrong)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestDecode(t *testing.T) {
	generic := Format{Protocol: unix.NETLINK_GENERIC, Header: 4, Generic: true}
	own := Format{Protocol: unix.NETLINK_GENERIC, Header: 8, Generic: true}
	route := Format{Protocol: unix.NETLINK_ROUTE, Header: 16}
	short := message(32, 0, 5, 1, 0, 0, 9, 0, 1, 0, 1)
	short = short[:len(short)-1]
	for _, tt := range []struct {
		name  string
		f     Format
		raw   []byte
		fault *Span
		want  string
	}{
		{"the header's flags", generic, message(32, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR|0x800, 5, 1, 0, 0), &Span{6, 8},
			">0+16 nlmsghdr: len 20, type 32, flags MULTI|DUMP_INTR|0x800, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n"},
		{"a header of its own", own, message(32, 0, 5, 1, 0, 0, 1, 2, 3, 4), nil,
			" 0+16 nlmsghdr: len 24, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n 20+4 header: 01 02 03 04\n"},
		{"a link", route, message(unix.RTM_NEWLINK, 2, join([]byte{0, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, attr(3, 'l', 'o', 0), attr(1, 0, 1, 2))...), nil,
			" 0+16 nlmsghdr: len 48, type 16, flags MULTI, seq 7, port id 4242\n" +
				" 16+16 ifinfomsg: family 0, type 1, index 7, flags 0, change 0\n 32+8 3: \"lo\"\n 40+8 1: 00 01 02\n"},
		{"too short for its header", route, message(unix.RTM_NEWLINK, 2, 0, 0, 1, 0), nil,
			" 0+16 nlmsghdr: len 20, type 16, flags MULTI, seq 7, port id 4242\n>16+4 header: 00 00 01 00 <- 4 bytes, want 16\n"},
		{"too short for a message", generic, []byte{9, 0, 0, 0}, nil, ">0+4 nlmsghdr: 09 00 00 00 <- 4 bytes, want 16\n"},
		{"a length that is not", generic, short, nil,
			">0+16 nlmsghdr: len 25, type 32, flags 0x0, seq 7, port id 4242 <- the length is not that of its 24 bytes\n" +
				" 16+4 genlmsghdr: command 5, version 1\n>20+4 1: 09 00 01 00 <- it says that it has 9 bytes where 4 are left\n"},
		{"a rest", generic, message(32, 0, 5, 1, 0, 0, 1, 2), nil,
			" 0+16 nlmsghdr: len 22, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n>20+2 rest: 01 02 <- too short for an attribute\n"},
		{"numbers", generic, message(32, 0, join([]byte{5, 1, 0, 0}, attr(1, 1), attr(2|unix.NLA_F_NET_BYTEORDER, 1, 0), attr(3, 0, 1, 0, 0, 0, 0, 0, 0), attr(4, 0))...), nil,
			" 0+16 nlmsghdr: len 56, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n" +
				" 20+8 1: 01 = 1\n 28+8 2: 01 00 = 256\n 36+12 3: 00 01 00 00 00 00 00 00 = 256\n 48+8 4: 00 = 0\n"},
		{"the innermost has the mark", generic,
			message(32, 0, join([]byte{5, 1, 0, 0}, attr(1|unix.NLA_F_NESTED, join(attr(2|unix.NLA_F_NESTED, attr(3, 1)...), attr(4, 1))...))...), &Span{32, 33},
			" 0+16 nlmsghdr: len 44, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n" +
				" 20+24 1: nest of 20 bytes\n 24+12  2: nest of 8 bytes\n>28+8   3: 01 = 1\n 36+8  4: 01 = 1\n"},
		{"a nest without the flag", generic, message(32, 0, join([]byte{5, 1, 0, 0}, attr(1, join(attr(1, 9), attr(2, 'x', 0))...), attr(2, 8, 0, 1, 0, 0, 0, 0), attr(3, 5, 0, 1, 0, 'x', 1, 1, 1))...), nil,
			" 0+16 nlmsghdr: len 64, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n" +
				" 20+20 1: looks like a nest of 16 bytes\n 24+8  1: 09 = 9\n 32+8  2: \"x\"\n 40+12 2: 08 00 01 00 00 00 00\n" +
				" 52+12 3: 05 00 01 00 78 01 01 01 = 72340683922407429\n"},
		{"a nest's own header", generic, message(32, 0, join([]byte{5, 1, 0, 0}, attr(1|unix.NLA_F_NESTED, attr(3, 1)...))...), &Span{20, 24},
			" 0+16 nlmsghdr: len 32, type 32, flags 0x0, seq 7, port id 4242\n 16+4 genlmsghdr: command 5, version 1\n" +
				">20+12 1: nest of 8 bytes\n 24+8  3: 01 = 1\n"},
		{"DONE", generic, message(unix.NLMSG_DONE, unix.NLM_F_MULTI|nlmFAckTLVs, join([]byte{0xea, 0xff, 0xff, 0xff}, attr(1, 'n', 'o', 0))...), nil,
			" 0+16 nlmsghdr: len 28, type NLMSG_DONE, flags MULTI|ACK_TLVS, seq 7, port id 4242\n 16+4 errno: -22 (EINVAL)\n 20+8 1 NLMSGERR_ATTR_MSG: \"no\"\n"},
		{"DONE without errno", generic, message(unix.NLMSG_DONE, 0), nil,
			" 0+16 nlmsghdr: len 16, type NLMSG_DONE, flags 0x0, seq 7, port id 4242\n>16+0 errno: no bytes <- it is too short for one\n"},
		{"ERROR", generic, message(unix.NLMSG_ERROR, nlmFCapped, join([]byte{0xff, 0xff, 0xff, 0xff}, message(32, 1))...), nil,
			" 0+16 nlmsghdr: len 36, type NLMSG_ERROR, flags CAPPED, seq 7, port id 4242\n 16+4 errno: -1 (EPERM)\n" +
				" 20+16 request: 10 00 00 00 20 00 01 00 07 00 00 00 92 10 00 00\n"},
		{"NOOP", generic, message(unix.NLMSG_NOOP, 0, 1), nil,
			" 0+16 nlmsghdr: len 17, type NLMSG_NOOP, flags 0x0, seq 7, port id 4242\n 16+1 data: 01\n"},
	} {
		t.Run(tt.name, func(t *testing.T) { equal(t, lines(tt.f.Decode(tt.raw, tt.fault)), tt.want) })
	}
}

// Whatever the bytes are, no line is outside of them.
func FuzzDecode(f *testing.F) {
	f.Add(record(), 4)
	f.Add(message(unix.NLMSG_DONE, nlmFAckTLVs, 0, 0, 0, 0, 1), 0)
	f.Add(message(unix.NLMSG_ERROR, nlmFAckTLVs, join([]byte{0, 0, 0, 0}, message(32, 1))...), 4)
	f.Fuzz(func(t *testing.T, raw []byte, header int) {
		if header < 0 || header > 64 {
			return
		}
		for _, form := range []Format{
			{Protocol: unix.NETLINK_GENERIC, Header: max(header, 4), Generic: true}, {Protocol: unix.NETLINK_ROUTE, Header: header},
			{Protocol: unix.NETLINK_NETFILTER, Header: header},
		} {
			for _, l := range form.Decode(raw, &Span{0, len(raw)}) {
				if l.At < 0 || l.Len < 0 || l.At+l.Len > len(raw) {
					t.Errorf("%+v of %d bytes", l, len(raw))
				}
			}
		}
	})
}

func TestMarkdown(t *testing.T) {
	const text = "A **bold** word, a [`link`](../x.md#y), and a\nline that goes on for long.\n\n```c\nif (x)\n\treturn `y`;\n```\n- one\n- two that is quite long\n\n### Head\n\n| a | b |\n"
	equal(t, Markdown(text, 24, false), "A bold word, a `link`,\nand a line that goes on\nfor long.\n\n    if (x)\n    \treturn `y`;\n- one\n- two that is quite\n  long\n\nHead\n\n| a | b |\n")
	equal(t, Markdown("**b** `c`\n```\nx\n```\n", 0, true), "\x1b[1mb\x1b[0m \x1b[36mc\x1b[0m\n\x1b[36m    x\x1b[0m\n")
}

func TestRulesOf(t *testing.T) {
	got := RulesOf([]int{1, 3, 4000})
	if len(got) != 2 || got[1].Number != 3 || got[1].Page != page3 {
		t.Errorf("got %+v", got)
	}
	if a := anchor("Every record has NLM_F_MULTI, the `uint`'s too"); a != "every-record-has-nlm_f_multi-the-uints-too" {
		t.Errorf("got %s", a)
	}
}
