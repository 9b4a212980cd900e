// SPDX-License-Identifier: BSD-3-Clause

package term

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"plain, größe 日本": "plain, größe 日本",
		`"quotes" \n`:     `"quotes" \n`,
		"\ufffd":          "\ufffd",
		"\xff":            `\xff`,
		"\xe2\x82":        `\xe2\x82`,
		"a\nb":            `a\nb`,
		"\U000e0001":      `\U000e0001`,
		"\u00a0":          `\u00a0`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{
		"", "plain", `"quotes"`, "a\\b", "<tag>&", "größe 日本", "\ufffd", "\u2028", "\x7f", "\U000e0001",
		"a\x1b[31m\x9b31m\u009b31m\n\t\r\v\xff\x7f\u202e\x00z",
	} {
		var want, got string
		b, err := json.Marshal(text)
		err = errors.Join(err, json.Unmarshal(b, &want))
		b = AppendVisibleJSON(nil, b)
		unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
		if !utf8.Valid(b) || strings.ContainsFunc(string(b), unprintable) {
			t.Errorf("%q becomes %q", text, b)
		}
		if err := errors.Join(err, json.Unmarshal(b, &got)); err != nil || got != want {
			t.Errorf("%q: %s is %q, want %q, %v", text, b, got, want, err)
		}
	}
}
