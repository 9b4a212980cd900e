// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"strings"
	"testing"
)

// Get and All have the same rules. A rule ends where the next heading is, with a
// number or without.
func TestRules(t *testing.T) {
	all := All()
	for i, want := range all {
		if r, ok := Get(i + 1); !ok || r != want || r.Number != i+1 {
			t.Errorf("rule %d is %q, %t, want %q", i+1, r.Title, ok, want.Title)
		}
		if want.Title == "" || strings.Contains(want.Text, "\n## ") || !strings.Contains(want.Text, "**Learned from**") {
			t.Errorf("rule %d, %q:\n%s", i+1, want.Title, want.Text)
		}
	}
	if len(all) < 20 {
		t.Errorf("%d rules", len(all))
	}
	for _, n := range []int{-1, 0, len(all) + 1} {
		if r, ok := Get(n); ok {
			t.Errorf("rule %d is %q, want none", n, r.Title)
		}
	}
}
