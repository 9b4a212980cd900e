// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Requests that the kernel ignores without an answer.
func TestKernelIgnoredRequest(t *testing.T) {
	for name, req := range map[string]nldump.Message{
		"no body": {Type: unix.RTM_GETLINK},
		"type 0":  {Type: 0, Data: make([]byte, unix.SizeofIfInfomsg)},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
			_, err := readDump(within(t), s, nldump.Dump{Request: req})
			// On some kernels, strict checking refuses the first one
			// explicitly.
			var refused *nldump.KernelError
			if !errors.Is(err, nldump.ErrProtocol) && !errors.As(err, &refused) {
				t.Errorf("got %v, want an error of the kernel's answer", err)
			}
			if !s.Idle() {
				t.Error("not idle")
			}
			if _, err := readDump(within(t), s, nldump.Dump{Request: getLinks}); err != nil {
				t.Errorf("the next dump: %v", err)
			}
		})
	}
}

// TestKernelEcho requests the echo of a change, both with and without
// membership in the group that gets the event.
func TestKernelEcho(t *testing.T) {
	ownNetNS(t)
	c, _, s := dialOpen(t, nldump.Config{})
	for _, listen := range []bool{false, true} {
		if listen {
			if err := c.JoinGroup(unix.RTNLGRP_IPV4_RULE); err != nil {
				t.Fatal(err)
			}
		}
		rule := nldump.Message{Type: unix.RTM_NEWRULE, Data: []byte{unix.AF_INET, 0, 0, 0, 9, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}}
		for _, flags := range []uint16{0, unix.NLM_F_ECHO} {
			rule.Flags = unix.NLM_F_CREATE | flags
			n := 0
			for m, err := range s.Do(within(t), rule) {
				if err != nil {
					t.Fatal(err)
				}
				a := m.Attrs(len(rule.Data))
				if m.Type != unix.RTM_NEWRULE || !a.Find(unix.FRA_PRIORITY) || a.Uint32() == 0 {
					t.Errorf("answer of type %d without a priority, %v", m.Type, a.Err())
				}
				n++
			}
			if want := int(flags / unix.NLM_F_ECHO); n != want {
				t.Errorf("listening %v, flags %#x: %d answers, want %d; %+v", listen, flags, n, want, s.Stats())
			}
		}
	}
}

// TestKernelUnaddressedAnswers: thermal's dump fills in neither sequence number
// nor port id.
func TestKernelUnaddressedAnswers(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{Abandon: nldump.AbandonClose})
	const getZones = 1 // THERMAL_GENL_CMD_TZ_GET_ID
	req := genl(t, s, "thermal", getZones)
	_, err := readDump(within(t), s, nldump.Dump{Request: req})
	if !errors.Is(err, nldump.ErrProtocol) || !strings.Contains(err.Error(), "Dump.Unaddressed") {
		t.Errorf("by default: %v, want a refusal that names the way", err)
	}
	if records, err := readDump(within(t), s, nldump.Dump{Request: req, Unaddressed: true}); err != nil || len(records) != 1 {
		t.Errorf("%d records, %v; want one", len(records), err)
	}
}

// audit acknowledges a request first, and lists its rules later, from a thread.
func TestKernelAnswersLater(t *testing.T) {
	const listRules = 1013 // AUDIT_LIST_RULES
	s := dialKernel(t, unix.NETLINK_AUDIT, nldump.Config{})
	_, err := readDump(within(t), s, nldump.Dump{Request: nldump.Message{Type: listRules}, Do: true, NoAck: true, Unaddressed: true})
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skipf("audit is not for this process: %v", err)
	}
	if err != nil || !s.Idle() {
		t.Errorf("got %v, idle %v", err, s.Idle())
	}
}

func TestKernelFamily(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	f, err := s.Family(within(t), "nlctrl")
	if err != nil || f.ID != unix.GENL_ID_CTRL || f.Name != "nlctrl" || f.Version != 2 || f.Groups["notify"] != 16 {
		t.Errorf("got %+v, %v", f, err)
	}
	for _, name := range []string{"no such", "", strings.Repeat("x", 16), "nlctrl\x00"} {
		if _, err := s.Family(within(t), name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: %v, want ErrNotExist", name, err)
		}
	}
	if !s.Idle() {
		t.Error("not idle")
	}
	// On that socket, the controller's number would create links.
	route := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	if f, err := route.Family(within(t), "nlctrl"); err == nil || !strings.Contains(err.Error(), "not of NETLINK_GENERIC") {
		t.Errorf("of rtnetlink: %+v, %v", f, err)
	}
}

// The do callback of team answers with several messages and an NLMSG_DONE of
// its own.
func TestKernelTeamOptions(t *testing.T) {
	ownNetNS(t)
	const optionsGet, teamIndex, optionList, portIndex = 2, 1, 2, 6 // TEAM_CMD_OPTIONS_GET and attributes
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	req := genl(t, s, "team", optionsGet) // skips the test if there is none
	team := addLink(t, "team0", "team")
	const ports = 20
	want := map[uint32]bool{}
	for i := range ports {
		name := fmt.Sprint("a", i)
		addVeth(t, name)
		port := linkIndex(t, name+"p") // is down, as a port must be
		setLink(t, port, 0, script.U32(unix.IFLA_MASTER, team))
		want[port] = true
	}
	req.Data = append(req.Data, script.U32(teamIndex, team)...)
	messages, got := 0, map[uint32]bool{}
	for m, err := range s.Do(within(t), req) {
		if err != nil {
			t.Fatal(err)
		}
		messages++
		a := m.Attrs(unix.GENL_HDRLEN)
		for a.Next() {
			if a.Type() != optionList {
				continue
			}
			for _, option := range a.Nest() {
				for typ, n := range option.Nest() {
					if typ == portIndex {
						got[n.Uint32()] = true
					}
				}
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	if messages < 2 || !maps.Equal(got, want) || !s.Idle() {
		t.Errorf("%d messages with options of ports %v, want several, and %v; idle %v", messages, got, want, s.Idle())
	}
	if _, err := readDump(within(t), s, nldump.Dump{Request: families()}); err != nil {
		t.Errorf("a dump after it: %v", err)
	}
}
