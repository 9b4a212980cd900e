// SPDX-License-Identifier: BSD-3-Clause

// Package importable checks that another module can use the client as README.md
// and nldump's documentation say, and what it gets in its go.sum. It also
// checks that the project's modules can be given another path.
package importable

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// program dumps the links and prints their names.
const program = `package main

import (
	"context"
	"fmt"
	"log"

	"bulkdump/client/nldump"
	"golang.org/x/sys/unix"
)

func main() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	links := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	for m, err := range s.Records(context.Background(), links) {
		if err != nil {
			log.Fatal(err)
		}
		a := m.Attrs(unix.SizeofIfInfomsg)
		for a.Next() {
			if a.Type() == unix.IFLA_IFNAME {
				fmt.Printf("link %s\n", a.Text())
			}
		}
		if a.Err() != nil {
			log.Fatal(a.Err())
		}
	}
}
`

// importer returns the directory of a new module that imports nldump. The
// checkout is where the documentation expects it.
func importer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	checkout, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(checkout, filepath.Join(dir, "bulkdump")); err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(dir, "app")
	if err := os.Mkdir(app, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, app, "go", "mod", "init", "example.org/app")
	return app
}

// run runs a command in dir and returns its output. Of go's settings, it keeps
// only where modules come from.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := command(t, dir, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOFLAGS=", "GOWORK=")
	return cmd
}

// documented returns the commands of nldump's documentation, one list for each
// way to use it from another module.
func documented(t *testing.T) [][]string {
	t.Helper()
	text := read(t, filepath.Join(top, "client/nldump/doc.go"))
	_, section, ok := strings.Cut(text, "\n// # Use it from another module\n")
	if !ok {
		t.Fatal("doc.go has no section on use from another module")
	}
	section, _, _ = strings.Cut(section, "\n// #")
	var ways [][]string
	inBlock := false
	for line := range strings.Lines(section) {
		c, isCommand := strings.CutPrefix(line, "//\t")
		if isCommand {
			if !inBlock {
				ways = append(ways, nil)
			}
			last := &ways[len(ways)-1]
			*last = append(*last, strings.TrimSpace(c))
		}
		inBlock = isCommand
	}
	if len(ways) != 2 {
		t.Fatalf("doc.go has %d ways, not require and replace, and a workspace: %q", len(ways), ways)
	}
	return ways
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// use makes an importer that uses nldump in one of the ways, checks that it
// dumps the links, and returns its directory.
func use(t *testing.T, way []string) string {
	t.Helper()
	app := importer(t)
	for _, c := range way {
		run(t, app, strings.Fields(c)...)
	}
	if out := run(t, app, "go", "run", "."); !strings.Contains(out, "link lo\n") {
		t.Fatalf("the program's dump has no link lo: %q", out)
	}
	return app
}

func TestWorkspace(t *testing.T) {
	app := use(t, documented(t)[1])
	if mod := read(t, filepath.Join(app, "go.mod")); strings.Contains(mod, "bulkdump") {
		t.Errorf("go.mod names it:\n%s", mod)
	}
}

// TestRequireAndReplace also checks what the importer gets in its go.sum.
func TestRequireAndReplace(t *testing.T) {
	app := use(t, documented(t)[0])
	// The modules that nldump imports, and their imports. goleak is imported by
	// nldump's tests, which go mod tidy also counts.
	want := []string{
		"github.com/google/go-cmp",
		"github.com/mdlayher/netlink",
		"github.com/mdlayher/socket",
		"go.uber.org/goleak",
		"golang.org/x/net",
		"golang.org/x/sync",
		"golang.org/x/sys",
	}
	if got := sums(t, app); !slices.Equal(got, want) {
		t.Errorf("go.sum has\n%q, not\n%q", got, want)
	}

	// Everything that a go command could add is in the module graph. It has
	// nothing that only the rest of the project needs, so the project does not
	// raise the importer's version of that, either.
	rest := requirements(t, top)
	for path := range requirements(t, filepath.Join(top, "client")) {
		delete(rest, path)
	}
	for _, path := range []string{
		"github.com/cavaliergopher/cpio",
		"github.com/santhosh-tekuri/jsonschema/v6",
		"github.com/spf13/cobra",
	} {
		if _, ok := rest[path]; !ok {
			t.Errorf("%s is no requirement of the project's own, or one of the client's", path)
		}
	}
	graph := run(t, app, "go", "mod", "graph")
	for path := range rest {
		if strings.Contains(graph, path+"@") {
			t.Errorf("the importer's module graph has %s", path)
		}
	}
}

// sums returns the modules in dir's go.sum.
func sums(t *testing.T, dir string) []string {
	t.Helper()
	modules := map[string]bool{}
	for line := range strings.Lines(read(t, filepath.Join(dir, "go.sum"))) {
		path, _, _ := strings.Cut(line, " ")
		modules[path] = true
	}
	return slices.Sorted(maps.Keys(modules))
}

// requirements returns the external modules that the packages of the module in
// dir import.
func requirements(t *testing.T, dir string) map[string]bool {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(run(t, dir, "go", "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, r := range mod.Require {
		if !r.Indirect && r.Path != "bulkdump/client" {
			paths[r.Path] = true
		}
	}
	return paths
}

func TestReadmeSaysTheSame(t *testing.T) {
	readme := read(t, filepath.Join(top, "README.md"))
	for _, way := range documented(t) {
		for _, c := range way {
			if !strings.Contains(readme, c) {
				t.Errorf("README.md lacks %q", c)
			}
		}
	}
}
