// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// What comes from outside may have anything in it: names, commands of
// processes, paths, what the kernel or a library says. A terminal must not take
// it for more than text, nor a reader one line for two.

// appendQuoted appends a name: as it is if it is plain, else in quotes, as a
// string of Go.
func appendQuoted(b, name []byte) []byte {
	if isPlain(name) {
		return append(b, name...)
	}
	return strconv.AppendQuote(b, string(name))
}

func quoted(name string) string { return string(appendQuoted(nil, []byte(name))) }

// isPlain tells whether the text is printable ASCII without anything that a
// format would have to quote.
func isPlain(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' {
			return false
		}
	}
	return true
}

// visible is a text on one line: all that is not printable is escaped as in a
// string of Go.
func visible(text string) string {
	return string(appendVisible(nil, []byte(text), func(b []byte, c []byte, _ rune) []byte {
		escaped := strconv.AppendQuote(nil, string(c))
		return append(b, escaped[1:len(escaped)-1]...)
	}))
}

// appendVisibleJSON is visible for JSON, which stays the same value. Its own
// newlines stay, too.
func appendVisibleJSON(b, text []byte) []byte {
	return appendVisible(b, text, func(b []byte, c []byte, r rune) []byte {
		if r == '\n' {
			return append(b, '\n')
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b = append(b, '\\', 'u')
			for shift := 12; shift >= 0; shift -= 4 {
				b = append(b, "0123456789abcdef"[unit>>shift&0xf])
			}
		}
		return b
	})
}

// appendVisible has escape append what is not printable.
func appendVisible(b, text []byte, escape func(b, c []byte, r rune) []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if strconv.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b = append(b, text[:n]...)
		} else {
			b = escape(b, text[:n], r)
		}
		text = text[n:]
	}
	return b
}
