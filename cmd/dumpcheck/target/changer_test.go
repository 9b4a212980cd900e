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

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// inOwnNamespace runs a function on a goroutine in a network namespace of its own.
func inOwnNamespace(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		err := OwnNamespace()
		if err == nil {
			f()
		}
		done <- err
	}()
	switch err := <-done; {
	case errors.Is(err, os.ErrPermission):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// records reads a target's records.
func records(t *testing.T, d *Target) (all []nldump.Message) {
	t.Helper()
	s, err := nldump.Dial(d.Protocol, nldump.Config{})
	if err != nil {
		t.Error(err)
		return nil
	}
	defer s.Close()
	for m, err := range s.Dump(context.Background(), nldump.Dump{Request: d.Request, NoAck: d.NoAck, Unaddressed: true}) {
		if err != nil && !errors.Is(err, nldump.ErrInterrupted) {
			t.Errorf("%v: %v", d, err)
			return nil
		}
		m.Data = bytes.Clone(m.Data)
		all = append(all, m)
	}
	return all
}

// byKey returns the records by key. It is an error if two have the same.
func byKey(t *testing.T, d *Target, all []nldump.Message) map[string][]byte {
	t.Helper()
	by := map[string][]byte{}
	for _, m := range all {
		k, ok := d.Key.Of(m, d.Header)
		if _, twice := by[k]; twice || !ok {
			t.Errorf("%v: key %v: record %x has none, or another one has it too", d, d.Key, m.Data)
		}
		by[k] = m.Data
	}
	return by
}

// minus returns what is in a and not in b.
func minus(a, b map[string][]byte) (names []string) {
	for k := range a {
		if _, ok := b[k]; !ok {
			names = append(names, k)
		}
	}
	return names
}

// changed are the commands that have a changer on every kernel, and whether the place
// in the dump is the object's.
var changed = []struct {
	words  []string
	sorted bool
	set    bool
}{
	{[]string{"route", "links"}, false, true}, // before 6.9 by a hash
	{[]string{"route", "addresses"}, true, true},
	{[]string{"route", "inet6 getaddr"}, false, true},
	{[]string{"route", "routes"}, true, true},
	{[]string{"route", "inet6 getroute"}, true, true},
	{[]string{"route", "rules"}, true, false},
	{[]string{"route", "inet6 getrule"}, true, false},
	{[]string{"route", "neighbours"}, false, true},
	{[]string{"route", "inet6 getneigh"}, false, true},
	{[]string{"route", "nexthops"}, true, true},
	{[]string{"route", "qdiscs"}, false, false},
	{[]string{"route", "inet6 getaddrlabel"}, false, false},
	{[]string{"nfnetlink", "nftables gettable"}, false, true},
	{[]string{"nfnetlink", "nftables getchain"}, false, false},
	{[]string{"nfnetlink", "nftables getrule"}, false, false},
	{[]string{"nfnetlink", "nftables getset"}, false, false},
	{[]string{"nfnetlink", "nftables getobj"}, false, false},
}

// TestChangers makes a table, and adds, changes and removes objects in it.
func TestChangers(t *testing.T) {
	for _, c := range changed {
		t.Run(c.words[0]+" "+c.words[1], func(t *testing.T) {
			var reason string
			inOwnNamespace(t, func() { reason = testChanger(t, c.words, c.sorted, c.set) })
			if reason != "" {
				t.Skip(reason)
			}
		})
	}
}

// testChanger returns why the kernel cannot do it, or "".
func testChanger(t *testing.T, words []string, sorted, set bool) string {
	found, err := Find(context.Background(), append(words[:1:1], strings.Fields(words[1])...))
	if errors.Is(err, os.ErrNotExist) && words[0] == "nfnetlink" {
		return err.Error()
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	d := found[0]
	if d.Home != (d.Generic != nil && d.Family != "bulkdump") {
		t.Errorf("%v: Home is %t", d, d.Home)
	}
	if !d.CanFill() {
		t.Errorf("%v: no changer", d)
		return ""
	}
	const filled, added = 40, 10
	if d.Key.IsZero() {
		d.Key = Key{Attrs: [][]uint16{{1}}} // of bulkdump_nested
	}
	own := byKey(t, d, records(t, d))
	if err := d.Fill(filled); errors.Is(err, errors.ErrUnsupported) {
		return err.Error()
	} else if err != nil {
		t.Error(err)
		return ""
	}
	before := byKey(t, d, records(t, d))
	if len(before) < filled {
		t.Errorf("%d records after %d objects were made", len(before), filled)
	}
	for n := range added {
		if err := d.Changer.Add(n); err != nil {
			t.Errorf("add %d: %v", n, err)
			return ""
		}
	}
	// The kernel forgets to look at labels of the same length beyond the newest.
	if d.Generic == nil && d.Command != "getaddrlabel" && d.Changer.Add(3) == nil {
		t.Error("an object that is there is added once more, and that is no error")
	}
	after := byKey(t, d, records(t, d))
	if more := minus(after, before); len(more) < added {
		t.Errorf("%d records more after %d objects were added", len(more), added)
	}
	if missing := minus(before, after); len(missing) > 0 {
		t.Errorf("%d records went when others were added", len(missing))
	}
	if sorted {
		testPlaces(t, d, own, before)
	}
	for _, n := range []int{1, 2, 1} { // each is a change
		if err = d.Changer.Set(n); !set {
			break
		}
		now := byKey(t, d, records(t, d))
		differ := 0
		for k, data := range now {
			if !bytes.Equal(data, after[k]) {
				differ++
			}
		}
		if err != nil || differ == 0 || len(minus(now, after))+len(minus(after, now)) > 0 {
			t.Errorf("set %d: %v; %d records changed, %d came, %d went", n, err, differ, len(minus(now, after)), len(minus(after, now)))
		}
		after = now
	}
	if !set && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("set: %v, want ErrUnsupported", err)
	}
	for n := range added {
		if err := d.Changer.Remove(n); err != nil {
			t.Errorf("remove %d: %v", n, err)
		}
	}
	last := byKey(t, d, records(t, d))
	if more, missing := minus(last, before), minus(before, last); len(more)+len(missing) > 0 {
		t.Errorf("after all were removed, %d records are new and %d are missing", len(more), len(missing))
	}
	return ""
}

// testPlaces checks that some of the added objects come before all that were made, some
// between, and some after.
func testPlaces(t *testing.T, d *Target, own, before map[string][]byte) {
	t.Helper()
	var old []bool
	for _, m := range records(t, d) {
		k, _ := d.Key.Of(m, d.Header)
		_, was := before[k]
		if _, kernels := own[k]; !kernels {
			old = append(old, was)
		}
	}
	runs := 0
	for i := range old {
		if i > 0 && !old[i] && old[i-1] {
			runs++
		}
	}
	if old[0] || old[len(old)-1] || runs < 5 {
		t.Errorf("an object before all others: %t, after them: %t, and %d between; want both, and 5", !old[0], !old[len(old)-1], runs)
	}
}

// TestModules does the same with the tables of this project's modules, as far as they
// are loaded.
func TestModules(t *testing.T) {
	loaded, err := Families(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		family, command string
		home            bool
	}{{"bulkdump", "entry-get", false}, {"bulkdump_broken", "1", true}, {"bulkdump_min", "1", true}, {"bulkdump_nested", "1", true}} {
		t.Run(c.family, func(t *testing.T) {
			if !slices.ContainsFunc(loaded, func(g *Generic) bool { return g.Name == c.family }) {
				t.Skip("the module is not loaded")
			}
			test := func() {
				if reason := testChanger(t, []string{c.family, c.command}, true, true); reason != "" {
					t.Error(reason)
				}
			}
			if c.home {
				test()
			} else {
				inOwnNamespace(t, test)
			}
		})
	}
}

// TestOwnNamespace checks that the calling goroutine has an empty table, and no other.
func TestOwnNamespace(t *testing.T) {
	find := func() *Target {
		found, err := Find(context.Background(), []string{"route", "rules"})
		if err != nil {
			t.Fatal(err)
		}
		return found[0]
	}
	before := len(records(t, find()))
	inOwnNamespace(t, func() {
		d := find()
		if err := d.Fill(100); err != nil {
			t.Error(err)
		}
		if n := len(records(t, d)); n < 100 {
			t.Errorf("%d records in the namespace of its own, want 100 more", n)
		}
	})
	if after := len(records(t, find())); after != before {
		t.Errorf("%d records outside, want %d", after, before)
	}
}

// TestFillTwice fills the table of one target by two, and changes it by the second.
func TestFillTwice(t *testing.T) {
	inOwnNamespace(t, func() {
		for _, command := range []string{"getlink", "inet6 getlink"} {
			found, err := Find(context.Background(), append([]string{"route"}, strings.Fields(command)...))
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(found[0].Fill(10), found[0].Changer.Add(0), found[0].Changer.Remove(0)); err != nil {
				t.Errorf("%s: %v", command, err)
			}
		}
	})
}

// TestRoutesOfOnePrefix checks that some objects share a prefix, and others do not,
// among those of Fill and among the first of the changer.
func TestRoutesOfOnePrefix(t *testing.T) {
	for _, command := range []string{"routes", "inet6 getroute"} {
		inOwnNamespace(t, func() {
			found, err := Find(context.Background(), append([]string{"route"}, strings.Fields(command)...))
			if err != nil {
				t.Error(err)
				return
			}
			d := found[0]
			most := func() (most, prefixes int) {
				by := map[string]int{}
				for _, m := range records(t, d) {
					if a := m.Attrs(d.Header); a.Find(unix.RTA_DST) {
						by[string(a.Bytes())]++
					}
				}
				for _, n := range by {
					most = max(most, n)
				}
				return most, len(by)
			}
			if err := d.Fill(100); err != nil {
				t.Error(err)
			}
			shared, prefixes := most()
			if shared < 40 || prefixes < 40 {
				t.Errorf("%s: of 100 routes, %d share a prefix, and there are %d prefixes; want 40 each", command, shared, prefixes)
			}
			for n := range 8 {
				if err := d.Changer.Add(n); err != nil {
					t.Error(err)
				}
			}
			if more, others := most(); more < shared+2 || others < prefixes+2 {
				t.Errorf("%s: of 8 objects, %d share the prefix, and %d have one of their own; want 2 each", command, more-shared, others-prefixes)
			}
		})
	}
}

func BenchmarkChange(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("a network namespace of its own takes root")
	}
	done := make(chan error)
	go func() {
		done <- func() error {
			if err := OwnNamespace(); err != nil {
				return err
			}
			found, err := Find(context.Background(), []string{"route", "rules"})
			if err != nil {
				return err
			}
			for b.Loop() {
				if err := errors.Join(found[0].Changer.Add(5), found[0].Changer.Remove(5)); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
