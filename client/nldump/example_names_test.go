// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// Each exported name and method is used in an example whose output is checked,
// or in a function that such an example calls.
func TestEachNameHasAnExample(t *testing.T) {
	fset := token.NewFileSet()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var sources []*ast.File
	used := map[string]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || e.Name() == "poison_race.go" {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(e.Name(), "_test.go") {
			sources = append(sources, f)
			continue
		}
		if !strings.HasPrefix(e.Name(), "example_") {
			continue
		}
		for _, x := range doc.Examples(f) {
			if x.Output == "" {
				t.Errorf("%s: Example%s is not run", e.Name(), x.Name)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				used[n.Sel.Name] = true
			case *ast.KeyValueExpr: // a field of a literal
				if key, ok := n.Key.(*ast.Ident); ok {
					used[key.Name] = true
				}
			}
			return true
		})
	}
	p, err := doc.NewFromFiles(fset, sources, "bulkdump/client/nldump")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	values := func(vs []*doc.Value) {
		for _, v := range vs {
			names = append(names, v.Names...)
		}
	}
	funcs := func(fs []*doc.Func) {
		for _, f := range fs {
			names = append(names, f.Name)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs)
	for _, typ := range p.Types {
		names = append(names, typ.Name)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	if len(names) < 60 {
		t.Errorf("only %d names found", len(names))
	}
	// Methods of error types, and types that examples use without naming them.
	known := map[string]bool{"Error": true, "Unwrap": true, "Stream": true, "Stats": true, "Nexthop": true}
	for _, name := range names {
		if token.IsExported(name) && !used[name] && !known[name] {
			t.Errorf("%s is in no example", name)
		}
	}
}
