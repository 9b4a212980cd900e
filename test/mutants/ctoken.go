// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
)

type kind int

const (
	word   kind = iota // a name, a keyword or a number
	quoted             // a string or a character
	mark               // an operator or a bracket
)

// A ctoken is a token of C. There are none for comments, preprocessor lines and white space.
type ctoken struct {
	kind kind
	text string
	at   int // its offset in the source
}

func (t ctoken) end() int { return t.at + len(t.text) }

// marks are the operators of more than one character, the longest first.
var marks = []string{"<<=", ">>=", "...", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=",
	"&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "##"}

func tokenize(src string) []ctoken {
	var toks []ctoken
	fresh := true // nothing but white space on this line so far
	for i := 0; i < len(src); {
		rest := src[i:]
		switch c := src[i]; {
		case c == '\n':
			fresh = true
			i++
			continue
		case c == ' ' || c == '\t' || c == '\r':
			i++
			continue
		case strings.HasPrefix(rest, "/*"):
			i += until(rest, 2, "*/")
			continue
		case strings.HasPrefix(rest, "//"):
			i += until(rest, 2, "\n") - 1
			continue
		case c == '#' && fresh:
			i += directive(rest)
			continue
		case c == '"' || c == '\'':
			toks = append(toks, ctoken{quoted, rest[:quotedLen(rest)], i})
		case isWord(c):
			n := strings.IndexFunc(rest, func(r rune) bool { return r > 127 || !isWord(byte(r)) })
			if n < 0 {
				n = len(rest)
			}
			toks = append(toks, ctoken{word, rest[:n], i})
		default:
			text := rest[:1]
			if n := slices.IndexFunc(marks, func(m string) bool { return strings.HasPrefix(rest, m) }); n >= 0 {
				text = marks[n]
			}
			toks = append(toks, ctoken{mark, text, i})
		}
		i = toks[len(toks)-1].end()
		fresh = false
	}
	return toks
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// until returns the length of text up to the end of stop, which is looked for from
// offset from on.
func until(text string, from int, stop string) int {
	n := strings.Index(text[from:], stop)
	if n < 0 {
		return len(text)
	}
	return from + n + len(stop)
}

// directive returns the length of a preprocessor line, with the lines that
// continue it.
func directive(text string) int {
	n := 0
	for {
		line := until(text[n:], 0, "\n")
		n += line
		if n >= len(text) || !strings.HasSuffix(text[:n], "\\\n") {
			return n
		}
	}
}

func quotedLen(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return len(text)
}

// closing returns the index of the bracket that closes the one at toks[open], or
// len(toks).
func closing(toks []ctoken, open int) int {
	depth := 0
	for i := open; i < len(toks); i++ {
		switch toks[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(toks)
}

// opening is the same in the other direction, or -1.
func opening(toks []ctoken, closed int) int {
	depth := 0
	for i := closed; i >= 0; i-- {
		switch toks[i].text {
		case ")", "]", "}":
			depth++
		case "(", "[", "{":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
