// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tests are those that the regular expression chooses, in the order of the
// sources.
func (p *Programs) Tests(regex string) ([]string, error) {
	names, err := testNames(p.testFiles)
	if err != nil {
		return nil, err
	}
	if names, err = SelectTests(names, regex); err == nil && len(names) == 0 {
		err = fmt.Errorf("no test matches %q", regex)
	}
	return names, err
}

// testNames lists the tests and fuzz targets in the files, as `go test` finds
// them.
func testNames(files []string) ([]string, error) {
	var names []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && isTestName(fn.Name.Name) {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names, nil
}

func isTestName(name string) bool {
	for _, prefix := range []string{"Test", "Fuzz"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && name != "TestMain" {
			r, _ := utf8.DecodeRuneInString(rest)
			return rest == "" || !unicode.IsLower(r)
		}
	}
	return false
}

// selectTests keeps the tests that -test.run=expr runs: alternatives, of which
// what comes before the first slash is for them, the rest for their subtests.
func SelectTests(names []string, expr string) ([]string, error) {
	var tops []*regexp.Regexp
	for _, alternative := range splitOutside(expr, '|') {
		re, err := regexp.Compile(splitOutside(alternative, '/')[0])
		if err != nil {
			return nil, err
		}
		tops = append(tops, re)
	}
	return slices.DeleteFunc(names, func(n string) bool {
		return !slices.ContainsFunc(tops, func(re *regexp.Regexp) bool { return re.MatchString(n) })
	}), nil
}

// splitOutside splits a regular expression at sep where that is neither
// escaped nor in brackets, as the testing package does.
func splitOutside(expr string, sep byte) []string {
	var parts []string
	start, class, group := 0, 0, 0
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\':
			i++
		case c == '[':
			class++
		case c == ']':
			class = max(0, class-1)
		case c == '(' && class == 0:
			group++
		case c == ')' && class == 0:
			group--
		case c == sep && class == 0 && group == 0:
			parts = append(parts, expr[start:i])
			start = i + 1
		}
	}
	return append(parts, expr[start:])
}
