// SPDX-License-Identifier: BSD-3-Clause

package term

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Text from outside may hold anything: names, commands of processes, paths,
// messages of the kernel or of a library. A terminal must take it for nothing
// but text, and a reader must not take one line for two.

// AppendQuoted appends a name: as it is if it is plain, and otherwise in quotes,
// as a string of Go.
func AppendQuoted(b, name []byte) []byte {
	if IsPlain(name) {
		return append(b, name...)
	}
	return strconv.AppendQuote(b, string(name))
}

// Quoted is AppendQuoted for a string.
func Quoted(name string) string { return string(AppendQuoted(nil, []byte(name))) }

// IsPlain tells whether the text is printable ASCII without anything that a
// format would have to quote.
func IsPlain(text []byte) bool {
	for _, c := range text {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' {
			return false
		}
	}
	return true
}

// Visible returns the text as one line, with everything that is not printable
// escaped as in a string of Go.
func Visible(text string) string {
	return string(appendVisible(nil, []byte(text), func(b []byte, c []byte, _ rune) []byte {
		escaped := strconv.AppendQuote(nil, string(c))
		return append(b, escaped[1:len(escaped)-1]...)
	}))
}

// AppendJSON appends what encoding/json makes of the value, escaped like
// AppendVisibleJSON. It is for values that cannot fail.
func AppendJSON(b []byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return AppendVisibleJSON(b, text)
}

// AppendVisibleJSON appends JSON with everything that is not printable escaped,
// except for newlines between its tokens. Its value stays the same.
func AppendVisibleJSON(b, text []byte) []byte {
	return appendVisible(b, text, func(b []byte, c []byte, r rune) []byte {
		if r == '\n' {
			return append(b, '\n')
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b = fmt.Appendf(b, `\u%04x`, unit)
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

// WriteJSON writes the value, over several lines if there is an indent.
func WriteJSON(w io.Writer, value any, indent string) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(AppendVisibleJSON(nil, text.Bytes()))
	return err
}
