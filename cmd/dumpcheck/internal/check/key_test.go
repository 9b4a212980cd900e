// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/target"
)

// A key that no record has says nothing about the dump, and one that several have is no
// reason for other checks to find something.
func TestWrongKey(t *testing.T) {
	found, err := target.Find(t.Context(), []string{"nlctrl", "getfamily"})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, tt := range []struct {
		key    string
		failed string
		broken string
	}{
		{"99", "--key: no record has 99, of", ""},
		{"each[99]", "--key: no record has each[99], of", ""},
		{"3", "", "key"}, // CTRL_ATTR_VERSION
		{"1", "", ""},
		{"1,99", "", ""},
	} {
		t.Run(tt.key, func(t *testing.T) {
			dump := *found[0]
			if dump.Key, err = target.ParseKey(tt.key, dump.Header, nil); err != nil {
				t.Fatal(err)
			}
			only := func(id string) bool { return id == "key" || id == "pages" || id == "idle" }
			failed, broken := "", ""
			Run(t.Context(), &dump, Options{GivenKey: true, Only: only}, func(r Result) {
				if r.Failed {
					failed += r.Skipped
				}
				if r.Severity() == Broken {
					broken += r.ID
				}
			})
			if tt.failed == "" && failed != "" || !strings.HasPrefix(failed, tt.failed) || broken != tt.broken {
				t.Errorf("%q is broken, and failed are %q", broken, failed)
			}
		})
	}
}

// What is missing in dumps that are all marked as interrupted is less than broken.
func TestMarkedFaults(t *testing.T) {
	c := &changes{}
	for i, tt := range []struct {
		marked bool
		first  string
		n      int
	}{{true, "dump 0", 1}, {true, "dump 0", 2}, {false, "dump 2", 2}, {true, "dump 2", 3}, {false, "dump 2", 3}} {
		c.find(missing, tt.marked, "dump %d", i)
		if got := c.found[missing]; got.n != i+1 || got.marked != tt.n || got.first != tt.first {
			t.Errorf("after dump %d: %+v", i, got)
		}
	}
}
