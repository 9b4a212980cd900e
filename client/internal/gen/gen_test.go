// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const spec = `
name: fam
protocol: genetlink
definitions:
  - {type: const, name: len-max, value: 63, doc: "The longest.\nIn bytes."}
  - {type: enum, name: mood, doc: "How.", entries: [{name: glad, doc: "Well."}, sad]}
  - {type: flags, name: part, doc: "What.", entries: [head, tail, id]}
attribute-sets:
  - name: one
    attributes:
      - {name: id, type: u32}
      - {name: id-from, type: u32, value: 7}
      - {name: in, type: nest, nested-attributes: two}
  - name: two
    attributes:
      - {name: x, type: uint}
operations:
  list:
    - {name: one-get}
    - {name: one-set, value: 10}
    - {name: one-del}
`

func TestGenerate(t *testing.T) {
	f, err := parse([]byte(spec))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		generate func() ([]byte, error)
		has      []string
	}{
		{f.api, []string{
			"package client",
			`const FamilyName = "fam"`,
			"// LenMax: The longest. // In bytes. const LenMax = 63",
			"// Mood: How. type Mood uint32", "// MoodGlad: Well. MoodGlad Mood = 0 MoodSad Mood = 1", `namesMood = []string{"glad", "sad"}`,
			"PartHead Part = 1 PartTail Part = 2 PartID Part = 4",
		}},
		{f.numbers, []string{
			"package uapi",
			"AttrOneID = 1 // u32", "AttrOneIDFrom = 7 // u32", "AttrOneIn = 8 // nest", "AttrTwoX = 1 // uint",
			"CmdOneGet = 1", "CmdOneSet = 10", "CmdOneDel = 11",
			`AttrOneIn: {Name: "in", Nest: NamesTwo},`,
		}},
	} {
		b, err := file.generate()
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Join(strings.Fields(string(b)), " ")
		for _, want := range file.has {
			if !strings.Contains(words, want) {
				t.Errorf("%q is not in\n%s", want, b)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for old, bad := range map[string]string{
		"protocol: genetlink":        "protocol: netlink-raw",
		"operations:\n":              "operations:\n  enum-model: directional\n",
		"type: const":                "type: struct",
		"{name: glad, doc":           "{name: glad, value: 3, doc",
		"name: mood,":                "name: mood, value-start: 1,",
		"- name: two":                "- name: two\n    subset-of: one",
		"name: fam":                  "name: [",
		"{name: one-set, value: 10}": "{name: one-set, value: ten}",
	} {
		if _, err := parse([]byte(strings.Replace(spec, old, bad, 1))); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	in, numbers := filepath.Join(dir, "fam.yaml"), filepath.Join(dir, "internal/uapi/uapi_gen.go")
	if err := os.MkdirAll(filepath.Dir(numbers), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, s string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(in, spec)
	if err := run(in, dir, true); err == nil {
		t.Error("check of a missing file passes")
	}
	if err := run(in, dir, false); err != nil {
		t.Fatal(err)
	}
	if err := run(in, dir, true); err != nil {
		t.Errorf("check of a fresh file: %v", err)
	}
	write(in, strings.Replace(spec, "value: 10", "value: 20", 1))
	err := run(in, dir, true)
	if err == nil || !strings.Contains(err.Error(), "-\tCmdOneSet = 10\n") || !strings.Contains(err.Error(), "+\tCmdOneSet = 20\n") {
		t.Errorf("check of a stale file: %v", err)
	}
	have, err := os.ReadFile(numbers)
	if err != nil || !strings.Contains(string(have), "CmdOneSet = 10") {
		t.Errorf("check wrote to the file: %v", err)
	}
}

// TestUpToDate fails if the constants differ from the spec.
func TestUpToDate(t *testing.T) {
	if err := run("../../../kmod/bulkdump.yaml", "../..", true); err != nil {
		t.Error(err)
	}
}
