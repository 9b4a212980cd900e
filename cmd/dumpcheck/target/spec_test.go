// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func readSpec(t *testing.T, path string) *Spec {
	t.Helper()
	s, err := ReadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSpecNumbersOperations(t *testing.T) {
	s := readSpec(t, "testdata/specs/foo.yaml")
	if s.Name != "foo" || s.Protocol != unix.NETLINK_GENERIC {
		t.Errorf("family %s of protocol %d", s.Name, s.Protocol)
	}
	for i, want := range []Operation{
		{Name: "device-get", Request: 4, Reply: 7, Dump: true, Header: "foo-header", HeaderSize: 20},
		{Name: "device-set", Request: 5, Reply: -1, Header: "foo-header", HeaderSize: 20},
		{Name: "device-ntf", Request: -1, Reply: 8, Header: "foo-header", HeaderSize: 20},
		{Name: "queue-get", Request: 12, Reply: 9, Dump: true, Header: "none-such", HeaderSize: -1},
	} {
		got := s.Operations[i]
		if got.Name != want.Name || got.Request != want.Request || got.Reply != want.Reply || got.Dump != want.Dump ||
			got.Header != want.Header || got.HeaderSize != want.HeaderSize {
			t.Errorf("operation %d: %+v, want %+v", i, got, want)
		}
	}
	if op := s.Operations[0]; !slices.Equal(op.Asks, []string{"color"}) || !slices.Equal(op.Tells, []string{"index", "name", "queues"}) {
		t.Errorf("the dump asks %v and tells %v", op.Asks, op.Tells)
	}
}

func TestSpecNamesAttributes(t *testing.T) {
	set := readSpec(t, "testdata/specs/foo.yaml").sets["device"]
	for _, c := range []struct {
		path []uint16
		want string
	}{
		{[]uint16{1}, "index"}, {[]uint16{10}, "color"}, {[]uint16{11}, "options"}, {[]uint16{3}, ""}, {nil, ""},
		{[]uint16{14}, "queues"}, {[]uint16{14, 1}, ""}, {[]uint16{14, 7, 2}, "mac"}, {[]uint16{15, 1}, "id"},
		{[]uint16{16, 1, 2}, ""}, {[]uint16{16, 1, 2, 1}, "id"}, {[]uint16{1, 1}, ""},
	} {
		if got := set.Attr(c.path); got != c.want {
			t.Errorf("attribute %v: %q, want %q", c.path, got, c.want)
		}
	}
	if subset := readSpec(t, "testdata/specs/foo.yaml").sets["device-filter"]; subset.Attr([]uint16{10}) != "color" {
		t.Error("a subset does not have the numbers of its set")
	}
}

func TestSpecOfTheModule(t *testing.T) {
	s := readSpec(t, "../../../kmod/bulkdump.yaml")
	g := &Generic{ID: 33, Name: "bulkdump", Version: 1, Ops: map[uint8]Op{1: {Flags: unix.GENL_CMD_CAP_DUMP}}}
	targets := g.Dumps(nil)
	if n := Describe(targets, s); n != 1 || targets[0].Command != "entry-get" || targets[0].Names.Attr([]uint16{4}) != "value" {
		t.Errorf("%d described: %v, attribute 4 is %q", n, targets, targets[0].Names.Attr([]uint16{4}))
	}
	if got := targets[0].Names.Attr([]uint16{6, 1}); got != "hits" {
		t.Errorf("attribute 1 in the statistics is %q, want hits", got)
	}
}

func TestBadSpecs(t *testing.T) {
	for text, want := range map[string]string{
		"a: [":          "yaml",
		"protocol: foo": `protocol "foo" is not known`,
		"doc: no name":  "it has no name",
		"- a\n- b":      "yaml",
		"name: x\noperations: {enum-model: other}":                                                               `enum-model "other" is not known`,
		"name: x\noperations: {list: [{name: a, attribute-set: none}]}":                                          `operation a: there is no attribute set "none"`,
		"name: x\nattribute-sets: [{name: a, attributes: [{name: b, type: nest, nested-attributes: c}]}]":        `attribute b: there is no attribute set "c"`,
		"name: x\nattribute-sets: [{name: a, subset-of: b, attributes: []}]":                                     `attribute set a: there is no attribute set "b"`,
		"name: x\nattribute-sets: [{name: b, attributes: []}, {name: a, subset-of: b, attributes: [{name: c}]}]": `b has no attribute "c"`,
		"name: x\ndefinitions: [{name: a, type: enum, entries: [{name: b, value: c}]}]":                          "definition a",
	} {
		path := filepath.Join(t.TempDir(), "spec.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSpec(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want one with %q and the file", text, err, want)
		}
	}
	if _, err := ReadSpec("/nowhere/spec.yaml"); !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}

// TestSpecsOfTheKernel reads all specs of a kernel's source. Each dump of theirs must
// have a number, and a set of attributes if it tells any.
func TestSpecsOfTheKernel(t *testing.T) {
	src := os.Getenv("KERNEL_SRC")
	if src == "" {
		t.Skip("no source of a kernel: set KERNEL_SRC")
	}
	files, err := filepath.Glob(filepath.Join(src, "Documentation/netlink/specs/*.yaml"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d specs in %s, want 30: %v", len(files), src, err)
	}
	dumps := 0
	for _, file := range files {
		s := readSpec(t, file)
		if name := headOf(file); name != s.Name && !strings.HasPrefix(name, "protocol ") {
			t.Errorf("%s: its first lines say %q, and it is %q", file, name, s.Name)
		}
		for _, op := range s.Operations {
			if !op.Dump {
				continue
			}
			dumps++
			if op.Request < 0 || len(op.Tells) > 0 && op.Set == nil {
				t.Errorf("%s: dump %s has the number %d and the attributes %v", file, op.Name, op.Request, op.Set)
			}
			for _, name := range slices.Concat(op.Asks, op.Tells) {
				if op.Set != nil && op.Set.byName[name] == nil {
					t.Errorf("%s: dump %s: set %s has no attribute %s", file, op.Name, op.Set.Name, name)
				}
			}
			if op.Header != "" && op.HeaderSize < 0 {
				t.Errorf("%s: dump %s: the size of %s is not told", file, op.Name, op.Header)
			}
		}
	}
	t.Logf("%d specs, %d dumps", len(files), dumps)
}

// TestKnownNamesAreTheSpecs compares the names that are known here with a kernel's
// specs.
func TestKnownNamesAreTheSpecs(t *testing.T) {
	src := os.Getenv("KERNEL_SRC")
	if src == "" {
		t.Skip("no source of a kernel: set KERNEL_SRC")
	}
	dir := filepath.Join(src, "Documentation/netlink/specs")
	for family, commands := range Commands {
		g := &Generic{Name: family, Ops: map[uint8]Op{}}
		for number := range commands {
			g.Ops[number] = Op{Flags: unix.GENL_CMD_CAP_DUMP}
		}
		targets := g.Dumps(nil)
		specs, err := FindSpecs(targets, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range targets {
			known := d.Command
			if Describe([]*Target{d}, specs...) == 1 && d.Command != known {
				t.Logf("%s: command %d is known as %s; the spec has %s", family, d.Cmd, known, d.Command)
			}
		}
	}
	for typ := range routeTypes {
		d := routeTarget(typ, 0)
		specs, err := FindSpecs([]*Target{d}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if Describe([]*Target{d}, specs...) == 1 && d.Header != d.Operation.HeaderSize {
			t.Errorf("%s: a header of %d bytes; the spec has %d", d.Command, d.Header, d.Operation.HeaderSize)
		}
	}
}

func TestFindSpecs(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	b, err := os.ReadFile("testdata/specs/foo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string][]byte{
		filepath.Join(first, "other.yaml"):      []byte("name: other\nprotocol: genetlink\noperations: {}\n"),
		filepath.Join(first, "no-spec.yaml"):    []byte("- 1\n- 2\n"),
		filepath.Join(first, "route.yaml"):      []byte("name: rt-x\nprotocol: netlink-raw\nprotonum: 0\noperations: {}\n"),
		filepath.Join(second, "any-name.yaml"):  b,
		filepath.Join(second, "other-too.yaml"): []byte("name: other\noperations: [\n"),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	foo := []*Target{{Generic: &Generic{Name: "foo"}}}
	other := []*Target{{Generic: &Generic{Name: "other"}}}
	route := []*Target{routeTarget(unix.RTM_GETLINK, 0)}
	none := []*Target{{Generic: &Generic{Name: "none"}}}
	for _, c := range []struct {
		targets []*Target
		want    string
	}{{foo, "foo"}, {other, "other"}, {route, "rt-x"}, {none, ""}} {
		specs, err := FindSpecs(c.targets, first, second)
		switch {
		case err != nil:
			t.Error(err)
		case c.want == "" && len(specs) > 0, c.want != "" && (len(specs) != 1 || specs[0].Name != c.want):
			t.Errorf("%d specs, want %q", len(specs), c.want)
		}
	}
	t.Setenv("KERNEL_SRC", t.TempDir())
	inSource := filepath.Join(os.Getenv("KERNEL_SRC"), "Documentation/netlink/specs")
	if err := os.MkdirAll(inSource, 0o700); err != nil {
		t.Fatal(err)
	}
	if dirs := SpecDirs(); dirs[0] != inSource {
		t.Errorf("the first directory is %s, want %s", dirs[0], inSource)
	}
}
