// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

func TestPlainWord(t *testing.T) {
	for _, same := range [][]string{
		{"rule", "rules", "Rules", "getrule", "GETRULE"},
		{"address", "addresses", "Addresses"},
		{"class", "classes"},
		{"policy", "policies", "getpolicy"},
		{"dev-get", "dev", "get_dev", "devs"},
		{"sock_diag", "sock-diag", "sockdiag"},
		{"get"},
		{"s"},
	} {
		for _, w := range same {
			if plainWord(w) != plainWord(same[0]) {
				t.Errorf("%s becomes %s, and %s %s", w, plainWord(w), same[0], plainWord(same[0]))
			}
		}
	}
	if plainWord("get") == "" || plainWord("s") == plainWord("") && plainWord("ss") == "" {
		t.Error("a word becomes nothing")
	}
}

func TestNearest(t *testing.T) {
	names := []string{"ethtool", "nlctrl", "netdev"}
	for word, want := range map[string]string{"etool": "ethtool", "nlctl": "nlctrl", "NetDev": "netdev", "something-else": ""} {
		got := nearest(word, names)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"rule", "rules", 1}, {"rule", "role", 1}, {"abc", "cab", 2}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("distance of %q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// choices are targets as they are found, of which words select some.
func choices() (targets []*Target) {
	for _, family := range []byte{0, unix.AF_INET6} {
		for _, typ := range []uint16{unix.RTM_GETRULE, unix.RTM_GETADDR, unix.RTM_GETADDRLABEL, unix.RTM_GETNEIGH} {
			t := routeTarget(typ, family)
			targets = append(targets, Asks(nil).of(t, t.Request.Data)...)
		}
	}
	return targets
}

func TestChoose(t *testing.T) {
	nft := Netfilter(nil)
	foo := []*Target{
		{Family: "foo", Command: "dev-get", Cmd: 1, Generic: &Generic{}}, {Family: "foo", Command: "Dev-get", Cmd: 2, Generic: &Generic{}},
		{Family: "foo", Command: "7", Cmd: 7, Generic: &Generic{}},
	}
	for _, c := range []struct {
		targets []*Target
		words   string
		want    string // the targets' names, or after a ! what the error says
	}{
		{choices(), "rules", "rtnetlink getrule|rtnetlink inet6 getrule"},
		{choices(), "34", "rtnetlink getrule|rtnetlink inet6 getrule"},
		{choices(), "getrule", "rtnetlink getrule|rtnetlink inet6 getrule"},
		{choices(), "inet6 getrule", "rtnetlink inet6 getrule"},
		{choices(), "rule inet6", "rtnetlink inet6 getrule"},
		{choices(), "Address", "rtnetlink getaddr|rtnetlink inet6 getaddr"},
		{choices(), "addr", "rtnetlink getaddr|rtnetlink inet6 getaddr"},
		{choices(), "neighbours proxy", "rtnetlink getneigh proxy"},
		{choices(), "inet6", "rtnetlink inet6 getrule|rtnetlink inet6 getaddr|rtnetlink inet6 getaddrlabel|rtnetlink inet6 getneigh"},
		{choices(), "routes", "!has no dump \"routes\" (did you mean rules?): it has getrule (34), getaddr (22)"},
		{choices(), "zzz", "!has no dump \"zzz\": it has getrule (34), getaddr (22), getaddrlabel (74), getneigh (30), getneigh proxy (30), " +
			"inet6 getrule (34), inet6 getaddr (22), inet6 getaddrlabel (74) and 1 more: see dumpcheck --list foo"},
		{choices(), "rules addresses", "!has no dump"},
		{nft, "nftables getset", "nfnetlink nftables getset"},
		{nft, "nft sets", "nfnetlink nftables getset"},
		{nft, "conntrack get", "nfnetlink ctnetlink get"},
		{nft, "hook", "nfnetlink hook get ipv4 input"},
		{nft, "acct", "nfnetlink acct get|nfnetlink acct get-ctrzero"},
		{nft, "10", "nfnetlink nftables getset"},
		{nft, "1", "!it is not clear which is meant: ctnetlink get (1)"},
		{foo, "dev-get", "foo dev-get"},
		{foo, "2", "foo Dev-get"},
		{foo, "7", "foo 7"},
		{foo, "dev", "!it is not clear which is meant: dev-get (1), Dev-get (2)"},
		{foo, "", "foo dev-get|foo Dev-get|foo 7"},
	} {
		chosen, err := choose("foo", c.targets, strings.Fields(c.words))
		var names []string
		for _, d := range chosen {
			names = append(names, d.Name())
		}
		got := strings.Join(names, "|")
		if want, fails := strings.CutPrefix(c.want, "!"); fails && (err == nil || !strings.Contains(err.Error(), want)) || !fails && (err != nil || got != want) {
			t.Errorf("%s: %s, %v, want %s", c.words, got, err, c.want)
		}
	}
}

func TestFindIsQuick(t *testing.T) {
	begin := time.Now()
	_, err := Find(context.Background(), []string{"no-such"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "nlctrl") || !strings.Contains(err.Error(), "route") {
		t.Errorf("a family that is none: %v, want os.ErrNotExist with what there is", err)
	}
	_, err = Find(context.Background(), []string{"route", "no-such"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "getlink (18)") {
		t.Errorf("a command that is none: %v", err)
	}
	if _, err := Find(context.Background(), nil); err == nil {
		t.Error("no word is accepted")
	}
	found, err := Find(context.Background(), []string{"NlCtrl", "getfamilies"})
	if err != nil || len(found) != 1 || found[0].Name() != "nlctrl getfamily" {
		t.Errorf("%v, %v", found, err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNlctrl checks what the controller tells of itself, and that a dump that needs an
// attribute gets one.
func TestNlctrl(t *testing.T) {
	found, err := Find(context.Background(), []string{"nlctrl", "getpolicy"})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	d := found[0]
	if a := nldump.Parse(d.Request.Data[unix.GENL_HDRLEN:]); d.Note == "" || !a.Find(unix.CTRL_ATTR_FAMILY_NAME) || string(a.Text()) != d.Note {
		t.Errorf("the request of %v is % x", d, d.Request.Data)
	}
	op := d.Generic.Ops[d.Cmd]
	if p := op.DumpPolicy[unix.CTRL_ATTR_FAMILY_NAME]; !op.Can(unix.GENL_CMD_CAP_DUMP) || p.Type != TypeNulString || p.MaxLen != unix.GENL_NAMSIZ-1 {
		t.Errorf("the policy of the family's name is %+v", p)
	}
}

// TestAll finds each of the others by its own name.
func TestAll(t *testing.T) {
	// To open a socket loads the protocol's module.
	here := map[int]bool{}
	for _, protocol := range []int{unix.NETLINK_XFRM, unix.NETLINK_CRYPTO} {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, protocol)
		if err == nil {
			unix.Close(fd)
			here[protocol] = true
		}
	}
	all, err := All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range all {
		if names[d.Name()] {
			t.Errorf("two are called %v", d)
		}
		names[d.Name()] = true
		delete(here, d.Protocol)
	}
	for protocol := range here {
		t.Errorf("protocol %d is there, and no dump of it", protocol)
	}
	for _, want := range []string{"nlctrl getfamily", "rtnetlink getlink", "rtnetlink getrule"} {
		if !names[want] {
			t.Errorf("%s is missing", want)
		}
	}
	t.Logf("%d dumps", len(all))
}

func TestHasModule(t *testing.T) {
	const dep = "kernel/net/ipv4/tcp_diag.ko.xz: kernel/net/ipv4/inet_diag.ko.xz\nkernel/net/sched/act_gact.ko:\nkernel/net/netfilter/nft-compat.ko.zst:\n"
	for module, want := range map[string]bool{"tcp_diag": true, "inet_diag": false, "act_gact": true, "nft_compat": true, "gact": false, "": false} {
		if hasModule(dep, module) != want {
			t.Errorf("%s: %t, want %t", module, !want, want)
		}
	}
}

func TestStill(t *testing.T) {
	d := routeTarget(unix.RTM_GETNEIGHTBL, 0)
	age := slices.Concat(zeros(4), Attr(1, text("arp")), Attr(5, bytes.Repeat([]byte{7}, 32)))
	still := d.Still(age)
	if bytes.Equal(still, age) || !bytes.Equal(still[:24], age[:24]) || !bytes.Equal(still[24:32], zeros(8)) || !bytes.Equal(still[32:], age[32:]) {
		t.Errorf("% x of % x", still, age)
	}
	action := routeTarget(unix.RTM_GETACTION, 0)
	record := slices.Concat(zeros(4), Nest(1, Nest(3, Attr(1, text("gact")), Nest(2, Attr(1, []byte{1, 2, 3, 4}), Attr(2, u8(9))))))
	want := slices.Concat(zeros(4), Nest(1, Nest(3, Attr(1, text("gact")), Nest(2, Attr(1, zeros(4)), Attr(2, u8(9))))))
	if got := action.Still(record); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
	sockets := &Target{Family: "sock_diag netlink", Command: "get", Header: 28}
	sockets.describe()
	reader, other := zeros(28), zeros(28)
	reader[2], other[2] = unix.NETLINK_SOCK_DIAG, unix.NETLINK_ROUTE
	if sockets.Still(reader) != nil || !bytes.Equal(sockets.Still(other), other) {
		t.Error("a reader's own socket stays, or another one goes")
	}
	if plain := routeTarget(unix.RTM_GETLINK, 0); !bytes.Equal(plain.Still(reader), reader) || plain.Still(nil) != nil {
		t.Error("a record without a part that moves is changed")
	}
	for _, cut := range [][]byte{nil, zeros(3), age[:10], append(zeros(4), 200, 0, 5, 0)} {
		d.Still(cut) // must not panic
	}
}

func TestSlots(t *testing.T) {
	seen := map[slot]bool{}
	for n := range MostObjects {
		s := slotOf(n)
		if seen[s] || s%2 == 0 || s < 1 || s > 2*MostObjects+1 {
			t.Fatalf("object %d has slot %d", n, s)
		}
		seen[s] = true
	}
	if slotOf(0) != 1 || slotOf(1) != 2*MostObjects+1 || slotOf(2) != MostObjects+1 {
		t.Errorf("the first, the last and the middle are %d, %d, %d", slotOf(0), slotOf(1), slotOf(2))
	}
}
