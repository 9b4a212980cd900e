// SPDX-License-Identifier: BSD-3-Clause

package term

import "testing"

func TestColored(t *testing.T) {
	for _, tt := range []struct {
		terminal bool
		noColor  string
		term     string
		color    When
		want     bool
	}{
		{true, "", "xterm", "", true},
		{true, "", "xterm", Auto, true},
		{true, "1", "xterm", Auto, false},
		{true, "", "dumb", Auto, false},
		{true, "", "xterm", Never, false},
		{false, "", "xterm", Auto, false},
		{false, "1", "xterm", Always, true},
	} {
		t.Setenv("NO_COLOR", tt.noColor)
		t.Setenv("TERM", tt.term)
		if got := tt.color.Colored(tt.terminal); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
