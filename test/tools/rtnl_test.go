// SPDX-License-Identifier: BSD-3-Clause

package tools

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// ownNetNS puts the test and its programs into a network namespace of its own,
// with lo up. It does not work for subtests, which have other threads.
func ownNetNS(t *testing.T) {
	t.Helper()
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("this runs in a guest only: make vm-tools")
	}
	runtime.LockOSThread() // never unlocked: thread and namespace end with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "link", "set", "lo", "up")
}

// request returns a dump request of rtnetlink with a header of that size.
func request(typ uint16, family byte, size int) nldump.Message {
	req := nldump.Message{Type: typ, Data: make([]byte, size)}
	req.Data[0] = family
	return req
}

// change sends requests of one kind in batches, with the last of each
// acknowledged. When it returns, all are done or one was refused.
func change(t *testing.T, typ netlink.HeaderType, count int, message func(i int, e *netlink.AttributeEncoder) (header []byte)) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const most = 500
	for start := 0; start < count; start += most {
		var batch []netlink.Message
		for i := start; i < min(start+most, count); i++ {
			e := netlink.NewAttributeEncoder()
			header := message(i, e)
			attrs, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, netlink.Message{
				Header: netlink.Header{Type: typ, Flags: netlink.Request | netlink.Create | netlink.Excl},
				Data:   append(header, attrs...),
			})
		}
		batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
		if _, err := c.SendMessages(batch); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(); err != nil {
			t.Fatalf("of %d to %d: %v", start, start+len(batch)-1, err)
		}
	}
}

// dumpLines formats each record of a dump as a line; "" leaves one out. It
// returns the lines sorted.
func dumpLines(t *testing.T, family int, req nldump.Message, line func(nldump.Message) (string, error)) (lines []string, stats nldump.Stats) {
	t.Helper()
	s, err := nldump.Dial(family, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		l, err := line(m)
		if err != nil {
			t.Fatal(err)
		}
		if l != "" {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return lines, s.Stats()
}

// ip runs a command of iproute2's that prints a list as JSON.
func ip[T any](t *testing.T, line func(T) string, args ...string) (lines []string) {
	t.Helper()
	text, _ := run(t, "ip", append([]string{"-json", "-Numeric"}, args...)...)
	var all []T
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("ip %s: %v", strings.Join(args, " "), err)
	}
	for _, v := range all {
		if l := line(v); l != "" {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return lines
}

// wantSame compares two sorted lists and shows the first difference.
func wantSame(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		at := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return "(no more)"
		}
		if at(got) != at(want) {
			t.Errorf("%s: dumped %d, printed %d; the first that differ are\n%s\n%s", what, len(got), len(want), at(got), at(want))
			return
		}
	}
	t.Logf("%s: %d dumped, the same %d printed", what, len(got), len(want))
}

// linkNames returns the names of the links by index.
func linkNames(t *testing.T) map[uint32]string {
	t.Helper()
	names := map[uint32]string{}
	dumpLines(t, unix.NETLINK_ROUTE, request(unix.RTM_GETLINK, unix.AF_UNSPEC, unix.SizeofIfInfomsg), func(m nldump.Message) (string, error) {
		a := m.Attrs(unix.SizeofIfInfomsg)
		if a.Find(unix.IFLA_IFNAME) {
			names[nativeU32(m.Data[4:])] = string(a.Text())
		}
		return "", a.Err()
	})
	return names
}

// addVeths creates pairs of links and sets them up.
func addVeths(t *testing.T, pairs int) {
	t.Helper()
	var batch strings.Builder
	for i := range pairs {
		fmt.Fprintf(&batch, "link add a%d mtu %d type veth peer name b%d\nlink set a%d up\nlink set b%d up\n", i, 1300+i, i, i, i)
	}
	file := t.TempDir() + "/batch"
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "-batch", file)
}
