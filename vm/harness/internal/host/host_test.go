// SPDX-License-Identifier: BSD-3-Clause

package host

import (
	"strings"
	"syscall"
	"testing"
)

func TestToolErrors(t *testing.T) {
	for script, want := range map[string]string{
		"for i in $(seq 100); do echo $i; done; exit 3": "exit status 3\n41\n",
		"echo 'x: No space left on device' >&2; exit 1": syscall.ENOSPC.Error(),
	} {
		if err := Run(Command(t.Context(), "sh", "-c", script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
	if err := Run(Command(t.Context(), "no-such-program")); err == nil || !strings.Contains(err.Error(), "vm/deps") {
		t.Errorf("a program that is not there: %v", err)
	}
	// What it says is looked at, in English.
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	if err := Run(Command(t.Context(), "sh", "-c", "test $LC_ALL = C")); err != nil {
		t.Error(err)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"plain-1.2_/x=:,@%+": "plain-1.2_/x=:,@%+",
		"":                   "''",
		"a b":                "'a b'",
		"it's":               `'it'\''s'`,
		"$(x)":               "'$(x)'",
		"ä":                  "'ä'",
		"*":                  "'*'",
		"a\nb":               "'a\nb'",
	} {
		if got := Quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
