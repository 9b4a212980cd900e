// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// The elements of a set of nf_tables: no mark reports a change during the dump,
// but each message's header has the generation.

// nft returns a request of nf_tables, in the family ip.
func nft(op uint16, flags netlink.HeaderFlags, attrs ...[]byte) netlink.Message {
	m := create(unix.NFNL_SUBSYS_NFTABLES<<8|op, []byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, attrs...)
	m.Header.Flags = netlink.Request | flags
	return m
}

// transaction sends changes that take effect together.
func transaction(t *testing.T, changes ...netlink.Message) {
	t.Helper()
	bound := func(typ uint16) netlink.Message {
		m := create(typ, []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES})
		m.Header.Flags = netlink.Request
		return m
	}
	batch := append([]netlink.Message{bound(unix.NFNL_MSG_BATCH_BEGIN)}, changes...)
	batch = append(batch, bound(unix.NFNL_MSG_BATCH_END))
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		t.Skipf("no netlink socket of netfilter here: %v", err)
	}
	defer c.Close()
	sent, err := c.SendMessages(batch)
	if err != nil {
		t.Fatal(err)
	}
	last := sent[len(changes)].Header.Sequence // the message that requests an acknowledgement
	for acked := false; !acked; {
		answers, err := c.Receive()
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) && len(answers) == 0 {
			t.Skipf("no nf_tables in this kernel: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range answers {
			acked = acked || a.Header.Sequence == last
		}
	}
}

// inSet returns the attributes that name the set.
func inSet(tableAttr, setAttr uint16) []byte {
	return append(script.Text(tableAttr, "t"), script.Text(setAttr, "s")...)
}

func addElements(t *testing.T, from, count uint32) {
	t.Helper()
	const most = 500
	for ; count > 0; from, count = from+min(most, count), count-min(most, count) {
		var list [][]byte
		for i := range min(most, count) {
			key := binary.BigEndian.AppendUint32(nil, from+i)
			list = append(list, script.Attr(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM,
				script.Attr(unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_KEY, script.Attr(unix.NFTA_DATA_VALUE, key))))
		}
		transaction(t, nft(unix.NFT_MSG_NEWSETELEM, netlink.Create|netlink.Acknowledge,
			inSet(unix.NFTA_SET_ELEM_LIST_TABLE, unix.NFTA_SET_ELEM_LIST_SET),
			script.Attr(unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, list...)))
	}
}

func TestKernelSetGeneration(t *testing.T) {
	ownNetNS(t)
	be32 := func(typ uint16, v uint32) []byte { return script.Attr(typ, binary.BigEndian.AppendUint32(nil, v)) }
	transaction(t,
		nft(unix.NFT_MSG_NEWTABLE, netlink.Create, script.Text(unix.NFTA_TABLE_NAME, "t")),
		nft(unix.NFT_MSG_NEWSET, netlink.Create|netlink.Acknowledge, inSet(unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME),
			be32(unix.NFTA_SET_FLAGS, 0), be32(unix.NFTA_SET_KEY_TYPE, 7), be32(unix.NFTA_SET_KEY_LEN, 4), be32(unix.NFTA_SET_ID, 1)))
	const count = 3000
	addElements(t, 1, count)

	d := nldump.Dump{
		Request: nldump.Message{
			Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM,
			Data: append([]byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, inSet(unix.NFTA_SET_ELEM_LIST_TABLE, unix.NFTA_SET_ELEM_LIST_SET)...),
		},
		Generation: generationOfNft,
	}
	elements := func(m nldump.Message) (n int) {
		a := m.Attrs(sizeofNfgenmsg)
		if a.Find(unix.NFTA_SET_ELEM_LIST_ELEMENTS) {
			for range a.Nest() {
				n++
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
		return n
	}
	s := dialKernel(t, unix.NETLINK_NETFILTER, nldump.Config{BufferSize: nldump.MinBufferSize})
	// dump counts the elements. If change is set, the set changes after the
	// first message.
	dump := func(change bool) (n int, err error) {
		messages := 0
		for m, e := range s.Dump(within(t), d) {
			if err = e; err != nil {
				break
			}
			n += elements(m)
			if messages++; messages == 1 && change {
				addElements(t, 100_000, 1)
			}
		}
		if messages < 3 {
			t.Fatalf("the set in %d messages, want several: %v", messages, err)
		}
		return n, err
	}
	if n, err := dump(false); err != nil || n != count {
		t.Errorf("of a set that rests: %d elements, %v; want %d", n, err, count)
	}
	if _, err := dump(true); !errors.Is(err, nldump.ErrInterrupted) {
		t.Errorf("of a set that changes: %v, want ErrInterrupted", err)
	}
	passes, n := 0, 0
	err := s.Retry(within(t), d, 3, func(pass int) { passes, n = pass, 0 }, func(m nldump.Message) error {
		if n += elements(m); passes == 1 && n < 500 {
			addElements(t, 200_000, 1)
		}
		return nil
	})
	if want := count + 2; err != nil || passes != 2 || n != want {
		t.Errorf("Retry: %d passes, %d elements, %v; want 2, %d", passes, n, err, want)
	}
}
