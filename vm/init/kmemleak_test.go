// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"os"
	"regexp"
	"runtime"
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

func TestWithoutSignals(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	blocked := func() string {
		status, err := os.ReadFile("/proc/thread-self/status")
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`SigBlk:\s*(\w+)`).FindStringSubmatch(string(status))[1]
	}
	before := blocked()
	failed := errors.New("failed")
	err := withoutSignals(func() error {
		// All but SIGKILL and SIGSTOP, which cannot be blocked.
		if got := blocked(); got != "fffffffffffbfeff" {
			t.Errorf("blocked in it: %s", got)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("its error: %v", err)
	}
	if got := blocked(); got != before {
		t.Errorf("blocked after it: %s, before it: %s", got, before)
	}
}
