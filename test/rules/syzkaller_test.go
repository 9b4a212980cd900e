// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The description for syzkaller has each command that a request may have, and
// each attribute of a policy.
func TestSyzkallerHasEachAttribute(t *testing.T) {
	names := func(file, pattern string) (all []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	const named = `nlattr|nlnest|msghdr_nl_bulkdump`
	got := names("../syzkaller/bulkdump.txt", `(?:`+named+`)\[(BULKDUMP_\w+)`)
	want := names("../../kmod/netlink_gen.c", `(?:^\t\[|\n\t\[|\.cmd\t+= )(BULKDUMP_(?:A|CMD)_\w+)`)
	if len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("bulkdump.txt has\n%v\nnetlink_gen.c\n%v", got, want)
	}
}
