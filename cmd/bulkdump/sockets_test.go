// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/internal/term"
)

// fakeSockets are one of each kind.
func fakeSockets() *nlsock.List {
	rcvbuf := uint32(212992)
	here := nlsock.Namespace{Inode: 4026531840}
	none := []nlsock.Group{} // as Read has it: not nil
	return &nlsock.List{Sockets: []nlsock.Socket{
		{NetNS: here, Protocol: unix.NETLINK_GENERIC, RcvBuf: &rcvbuf, Source: nlsock.Diag, Groups: none, Owners: []nlsock.Owner{}},
		{
			NetNS: here, Protocol: unix.NETLINK_GENERIC, PortID: 77, RcvBuf: &rcvbuf, Source: nlsock.Diag, Groups: none,
			Queued: 33024, Dump: true, Inode: 9, Owners: []nlsock.Owner{{PID: 77, Command: "reader"}},
		},
		{
			NetNS: nlsock.Namespace{Inode: 4026532000, Name: "blue"}, Protocol: unix.NETLINK_ROUTE, PortID: 77, Source: nlsock.Proc,
			Drops: 3, Inode: 10, Groups: []nlsock.Group{{ID: 1, Name: "link"}, {ID: 32}},
			Owners: []nlsock.Owner{{PID: 5, Command: "a"}, {PID: 6, Command: "b"}},
		},
	}}
}

// runSockets runs a command line on a list of sockets.
func runSockets(t *testing.T, l *nlsock.List, err error, args ...string) (ran, nlsock.Source) {
	t.Helper()
	a, stdout, stderr := newApp(nil)
	var asked nlsock.Source
	a.lab.sockets = func(_ context.Context, only nlsock.Source) (*nlsock.List, error) {
		asked = only
		return l, err
	}
	a.dial = func() (table, error) {
		t.Error("the table was asked for")
		return nil, errors.New("no table")
	}
	got := runApp(t.Context(), t, a, stdout, stderr, append([]string{"sockets"}, args...)...)
	return got, asked
}

const socketsTable = `NETNS       PROTOCOL  PORT  DUMP     QUEUED  RCVBUF  DROPS  OWNER      GROUPS
4026531840  generic   0     -        0       212992  0      kernel     -
4026531840  generic   77    running  33024   212992  0      reader/77  -
blue        route     77    -        0       -       3      a/5 +1     link,32
`

func TestSockets(t *testing.T) {
	got, asked := runSockets(t, fakeSockets(), nil)
	got.check(t, ran{stdout: socketsTable})
	if asked != "" {
		t.Errorf("asked for %q only", asked)
	}
	got, asked = runSockets(t, fakeSockets(), nil, "--source", "proc", "-o", "csv")
	got.check(t, ran{stdout: `netns,netns_name,protocol,port_id,groups,queued,rcvbuf,drops,dump,inode,owners,source
4026531840,,generic,0,,0,212992,0,false,0,,diag
4026531840,,generic,77,,33024,212992,0,true,9,reader/77,diag
4026532000,blue,route,77,link 32,0,,3,false,10,a/5 b/6,proc
`})
	if asked != nlsock.Proc {
		t.Errorf("asked for %q, want proc", asked)
	}
	var all []map[string]any
	got, _ = runSockets(t, fakeSockets(), nil, "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all) != 3 || all[1]["protocol"] != "generic" || all[2]["rcvbuf"] != nil {
		t.Errorf("%v, %v", all, err)
	}
	got, _ = runSockets(t, fakeSockets(), nil, "-o", "jsonl")
	if strings.Count(got.stdout, "\n") != 3 || !strings.HasPrefix(got.stdout, `{"netns":{"inode":4026531840},"protocol":"generic","port_id":0,`) {
		t.Errorf("%s", got.stdout)
	}
}

// What the command cannot know, it says on stderr, and does not fail.
func TestSocketsRemarks(t *testing.T) {
	l := fakeSockets()
	l.Fallback, l.NotEntered = nlsock.ErrNoDiag, 2
	got, _ := runSockets(t, l, nil)
	got.check(t, ran{socketsTable, "bulkdump: the kernel has no netlink_diag (CONFIG_NETLINK_DIAG): this is from /proc/net/netlink\n" +
		"bulkdump: 2 network namespaces in sight could not be entered: this needs CAP_SYS_ADMIN in the user namespace that owns each, and in your own\n", 0})

	got, _ = runSockets(t, nil, nlsock.ErrNoDiag, "--source", "diag")
	got.check(t, ran{"", "bulkdump: the kernel has no netlink_diag (CONFIG_NETLINK_DIAG)\n", 1})
}

// Colors change nothing else.
func TestSocketsInColor(t *testing.T) {
	got, _ := runSockets(t, fakeSockets(), nil, "--color", "always")
	lines := strings.SplitAfter(got.stdout, "\n")
	for i, c := range []term.Color{term.Plain, term.Dim, term.Yellow, term.Red} {
		if c != term.Plain && !strings.HasPrefix(lines[i], string(c)) || c == term.Plain && strings.Contains(lines[i], "\x1b") {
			t.Errorf("line %d is %q, want color %q", i, lines[i], c)
		}
		lines[i] = strings.TrimPrefix(strings.Replace(lines[i], "\x1b[0m", "", 1), string(c))
	}
	if bare := strings.Join(lines, ""); bare != socketsTable {
		t.Errorf("%q", bare)
	}
}
