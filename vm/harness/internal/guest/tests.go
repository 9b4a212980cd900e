// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tests are the names of the tests that the regular expression chooses, in the
// order of the sources. It is an error if there are none.
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

// SelectTests returns the names that -test.run=expr runs. expr has alternatives;
// in each, the part before the first slash is for tests, the rest for subtests.
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

// splitOutside splits a regular expression at each sep that is neither escaped
// nor in brackets, as the testing package does.
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

// The kernel's log itself must say which test a line belongs to, because the
// output of the tests reaches the host by another way, at another speed. So each
// test is compiled with a first statement that writes a mark into the log when the
// test starts, and another when it has ended. As for the cover tool, the compiler
// reads copies, which keep the line numbers.

// markSource is what the copies call. It opens /dev/kmsg for each mark, because the
// kernel limits the rate of each descriptor.
const markSource = `package %s

import (
	"os"
	"testing"
)

func vmMarkTest(t testing.TB) {
	mark := func(what string) {
		_ = os.WriteFile("/dev/kmsg", []byte("<6>bulkdump-vm: test "+t.Name()+" "+what+"\n"), 0)
	}
	mark("starts")
	t.Cleanup(func() { mark("ends") })
}
`

var markLine = regexp.MustCompile(`bulkdump-vm: test (\S+) (starts|ends)$`)

// markTests writes marked copies of the test files into dir, and returns the file
// for -overlay. A test whose testing.T has no name does nothing, and gets no mark.
func markTests(files []string, dir string) (overlay string, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	put := func(original, text string) error {
		copied := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		replace[original] = copied
		return os.WriteFile(copied, []byte(text), 0o644)
	}
	packages := []string{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		pkg, marked, err := markFile(string(src))
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if err := put(file, marked); err != nil {
			return "", err
		}
		if !slices.Contains(packages, pkg) { // an external test package is another
			packages = append(packages, pkg)
			name := fmt.Sprintf("vm_marks%d_test.go", len(packages))
			if err := put(filepath.Join(filepath.Dir(file), name), fmt.Sprintf(markSource, pkg)); err != nil {
				return "", err
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// markFile returns the package of a file, and its text with marks.
func markFile(src string) (pkg, marked string, err error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "", src, parser.SkipObjectResolution)
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	done := 0
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Body == nil || !isTestName(fn.Name.Name) || len(fn.Type.Params.List) != 1 {
			continue
		}
		names := fn.Type.Params.List[0].Names
		if len(names) != 1 || names[0].Name == "_" {
			continue
		}
		at := set.Position(fn.Body.Lbrace).Offset + 1
		fmt.Fprintf(&b, "%s vmMarkTest(%s);", src[done:at], names[0].Name)
		done = at
	}
	return f.Name.Name, b.String() + src[done:], nil
}

// TestsDuring knows which tests run as it sees the log, line by line. Several tests run
// at a time only if they are parallel.
type TestsDuring struct {
	Live []string // that run now; never changed, but replaced
	Last string   // that ended last
}

// Sees takes the log's next line.
func (d *TestsDuring) Sees(line string) {
	m := markLine.FindStringSubmatch(line)
	switch {
	case m == nil:
	case m[2] == "starts":
		d.Live = append(slices.Clip(d.Live), m[1])
	default:
		d.Last = m[1]
		d.Live = slices.DeleteFunc(slices.Clone(d.Live), func(t string) bool { return t == d.Last })
	}
}
