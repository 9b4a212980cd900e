// SPDX-License-Identifier: BSD-3-Clause

package recipes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"testing"
)

const readme = "../../client/README.md"

// What stands in the README is what the guest runs.
func TestReadmeHasTheRecipes(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		shown = append(shown, m[1])
	}
	source, err := os.ReadFile("recipes.go")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "recipes.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		code := string(source[files.Position(f.Pos()).Offset:files.Position(f.End()).Offset]) + "\n"
		switch {
		case n >= len(shown):
			t.Errorf("%s has no %s", readme, f.Name)
		case shown[n] != code:
			t.Errorf("recipe %d of %s is\n%s\nand not\n%s", n+1, readme, shown[n], code)
		}
		n++
	}
	if n != 10 || len(shown) != n {
		t.Errorf("%d recipes, %d in %s, want ten", n, len(shown), readme)
	}
}
