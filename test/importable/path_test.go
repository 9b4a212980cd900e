// SPDX-License-Identifier: BSD-3-Clause

package importable

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkout copies the files that contain the path, and returns the copy.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Makefile", "README.md", "go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(read(t, filepath.Join(top, name))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"client", "cmd", "kmod", "test", "vm"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(top, name))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files returns the contents of each file in dir.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	text := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		text[name] = read(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// changed returns the names of the files that differ.
func changed(before, after map[string]string) []string {
	var names []string
	for name := range before {
		if text, ok := after[name]; !ok || text != before[name] {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// words returns how often each word is in text, with the module's path replaced
// by a constant: imports change their order, and comments their column.
func words(text, path string) map[string]int {
	n := map[string]int{}
	for _, w := range strings.Fields(strings.ReplaceAll(text, path, "bulkdump")) {
		n[w]++
	}
	return n
}

// modules are the folders of the Go modules.
var modules = []string{"", "client", "cmd/bulkdump-arrow", "test/bench", "test/mutants"}

func TestModulePath(t *testing.T) {
	const (
		// One path sorts before all other imports, and one after them.
		first = "example.org/x/bulkdump"
		last  = "zz.example.org/bulkdump"
	)
	dir := checkout(t)
	setPath := func(path string) map[string]string {
		t.Helper()
		run(t, dir, "make", "module-path", "PATH="+path)
		return files(t, dir)
	}
	// Our imports are in a group of their own, but not here.
	mixed := "package importable\n\nimport (\n\t_ \"bulkdump/client\"\n\t_ \"github.com/mdlayher/netlink\"\n)\n"
	if err := os.WriteFile(filepath.Join(dir, "test/importable/mixed_test.go"), []byte(mixed), 0o644); err != nil {
		t.Fatal(err)
	}
	was := strings.TrimSpace(run(t, dir, "go", "list", "-m"))
	before := files(t, dir)

	for _, path := range []string{last, first} {
		after := setPath(path)
		for _, module := range modules {
			if got, want := strings.TrimSpace(run(t, filepath.Join(dir, module), "go", "list", "-m")), filepath.Join(path, module); got != want {
				t.Errorf("a module's path is %q, not %q", got, want)
			}
			run(t, filepath.Join(dir, module), "go", "mod", "tidy", "-diff") // fails if there is a difference
		}
		if out := run(t, dir, "gofmt", "-l", "client", "cmd", "kmod", "test", "vm"); out != "" {
			t.Errorf("with path %s, not gofmt-ed:\n%s", path, out)
		}
		mayChange := regexp.MustCompile(`^(README\.md|([a-z/-]+/)?go\.mod|(client|cmd|kmod|test|vm)/.*\.go)$`)
		for _, name := range changed(before, after) {
			if !mayChange.MatchString(name) {
				t.Errorf("with path %s, %s changed", path, name)
			}
			if !maps.Equal(words(before[name], path), words(after[name], path)) {
				t.Errorf("with path %s, more than the path changed in %s", path, name)
			}
		}
		if again := changed(after, setPath(path)); again != nil {
			t.Errorf("the same path once more changes %q", again)
		}
	}

	for _, module := range modules {
		run(t, filepath.Join(dir, module), "go", "vet", "./...") // which needs all to compile
	}
	run(t, filepath.Join(dir, "client"), "go", "test", "./nldump")
	run(t, dir, "go", "test", "./vm/harness/internal/results", "-run", "Suite|Results|Report")
	run(t, dir, "go", "test", "./test/importable", "-run", "RequireAndReplace|Readme")

	if left := changed(before, setPath(was)); left != nil {
		t.Errorf("with the first path again, these differ: %q", left)
	}
}

func TestModulePathRefused(t *testing.T) {
	dir := checkout(t)
	before := files(t, dir)
	for path, want := range map[string]string{
		"":                       "give a path",
		" ":                      "give a path",
		"example.org/x bulkdump": "invalid char ' '",
		"nodot/x":                "missing dot in first path element",
		"Example.org/x":          "invalid char 'E' in first path element",
		"/example.org/x":         "empty path element",
		"example.org/x/":         "double slash",
		"example.org/it's":       `invalid char '\''`,
		"example.org/$$HOME":     "invalid char '$'",
		"example.org/x@v1.0.0":   "no @",
		"example.org/...":        "no ...",
		"-x.org/x":               "leading dash",
		"example.org/x/v2":       "ends with a version",
	} {
		out, err := command(t, dir, "make", "module-path", "PATH="+path).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("PATH=%q: %v, %q; it should fail and say %q", path, err, out, want)
		}
		if names := changed(before, files(t, dir)); names != nil {
			t.Fatalf("PATH=%q is refused, but changes %q", path, names)
		}
	}
	// Without a path on the command line, the environment's is used.
	out, err := command(t, dir, "make", "module-path").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "give a path") {
		t.Errorf("no PATH: %v, %q; it should fail and ask for one", err, out)
	}
}
