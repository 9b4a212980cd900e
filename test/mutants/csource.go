// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"slices"
	"strings"
)

// A cfunction is a function of a C source.
type cfunction struct {
	name string
	src  string
	toks []ctoken // its body, from { to }
}

// functions finds the functions: a body is in braces that follow a ).
func functions(src string) []cfunction {
	var all []cfunction
	toks := tokenize(src)
	for i := 0; i < len(toks); i++ {
		if toks[i].text != "{" {
			continue
		}
		end := closing(toks, i)
		if end == len(toks) {
			break
		}
		if name := functionName(toks[:i]); name != "" {
			all = append(all, cfunction{name, src, toks[i : end+1]})
		}
		i = end
	}
	return all
}

// functionName is the name before the parameters, which are the last of toks but
// for annotations such as __acquires(x).
func functionName(toks []ctoken) string {
	for len(toks) > 0 && toks[len(toks)-1].text == ")" {
		open := opening(toks, len(toks)-1)
		if open < 1 || toks[open-1].kind != word {
			return ""
		}
		if name := toks[open-1].text; !strings.HasPrefix(name, "__") {
			return name
		}
		toks = toks[:open-1]
	}
	return ""
}

type statementKind int

const (
	other statementKind = iota
	declaration
	call       // f(…);
	assignment // x = …;
	count      // x++;
	jump       // return, break, continue, goto
)

// A statement is one that ends with a semicolon and has no braces.
type statement struct {
	toks []ctoken // without the semicolon
	kind statementKind
	body bool // the whole body of an if, a loop or an else
}

func (s statement) start() int { return s.toks[0].at }
func (s statement) end() int   { return s.toks[len(s.toks)-1].end() }

// callee is the name of the function that a call calls.
func (s statement) callee() string { return s.toks[0].text }

// statements lists the statements of a function in order. A nil stands for what is
// between them: a brace, a label, the head of an if or a loop.
func (f cfunction) statements() []*statement {
	var all []*statement
	toks := f.toks
	body := false
	for i := 0; i < len(toks); {
		text := toks[i].text
		switch next := headEnd(toks, i); {
		case text == "{" || text == "}" || text == ";":
			i, body = i+1, false
		case text == "else" || text == "do":
			i, body = i+1, true
		case next > 0:
			i, body = next, true
		case labelEnd(toks, i) > 0:
			i, body = labelEnd(toks, i), false
		default:
			end := i
			for end < len(toks) && toks[end].text != ";" {
				if strings.ContainsAny(toks[end].text, "([{") && toks[end].kind == mark {
					end = closing(toks, end)
				}
				end++
			}
			end = min(end, len(toks))
			s := &statement{toks: toks[i:end], body: body}
			s.kind = kindOf(s.toks)
			all = append(all, s)
			i, body = end+1, false
			continue
		}
		all = append(all, nil)
	}
	return all
}

// headEnd is the end of a head at toks[i], such as if (…), or of a macro that
// loops; 0 if there is none.
func headEnd(toks []ctoken, i int) int {
	if toks[i].kind != word || i+1 >= len(toks) || toks[i+1].text != "(" {
		return 0
	}
	end := closing(toks, i+1) + 1
	if end >= len(toks) {
		return 0
	}
	if slices.Contains([]string{"if", "while", "for", "switch"}, toks[i].text) {
		return end
	}
	if next := toks[end]; next.text == "{" || next.kind == word {
		return end
	}
	return 0
}

func labelEnd(toks []ctoken, i int) int {
	switch {
	case toks[i].text == "case":
		for i++; i < len(toks) && toks[i].text != ":"; i++ {
		}
		return i + 1
	case toks[i].kind == word && i+1 < len(toks) && toks[i+1].text == ":":
		return i + 2
	}
	return 0
}

func kindOf(toks []ctoken) statementKind {
	first := toks[0]
	switch {
	case slices.Contains([]string{"return", "break", "continue", "goto"}, first.text):
		return jump
	case first.text == "++" || first.text == "--":
		return count
	case first.kind != word:
		return other
	case len(toks) == 1:
		return other
	}
	second := toks[1]
	last := toks[len(toks)-1].text
	switch {
	case second.kind == word || second.text == "*":
		return declaration
	case second.text == "(" && closing(toks, 1) == len(toks)-1:
		if isMacroName(first.text) && !strings.HasPrefix(first.text, "NL_SET_ERR_MSG") && first.text != "WRITE_ONCE" {
			return declaration
		}
		return call
	case last == "++" || last == "--":
		return count
	}
	if assignAt(toks) > 0 {
		return assignment
	}
	return other
}

func isMacroName(name string) bool {
	return strings.ToUpper(name) == name && strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' })
}

// assignAt is the index of the = (or += …) outside of brackets, or 0.
func assignAt(toks []ctoken) int {
	for i := 0; i < len(toks); i++ {
		switch text := toks[i].text; {
		case text == "(" || text == "[" || text == "{":
			i = closing(toks, i)
		case toks[i].kind == mark && strings.HasSuffix(text, "=") && !slices.Contains([]string{"==", "!=", "<=", ">="}, text):
			return i
		}
	}
	return 0
}

// A condition is what an if tests: the tokens between the parentheses.
type condition []ctoken

func (c condition) start() int { return c[0].at }
func (c condition) end() int   { return c[len(c)-1].end() }

// A branch is an if, and what it guards.
type branch struct {
	cond       condition
	start, end int // the offsets of the statement or block that follows
}

func (f cfunction) branches() []branch {
	var all []branch
	for i, t := range f.toks {
		if t.text != "if" || i+1 >= len(f.toks) {
			continue
		}
		end := closing(f.toks, i+1)
		if end+1 >= len(f.toks) || end <= i+2 {
			continue
		}
		last := statementEnd(f.toks, end+1)
		all = append(all, branch{condition(f.toks[i+2 : end]), f.toks[end+1].at, f.toks[last].end()})
	}
	return all
}

// statementEnd is the index of the last token of the statement or block at i.
func statementEnd(toks []ctoken, i int) int {
	for i < len(toks) {
		if toks[i].text == "{" {
			return min(closing(toks, i), len(toks)-1)
		}
		if next := headEnd(toks, i); next > 0 {
			i = next
			continue
		}
		for i < len(toks) && toks[i].text != ";" {
			if toks[i].text == "(" {
				i = closing(toks, i)
			}
			i++
		}
		return min(i, len(toks)-1)
	}
	return len(toks) - 1
}
