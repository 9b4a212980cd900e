// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkdump/cmd/dumpcheck/target"
)

// A userChanger is like a command of a user's: add has so many objects, and set is his.
type userChanger struct {
	target.Changer
	most int
	set  func(n int) error
}

func (u userChanger) Add(n int) error {
	if n >= u.most {
		return fmt.Errorf("add %d: %w", n, errors.ErrUnsupported)
	}
	return u.Changer.Add(n)
}

func (u userChanger) Set(n int) error { return u.set(n) }

// A lowestFree gives each object the lowest key that is free, as an ida does.
type lowestFree struct {
	target.Changer
	key map[int]int // by the object's number
}

func (l lowestFree) Add(n int) error {
	key := 0
	for slices.Contains(slices.Collect(maps.Values(l.key)), key) {
		key++
	}
	l.key[n] = key
	return l.Changer.Add(key)
}

func (l lowestFree) Remove(n int) error {
	key, ok := l.key[n]
	if !ok {
		return errors.New("it is not there")
	}
	delete(l.key, n)
	return l.Changer.Remove(key)
}

func (lowestFree) Set(int) error { return errors.ErrUnsupported }

// An idle changer is a command that takes its time, and changes nothing.
type idle struct{}

func (idle) Add(int) error {
	time.Sleep(2 * slow)
	return nil
}

func (i idle) Remove(n int) error { return i.Add(n) }
func (i idle) Set(n int) error    { return i.Add(n) }

// checkRoute runs a check on a dump of rtnetlink, in a network namespace with a table of
// its own.
func checkRoute(t *testing.T, dump string, changer func(target.Changer) target.Changer, o Options, id string) Result {
	t.Helper()
	o.Only = func(other string) bool { return id == other }
	done := make(chan Result, 1)
	go func() { // its thread ends with the namespace
		defer close(done)
		if err := target.OwnNamespace(); err != nil {
			t.Error(err)
			return
		}
		found, err := target.Find(t.Context(), append([]string{"rtnetlink"}, strings.Fields(dump)...))
		if err != nil || len(found) != 1 {
			t.Errorf("%v, %v", found, err)
			return
		}
		d := found[0]
		if err := d.Fill(300); err != nil {
			t.Error(err)
			return
		}
		if changer != nil {
			d.Changer, o.GivenChange = changer(d.Changer), true
		}
		Run(t.Context(), d, o, func(r Result) {
			if r.ID == id {
				done <- r
			}
		})
	}()
	return <-done
}

// An object may come back with the key of another one. That is no fault of the dump.
func TestObjectsThatTakeKeysOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	r := checkRoute(t, "getnexthop", func(c target.Changer) target.Changer { return lowestFree{c, map[int]int{}} }, Options{Rounds: 20}, "change")
	for _, f := range r.Findings {
		if strings.Contains(f.Text, "missing") || strings.Contains(f.Text, "still there") {
			t.Errorf("%v: %s", f.Severity, f.Text)
		}
	}
	if r.Skipped != "" || !strings.Contains(r.Info, "changes in") {
		t.Errorf("skipped: %q; info: %q", r.Skipped, r.Info)
	}
}

// What changes by itself shows no change of the user's.
func TestChangeOfWhatChangesByItself(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	r := checkRoute(t, "inet getneigh", func(target.Changer) target.Changer { return idle{} }, Options{}, "change") // NDA_CACHEINFO has ages
	if !r.Failed && !strings.Contains(r.Skipped, errUnseen.Error()) || len(r.Findings) > 0 {
		t.Errorf("of a change that does nothing: %q, findings %v", r.Skipped, r.Findings)
	}
}

// A dump that is larger than the user allows, but ends, was not checked.
func TestLimitOfTheUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	for _, id := range []string{"pages", "parked"} {
		r := checkRoute(t, "inet getrule", nil, Options{Pages: 3}, id)
		if !r.Failed || !strings.Contains(r.Skipped, "--max-pages") || len(r.Findings) > 0 {
			t.Errorf("%s: failed is %t, %q, findings %v", id, r.Failed, r.Skipped, r.Findings)
		}
	}
}

// What a user's command does not do is no fault of the dump.
func TestGivenChange(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	nothing := func(int) error { return nil }
	never := func(int) error { return errors.ErrUnsupported }
	for _, tt := range []struct {
		name   string
		most   int
		set    func(int) error
		failed string
		tried  bool // records were changed
	}{
		{"set does nothing", 100, nothing, "the record is as it was: it must get another value each time", true},
		{"no set", 100, never, "", true},
		{"no add", 0, never, "add 0", false},
		{"two objects", 2, never, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := checkRoute(t, "inet getrule", func(c target.Changer) target.Changer { return userChanger{c, tt.most, tt.set} }, Options{}, "change")
			text := ""
			for _, f := range r.Findings {
				text += f.Text + "\n"
			}
			if r.Failed != (tt.failed != "") || !strings.Contains(r.Skipped, tt.failed) || strings.Contains(text, "changed in place") || (len(r.Findings) > 0) != tt.tried {
				t.Errorf("failed is %t, %q, and it found %s", r.Failed, r.Skipped, text)
			}
		})
	}
}
