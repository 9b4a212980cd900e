// SPDX-License-Identifier: BSD-3-Clause

package recipes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const top = "../../"

// blocks returns the code blocks of a page in one language.
func blocks(t *testing.T, page, language string) (blocks []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(read(t, page), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// functions returns the text of each function of a file.
func functions(t *testing.T, name string) (functions []string) {
	t.Helper()
	source := read(t, name)
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			functions = append(functions, source[files.Position(f.Pos()).Offset:files.Position(f.End()).Offset]+"\n")
		}
	}
	return functions
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The pages show the code that is tested.
func TestPagesShowTheCode(t *testing.T) {
	for _, tt := range []struct {
		page, source string
		count        int
	}{
		{top + "client/README.md", "recipes.go", 10},
		{top + "README.md", "routes.go", 1},
	} {
		shown, code := blocks(t, tt.page, "go"), functions(t, tt.source)
		if !slices.Equal(shown, code) {
			t.Errorf("%s shows\n%s\nand %s has\n%s", tt.page, strings.Join(shown, "\n"), tt.source, strings.Join(code, "\n"))
		}
		if len(code) != tt.count {
			t.Errorf("%s has %d functions, want %d", tt.source, len(code), tt.count)
		}
	}
	const minimal = top + "kmod/minimal/bulkdump_minimal.c"
	shown := blocks(t, top+"README.md", "c")
	if len(shown) != 1 || !strings.Contains(read(t, minimal), shown[0]) {
		t.Errorf("README.md shows\n%s\nwhich is not in %s", strings.Join(shown, "\n"), minimal)
	}
}

func TestPrintRoutes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	printed := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		printed <- string(text)
	}()
	stdout := os.Stdout
	os.Stdout = w
	err = PrintRoutes(t.Context())
	os.Stdout = stdout
	w.Close()
	if text := <-printed; err != nil || !strings.Contains(text, "127.0.0.1/32\n") {
		t.Errorf("%q, %v: want 127.0.0.1/32 among it", text, err)
	}
}
