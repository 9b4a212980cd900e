// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"
)

func TestLeakLines(t *testing.T) {
	const report = "unreferenced object 0xffff888003a5c000 (size 64):\n  comm \"sh\", pid 84\n\n"
	got := leakLines(report)
	if want := "kmemleak: unreferenced object 0xffff888003a5c000 (size 64):|kmemleak:   comm \"sh\", pid 84"; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
	if got := leakLines(""); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
	got = leakLines(strings.Repeat("x\n", maxLeakLines+3))
	if len(got) != maxLeakLines+1 || got[maxLeakLines] != "kmemleak: and 3 more lines" {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
}
