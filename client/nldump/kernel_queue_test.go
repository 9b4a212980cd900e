// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// TestKernelLostEnd reads with a smaller buffer than the socket was read with
// before. The kernel's page does not fit, and the end of the dump is in the
// part that is cut off.
func TestKernelLostEnd(t *testing.T) {
	ownNetNS(t)
	for i := range 4 {
		addVeth(t, fmt.Sprint("a", i)) // links of more than MinBufferSize
	}
	small := nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: nldump.DefaultBufferSize}
	primed := func(cfg nldump.Config) *nldump.Stream {
		_, sock, s := dialOpen(t, cfg)
		if _, err := sock.Send(nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}); err != nil {
			t.Fatal(err)
		}
		if _, err := sock.Recv(make([]byte, nldump.DefaultBufferSize)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := primed(small)
	if _, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); !errors.Is(err, nldump.ErrTruncated) || s.Idle() {
		t.Fatalf("got %v, idle %v", err, s.Idle())
	}
	if err := s.Drain(within(t)); err != nil || !s.Idle() {
		t.Errorf("Drain: %v, idle %v", err, s.Idle())
	}
	if links, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil || len(links) < 8 {
		t.Errorf("the next dump: %d links, %v", len(links), err)
	}

	n := 0
	err := primed(small).Retry(within(t), nldump.Dump{Request: getLinks}, 2, func(int) { n = 0 }, func(nldump.Message) error {
		n++
		return nil
	})
	if err != nil || n < 8 {
		t.Errorf("Retry: %d links, %v", n, err)
	}

	d := nldump.Dump{
		Request: getLinks,
		Key: func(dst []byte, m nldump.Message) ([]byte, error) {
			return append(dst, m.Data[7], m.Data[6], m.Data[5], m.Data[4]), nil
		},
		Resume: func([]byte) (nldump.Message, error) { return getLinks, nil },
	}
	if links, err := readDump(within(t), primed(small), d); !errors.Is(err, nldump.ErrInterrupted) || len(links) < 8 {
		t.Errorf("Resume: %d links, %v", len(links), err)
	}
}

// If a socket is in a group, events come between the pages.
func TestKernelEventsBesideADump(t *testing.T) {
	ownNetNS(t)
	addRules(t, 3000)
	c, _, s := dialOpen(t, nldump.Config{})
	if err := c.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		t.Fatal(err)
	}
	addVeth(t, "early") // its events are in the queue before the dump begins
	names := map[string]bool{}
	req := nldump.Message{Type: unix.RTM_GETRULE, Data: make([]byte, unix.SizeofRtMsg)}
	req.Data[0] = unix.AF_INET
	d := nldump.Dump{Request: req, Foreign: func(d nldump.Datagram, b []byte) {
		m, _, err := nldump.NextMessage(b)
		if err != nil || d.Group == 0 {
			t.Errorf("datagram %+v: %v", d, err)
		}
		if a := m.Attrs(unix.SizeofIfInfomsg); a.Find(unix.IFLA_IFNAME) {
			names[string(a.Text())] = true
		}
	}}
	n := 0
	for _, err := range s.Dump(within(t), d) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			addVeth(t, "amid")
		}
	}
	if n < 3000 || !names["early"] || !names["amid"] || s.Stats().Foreign == 0 {
		t.Errorf("%d rules, events of %v, %+v", n, names, s.Stats())
	}
}

// After events found no room, the kernel also drops answers, silently, until
// the queue has been read empty.
func TestKernelAnswersAfterAnOverrun(t *testing.T) {
	ownNetNS(t)
	c, _, s := dialOpen(t, nldump.Config{ReceiveBuffer: 8 << 10})
	if err := c.JoinGroup(unix.RTNLGRP_IPV4_RULE); err != nil {
		t.Fatal(err)
	}
	lo := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	binary.NativeEndian.PutUint32(lo.Data[4:], 1) // ifi_index
	for m, err := range s.Do(within(t), lo) {
		if err == nil {
			addRules(t, 1000) // queued behind the acknowledgement, which has not been read yet
		} else if !errors.Is(err, nldump.ErrOverrun) || m.Data != nil {
			t.Fatal(err)
		}
	}
	if err := s.Drain(within(t)); err != nil || !s.Idle() {
		t.Fatalf("Drain: %v, idle %v", err, s.Idle())
	}
	soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	n := 0
	for _, err := range s.Do(soon, lo) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d answers, want 1", n)
	}
}

// The receive queue has an answer that the stream did not request. It is not
// taken for an answer to the dump.
func TestKernelAnswerThatWaits(t *testing.T) {
	_, sock, s := dialOpen(t, nldump.Config{})
	if _, err := sock.Send(nldump.Message{Type: unix.NLMSG_NOOP, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if links, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil || len(links) == 0 || !s.Idle() {
			t.Errorf("%d links, %v, idle %v", len(links), err, s.Idle())
		}
	}
}

// The address of a datagram has no room for groups above 32, so their events
// look like answers there.
func TestKernelEventsOfHighGroups(t *testing.T) {
	ownNetNS(t)
	link := addLink(t, "br", "bridge")
	setLink(t, link, unix.IFF_UP)
	c, _, s := dialOpen(t, nldump.Config{StallTimeout: time.Minute}) // an event must not end it
	// The event is about a VLAN of the bridge, or, if the kernel has that
	// event, about a multicast address, which is joined together with an
	// address.
	group := uint32(unix.RTNLGRP_IPV4_MCADDR)
	happen := func(n byte) {
		const autojoin = 0x400 // IFA_F_MCAUTOJOIN
		header := []byte{unix.AF_INET, 32, 0, 0, 0, 0, 0, 0}
		binary.NativeEndian.PutUint32(header[4:], link)
		change(t, unix.NETLINK_ROUTE, create(unix.RTM_NEWADDR, header,
			script.Attr(unix.IFA_LOCAL, []byte{224, 0, 0, n}), script.U32(unix.IFA_FLAGS, autojoin)))
	}
	if c.JoinGroup(group) != nil {
		group = unix.RTNLGRP_BRVLAN
		happen = func(n byte) {
			const newVlan, entry, info, ofBridge = 112, 1, 1, 1 << 5 // RTM_NEWVLAN, BRIDGE_VLANDB_ENTRY …, BRIDGE_VLAN_INFO_BRENTRY
			header := make([]byte, 8)
			header[0] = unix.AF_BRIDGE
			binary.NativeEndian.PutUint32(header[4:], link)
			change(t, unix.NETLINK_ROUTE, create(newVlan, header, script.Attr(unix.NLA_F_NESTED|entry, script.Attr(info, []byte{ofBridge, 0, n, 0}))))
		}
		if err := c.JoinGroup(group); err != nil {
			t.Fatal(err)
		}
	}
	var groups []uint32
	d := nldump.Dump{Request: getLinks, Unaddressed: true, Foreign: func(d nldump.Datagram, _ []byte) { groups = append(groups, d.Group) }}
	for round := range byte(3) { // in the first round, an event comes before the socket's first dump
		groups = nil
		happen(10 + round)
		links := 0
		for m, err := range s.Dump(within(t), d) {
			if err != nil {
				t.Fatal(err)
			}
			if links++; m.Type != unix.RTM_NEWLINK {
				t.Errorf("a record of type %d", m.Type)
			}
		}
		// The kernel may report more than was requested.
		if links != 2 || !slices.Contains(groups, group) || slices.ContainsFunc(groups, func(g uint32) bool { return g != group }) {
			t.Errorf("%d links, want lo and the bridge; events of the groups %v", links, groups)
		}
	}
}
