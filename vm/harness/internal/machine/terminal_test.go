// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestTypeInto(t *testing.T) {
	for _, tt := range []struct {
		name, typed, want string
		escaped           bool
	}{
		{"keys", "ls\r", "ls\r", false},
		{"two are a key", "\x1d\x1dx\x1d", "\x1d\x1dx\x1d", false},
		{"three are the way out", "ls\r\x1d\x1d\x1dmore", "ls\r\x1d\x1d", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var to bytes.Buffer
			escaped := false
			typeInto(&to, &trickle{tt.typed}, func() { escaped = true })
			if to.String() != tt.want || escaped != tt.escaped {
				t.Errorf("got %q, %v; want %q, %v", to.String(), escaped, tt.want, tt.escaped)
			}
		})
	}
	escaped := false
	typeInto(io.Discard, strings.NewReader("\x1d\x1d\x1d"), func() { escaped = true })
	if !escaped {
		t.Error("three in one read are not seen")
	}
}
