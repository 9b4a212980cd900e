// SPDX-License-Identifier: BSD-3-Clause

package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The index of the tests names each file once.
func TestIndexOfTests(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`\| \[(\w+)\]\((\w+)_test\.go\) \|`).FindAllStringSubmatch(string(readme), -1) {
		if m[1] != m[2] {
			t.Errorf("%s is a link to %s_test.go", m[1], m[2])
		}
		named = append(named, m[2]+"_test.go")
	}
	files, err := filepath.Glob("../*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Sort(named)
	slices.Sort(files)
	if !slices.Equal(named, files) {
		t.Errorf("test/README.md names %q, and there are %q", named, files)
	}
}
