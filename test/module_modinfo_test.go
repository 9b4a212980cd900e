// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"debug/elf"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// modinfo returns a module's modinfo fields.
func modinfo(t testing.TB, name string) map[string][]string {
	t.Helper()
	f, err := elf.Open(moduleDir + name + ".ko")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		t.Fatalf("%s has no .modinfo", name)
	}
	text, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	info := make(map[string][]string)
	for line := range strings.SplitSeq(string(text), "\x00") {
		if key, value, ok := strings.Cut(line, "="); ok {
			info[key] = append(info[key], value)
		}
	}
	return info
}

// parameters splits lines such as "guard:charp".
func parameters(lines []string) map[string]string {
	all := make(map[string]string)
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ":")
		all[name] = text
	}
	return all
}

// modinfo describes the module and each parameter.
func TestModinfoDescribesEachParameter(t *testing.T) {
	setup(t)
	for _, name := range []string{"bulkdump_minimal", "bulkdump_nested"} {
		load(t, name, "")
		t.Cleanup(func() { mustUnload(t, name) })
	}
	for name, want := range map[string]struct {
		version []string
		alias   []string // loads the module when the family is looked up (net/netlink/genetlink.c:ctrl_getfamily)
		params  []string
	}{
		"bulkdump":         {[]string{"1"}, []string{"net-pf-16-proto-16-family-bulkdump"}, []string{"guard", "hash_bits", "hash_salt", "log_slots", "max_entries", "max_tombstones", "userns_admin"}},
		"bulkdump_minimal": {nil, nil, []string{"entries", "entry"}},
		"bulkdump_nested":  {nil, nil, []string{"parent"}},
	} {
		info := modinfo(t, name)
		if len(info["description"]) != 1 || info["description"][0] == "" {
			t.Errorf("%s: description %q", name, info["description"])
		}
		if !slices.Equal(info["license"], []string{"GPL"}) || !slices.Equal(info["version"], want.version) {
			t.Errorf("%s: license %q, version %q, want %q", name, info["license"], info["version"], want.version)
		}
		if !slices.Equal(info["alias"], want.alias) {
			t.Errorf("%s: aliases %q, want %q", name, info["alias"], want.alias)
		}
		described := parameters(info["parm"])
		if got := slices.Sorted(maps.Keys(described)); !slices.Equal(got, want.params) {
			t.Errorf("%s: described are the parameters %q, want %q", name, got, want.params)
		}
		for param, text := range described {
			if text == "" {
				t.Errorf("%s: %s has no description", name, param)
			}
		}
		// All parameters, described or not: in the file, and in the loaded
		// module.
		for param := range parameters(info["parmtype"]) {
			if described[param] == "" {
				t.Errorf("%s: %s has no description", name, param)
			}
		}
		loaded, err := os.ReadDir(filepath.Join("/sys/module", name, "parameters"))
		if err != nil {
			t.Fatal(err)
		}
		for _, param := range loaded {
			if described[param.Name()] == "" {
				t.Errorf("%s: %s has no description", name, param.Name())
			}
		}
	}
}
