// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Messages and attributes of nftables (linux/netfilter/nf_tables.h), and those that
// enclose a change (linux/netfilter/nfnetlink.h).
const (
	nftNewTable, nftDelTable = 0, 2
	nftNewChain, nftDelChain = 3, 5
	nftNewRule               = 6
	nftNewSet, nftDelSet     = 9, 11
	nftNewObj, nftDelObj     = 18, 20

	nftSubsystem = 10 << 8
	batchBegin   = 0x10
	batchEnd     = 0x11
	nfprotoInet  = 1
	dormant      = 1 // NFT_TABLE_F_DORMANT
)

// nft is a change of nftables.
func nft(message uint16, flags int, attrs ...[]byte) nldump.Message {
	data := append([]byte{nfprotoInet, 0, 0, 0}, slices.Concat(attrs...)...)
	return nldump.Message{Type: nftSubsystem | message, Flags: unix.NLM_F_ACK | uint16(flags), Data: data}
}

// batch makes changes of nftables, all or none.
func (t *table) batch(changes ...nldump.Message) error {
	edge := func(typ uint16) nldump.Message {
		return nldump.Message{Type: typ, Data: append(zeros(2), be16(nftSubsystem>>8)...)}
	}
	return t.open.do(slices.Concat([]nldump.Message{edge(batchBegin)}, changes, []nldump.Message{edge(batchEnd)})...)
}

// nftables changes what a command dumps, in the order in which it was made; nil if it is
// another one.
func nftables(command string) Changer {
	const own = "dumpcheck"
	name := func(s slot) []byte { return text(fmt.Sprint(own, "-", s)) }
	in := Attr(1, text(own)) // NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_OBJ_TABLE
	counter := Attr(3, be32(1))
	var add, remove, set func(s slot) []nldump.Message
	one := func(m nldump.Message) []nldump.Message { return []nldump.Message{m} }
	t := &table{
		protocol: unix.NETLINK_NETFILTER,
		prepare:  func(t *table) error { return t.batch(nft(nftNewTable, unix.NLM_F_CREATE, in)) },
	}
	switch command {
	case "gettable":
		t.prepare = nil
		flags := map[slot]uint32{}
		add = func(s slot) []nldump.Message {
			flags[s] = 0
			return one(nft(nftNewTable, create, Attr(1, name(s)), Attr(2, be32(0))))
		}
		remove = func(s slot) []nldump.Message { return one(nft(nftDelTable, 0, Attr(1, name(s)))) }
		set = func(s slot) []nldump.Message {
			flags[s] ^= dormant // what changes nothing need not be told
			return one(nft(nftNewTable, 0, Attr(1, name(s)), Attr(2, be32(flags[s]))))
		}
	case "getchain":
		add = func(s slot) []nldump.Message { return one(nft(nftNewChain, create, in, Attr(3, name(s)))) }
		remove = func(s slot) []nldump.Message { return one(nft(nftDelChain, 0, in, Attr(3, name(s)))) }
	case "getrule": // one in a chain of its own, with which it goes: a rule has no name
		add = func(s slot) []nldump.Message {
			return []nldump.Message{nft(nftNewChain, create, in, Attr(3, name(s))), nft(nftNewRule, create, in, Attr(2, name(s)))}
		}
		remove = func(s slot) []nldump.Message { return one(nft(nftDelChain, 0, in, Attr(3, name(s)))) }
	case "getset":
		add = func(s slot) []nldump.Message { // NFTA_SET_NAME, _KEY_TYPE, _KEY_LEN, _ID
			return one(nft(nftNewSet, create, in, Attr(2, name(s)), Attr(4, be32(7)), Attr(5, be32(4)), Attr(10, be32(1))))
		}
		remove = func(s slot) []nldump.Message { return one(nft(nftDelSet, 0, in, Attr(2, name(s)))) }
	case "getobj": // NFTA_OBJ_NAME, _TYPE, _DATA
		add = func(s slot) []nldump.Message {
			return one(nft(nftNewObj, create, in, Attr(2, name(s)), counter, Nest(4)))
		}
		remove = func(s slot) []nldump.Message { return one(nft(nftDelObj, 0, in, Attr(2, name(s)), counter)) }
	default:
		return nil
	}
	t.add = func(t *table, s slot) error { return t.batch(add(s)...) }
	t.remove = func(t *table, s slot) error { return t.batch(remove(s)...) }
	if set != nil {
		t.set = func(t *table, s slot) error { return t.batch(set(s)...) }
	}
	return t
}
